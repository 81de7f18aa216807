"""From counted votes to claims: the predicted class, and bounds on it and on its runner-up."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from certbd.certify.tally import Tally
from certbd.config.axes import SCORE_BOUNDS, Certification, alpha_of_certificate
from certbd.theory import bounds, certificates


class Claims(NamedTuple):
    """The predicted class of each input (n,), and bounds that hold together but for alpha.

    `p_lower` is below the probability of that class, `p_upper` above that of any other.
    ``docs/theory.md``, section 5.
    """

    predicted: NDArray[np.int64]
    p_lower: NDArray[np.float64]
    p_upper: NDArray[np.float64]

    @property
    def margin(self) -> NDArray[np.float64]:
        """The margin M of each input, in standard deviations; not above 0: nothing is claimed."""
        return certificates.margin(self.p_lower, self.p_upper)


SCORED = {"hoeffding": bounds.hoeffding_lower, "kl": bounds.kl_lower}
"""Bounds on mean scores."""


def claim(tally: Tally, certification: Certification, n_certificates: int) -> Claims:
    """Claim the class with most votes (or score) of each input.

    Parameters
    ----------
    n_certificates : int
        Number of certificates among which `multiplicity: simultaneous` shares alpha.
    """
    n, alpha = certification.n_models, alpha_of_certificate(certification, n_certificates)
    if certification.bound in SCORE_BOUNDS:
        if tally.scores is None:
            raise ValueError(f"bound {certification.bound} needs scores")
        lower = SCORED[certification.bound]
        mean = tally.scores / n
        return _alone(mean.argmax(1), lower(mean.max(1).clip(0, 1), n, alpha / 2))
    predicted = tally.votes.argmax(1)
    ordered = np.sort(tally.votes, axis=1)
    if certification.bound == "runner_up":
        n_classes = tally.votes.shape[1]
        pair = bounds.runner_up(ordered[:, -1], ordered[:, -2], n, alpha, n_classes)
        return Claims(predicted, *pair)
    if certification.bound == "majority":
        return _alone(predicted, bounds.majority_lower(ordered[:, -1], n, alpha))
    if certification.bound == "clopper_pearson":
        return _alone(predicted, bounds.clopper_pearson_lower(ordered[:, -1], n, alpha / 2))
    raise ValueError(f"bound {certification.bound!r}: there is none of that name")


def _alone(predicted: NDArray[np.int64], p_lower: NDArray[np.float64]) -> Claims:
    """Bound the runner-up by all that is left."""
    return Claims(predicted, p_lower, 1 - p_lower)
