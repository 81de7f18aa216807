"""What of a learner takes memory, for the sums of ``plan.memory``."""

from typing import NamedTuple

SURROGATE = 20
"""`Footprint.searched` of ridge regression, which stands for a network in the audit, too."""
SEARCHED = {None: 3, "class_means": 3, "ridge": SURROGATE}


def searched(by: str | None) -> int:
    """Return `Footprint.searched` of a learner that is searched so (`Learner.searched_by`).

    Raises
    ------
    ValueError
        If there is no such search.
    """
    if by not in SEARCHED:
        known = ", ".join(str(name) for name in SEARCHED)
        raise ValueError(
            f"searched_by {by!r}: there is no such search of the audit; known: {known}"
        )
    return SEARCHED[by]


class Footprint(NamedTuple):
    """What of a learner takes memory."""

    features: int
    """Numbers that a model sees of an input."""
    model: float
    """Bytes of a model."""
    batch: float
    """Bytes kept of a batch while a model trains."""
    kept: float
    """Bytes kept of an input while it is searched."""
    searched: int
    """Copies of the training set in the search for its worst neighbours."""
    mapping: float
    """Bytes of the inputs that are mapped to features together, inside the map."""
