"""What noise on class sums certifies: any r rows replaced, labels too.

``docs/theory.md``, section 7.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from certbd.config.threats import Threat
from certbd.theory import certificates
from certbd.theory.claims import Claims
from certbd.training.statistic.entry import Statistic
from certbd.training.world import Columns, Guarantee, World, row_columns


class StatisticRows(NamedTuple):
    """Noise `sigma_statistic` on a statistic of `n_rows` bounded by `bound`, and the threat."""

    n_rows: int
    sigma_statistic: float
    bound: float
    threat: Threat | None
    norm: float | None

    def columns(self, claims: Claims, sigma: NDArray[np.float64]) -> Columns:
        """Return the trigger radius, the rows that may be replaced, and coverage of the threat."""
        margin, noise = claims.margin, self.sigma_statistic
        n_rows, bound = self.n_rows, self.bound
        trigger = None
        if np.all(sigma > 0):
            trigger = certificates.statistic_radius(
                margin, sigma, noise, n_rows, self.threat.rows if self.threat else 0, bound
            )
        rows = certificates.statistic_rows(margin, noise, n_rows, bound)
        return row_columns(trigger, {"replaced": rows}, self.threat, self.norm)


def guarantee_of(side: Statistic, world: World) -> Guarantee:
    """Return the guarantee of a run."""
    if world.sums_bound is None:
        raise ValueError("training side statistic: the bound of the learner's sums is not given")
    return StatisticRows(
        world.n_rows, side.sigma_statistic, world.sums_bound, world.threat, world.norm
    )
