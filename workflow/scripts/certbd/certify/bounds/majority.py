"""The exact bound on the class with most votes, at the whole alpha.

``docs/theory.md``, section 5.
"""

from certbd.certify.tally import Tally
from certbd.theory.bounds import majority_lower
from certbd.theory.claims import Claims, alone

SCORED = False
COLOUR = "#009e73"


def claim(tally: Tally, n_models: int, alpha: float) -> Claims:
    """Claim the class with most votes of each input."""
    return alone(tally.votes.argmax(1), majority_lower(tally.votes.max(1), n_models, alpha))


def unanimous(n_models: int, alpha: float) -> float:
    """Return the bound where all models agree."""
    return float(majority_lower(n_models, n_models, alpha))
