"""Clopper and Pearson's bound at alpha/2, which pays for choosing the class by the same votes."""

from certbd.certify.tally import Tally
from certbd.theory.bounds import clopper_pearson_lower
from certbd.theory.claims import Claims, alone

SCORED = False
COLOUR = "#56b4e9"


def claim(tally: Tally, n_models: int, alpha: float) -> Claims:
    """Claim the class with most votes of each input."""
    lower = clopper_pearson_lower(tally.votes.max(1), n_models, alpha / 2)
    return alone(tally.votes.argmax(1), lower)


def unanimous(n_models: int, alpha: float) -> float:
    """Return the bound where all models agree."""
    return float(clopper_pearson_lower(n_models, n_models, alpha / 2))
