"""Chernoff's bound on a mean score, at alpha/2: never looser than Hoeffding's."""

from certbd.certify.tally import Tally
from certbd.theory.bounds import kl_lower
from certbd.theory.claims import Claims, alone

SCORED = True
COLOUR = "#e69f00"


def claim(tally: Tally, n_models: int, alpha: float) -> Claims:
    """Claim the class with the highest mean score of each input."""
    mean = tally.mean_scores(n_models)
    return alone(mean.argmax(1), kl_lower(mean.max(1).clip(0, 1), n_models, alpha / 2))


def unanimous(n_models: int, alpha: float) -> float:
    """Return the bound where every score of the class is 1."""
    return float(kl_lower(1.0, n_models, alpha / 2))
