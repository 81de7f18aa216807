"""Bounds on the class with most votes and on any other, for three classes or more."""

import numpy as np

from certbd.certify.tally import Tally
from certbd.theory import bounds
from certbd.theory.claims import Claims

SCORED = False
COLOUR = "#0072b2"


def claim(tally: Tally, n_models: int, alpha: float) -> Claims:
    """Claim the class with most votes of each input, and bound the next one from above."""
    ordered, n_classes = np.sort(tally.votes, axis=1), tally.votes.shape[1]
    pair = bounds.runner_up(ordered[:, -1], ordered[:, -2], n_models, alpha, n_classes)
    return Claims(tally.votes.argmax(1), *pair)
