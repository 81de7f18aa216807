"""What bagging certifies: any r rows replaced, labels too. ``docs/theory.md``, section 7."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from certbd.theory import certificates
from certbd.theory.claims import Claims
from certbd.training.bagging.entry import Bagging
from certbd.training.world import Columns, Guarantee, World, row_columns


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
        return row_columns(trigger, rows, self.attack_norm)


def guarantee_of(side: Bagging, world: World) -> Guarantee:
    """Return the guarantee of a run."""
    return BaggedRows(world.n_rows, side.n_drawn, world.n_poisoned, world.attack_norm)
