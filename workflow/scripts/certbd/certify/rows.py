"""Guarantees of defences that cover rows: any r of them replaced, labels too.

``docs/theory.md``, section 7.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from certbd.certify.claims import Claims
from certbd.certify.guarantees import Columns
from certbd.theory import certificates


class BaggedRows(NamedTuple):
    """`n_drawn` of `n_rows` for each model, and the attack that a certificate must cover."""

    n_rows: int
    n_drawn: int
    n_poisoned: int
    attack_norm: float | None

    def columns(self, claims: Claims, sigma: NDArray[np.float64]) -> Columns:
        """Return the trigger radius, the rows that may be replaced, and coverage of the attack."""
        p_a, p_b, sizes = claims.p_lower, claims.p_upper, (self.n_rows, self.n_drawn)
        trigger = None
        if np.all(sigma > 0):
            trigger = certificates.bagging_radius(p_a, sigma, *sizes, self.n_poisoned, p_b=p_b)
        rows = certificates.bagging_rows(p_a, *sizes, p_b=p_b)
        return _columns(trigger, rows, self.attack_norm)


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
        return _columns(trigger, rows, self.attack_norm)


def class_sums_bound(n_classes: int, never_negative: bool) -> float:
    """Return B of class sums: no replaced row moves what decides by more than ``2 B / n``.

    That is the class sums less their mean over the classes; ``sqrt(1 - 1/C)`` in general,
    ``sqrt(1/2)`` where features are never negative.
    """
    return math.sqrt(0.5 if never_negative else 1 - 1 / n_classes)


def _columns(
    trigger: NDArray[np.float64] | None, rows: NDArray[np.int32], norm: float | None
) -> Columns:
    """Without test noise there is no trigger radius, and no attack is covered."""
    radius = np.full(len(rows), np.nan) if trigger is None else trigger
    covers = None if norm is None else radius > norm
    return {"radius_trigger": radius, "radius_rows": rows, "covers_attack": covers}
