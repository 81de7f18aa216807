"""What of a learner takes memory, for the sums of ``plan.memory``."""

from typing import NamedTuple

SURROGATE = 20
"""`Footprint.searched` of ridge regression, which stands for a network in the audit, too."""
SEARCHED = {None: 3, "class_means": 3, "ridge": SURROGATE}
"""`Footprint.searched` by `Learner.searched_by`."""


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
