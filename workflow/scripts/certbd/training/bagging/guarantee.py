"""What bagging certifies: r rows replaced, added or removed. ``docs/theory.md``, section 7."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from certbd.config.threats import How, Threat, counted_as
from certbd.theory import bagging
from certbd.theory.claims import Claims
from certbd.training.bagging.entry import Bagging
from certbd.training.world import Columns, Guarantee, World, row_columns

ENTERED: Mapping[How, dict[str, bool]] = {
    "replaced": {},
    "added": {"added": True},
    "removed": {"removed": True},
}
"""What may have happened to rows, as `theory.bagging` asks for it."""


class BaggedRows(NamedTuple):
    """`n_drawn` of `n_rows` for each model, and the threat that a certificate must cover."""

    n_rows: int
    n_drawn: int
    threat: Threat | None
    norm: float | None

    def columns(self, claims: Claims, sigma: NDArray[np.float64]) -> Columns:
        """Return the trigger radius, the rows that may be replaced, and coverage of the threat."""
        p_a, p_b, sizes = claims.p_lower, claims.p_upper, (self.n_rows, self.n_drawn)
        rows: dict[How, NDArray[np.int32]] = {
            how: bagging.bagging_rows(p_a, *sizes, p_b=p_b, **entered)
            for how, entered in ENTERED.items()
        }
        trigger, (count, how) = None, self.threat[:2] if self.threat else (0, "replaced")
        if np.all(sigma > 0):
            entered = ENTERED[counted_as(how)]
            trigger = bagging.bagging_radius(p_a, sigma, *sizes, count, p_b=p_b, **entered)
        return row_columns(trigger, rows, self.threat, self.norm)


def guarantee_of(side: Bagging, world: World) -> Guarantee:
    """Return the guarantee of a run."""
    return BaggedRows(world.n_rows, side.n_drawn, world.threat, world.norm)
