"""Whether a threat can be covered at all: what certificates say if every model agrees."""

import numpy as np

from certbd.certify.claims import claim
from certbd.certify.tally import Tally
from certbd.config.axes import Certification
from certbd.training.world import Guarantee


def covers(
    guarantee: Guarantee,
    sigma: float,
    certification: Certification,
    n_classes: int,
    n_certificates: int = 1,
) -> bool:
    """Return whether votes of one class by all models cover the guarantee's threat.

    Parameters
    ----------
    sigma : float
        Standard deviation of the noise on the test input; NaN for noise that has none.
    n_certificates : int
        Among which `multiplicity: simultaneous` shares alpha.
    """
    votes = np.zeros((1, n_classes), np.int64)
    votes[0, 0] = certification.n_models
    claims = claim(Tally(votes, votes.astype(np.float64)), certification, n_certificates)
    covered = guarantee.columns(claims, np.full(1, sigma))["covers_attack"]
    return covered is not None and bool(np.asarray(covered).reshape(-1)[0])
