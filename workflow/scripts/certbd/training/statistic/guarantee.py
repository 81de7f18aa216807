"""What noise on class sums certifies: any r rows replaced, labels too.

``docs/theory.md``, section 7.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from certbd.theory import certificates
from certbd.theory.claims import Claims
from certbd.training.statistic.entry import Statistic
from certbd.training.world import Columns, Guarantee, World, row_columns


class StatisticRows(NamedTuple):
    """Noise `sigma_statistic` on a statistic of `n_rows` bounded by `bound`, and the attack."""

    n_rows: int
    sigma_statistic: float
    bound: float
    n_poisoned: int
    attack_norm: float | None

    def columns(self, claims: Claims, sigma: NDArray[np.float64]) -> Columns:
        """Return the trigger radius, the rows that may be replaced, and coverage of the attack."""
        margin, noise = claims.margin, self.sigma_statistic
        n_rows, bound = self.n_rows, self.bound
        trigger = None
        if np.all(sigma > 0):
            trigger = certificates.statistic_radius(
                margin, sigma, noise, n_rows, self.n_poisoned, bound
            )
        rows = certificates.statistic_rows(margin, noise, n_rows, bound)
        return row_columns(trigger, rows, self.attack_norm)


def class_sums_bound(n_classes: int, never_negative: bool) -> float:
    """Return B of class sums: no replaced row moves what decides by more than ``2 B / n``.

    That is the class sums less their mean over the classes; ``sqrt(1 - 1/C)`` in general,
    ``sqrt(1/2)`` where features are never negative.
    """
    return math.sqrt(0.5 if never_negative else 1 - 1 / n_classes)


def guarantee_of(side: Statistic, world: World) -> Guarantee:
    """Return the guarantee of a run."""
    bound = class_sums_bound(world.n_classes, world.never_negative)
    return StatisticRows(
        world.n_rows, side.sigma_statistic, bound, world.n_poisoned, world.attack_norm
    )
