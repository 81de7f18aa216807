"""The claim itself: the same procedure in the world without the attack. ``docs/audit.md``."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from certbd.artifacts.logs import LOGGER
from certbd.audit.trials import Case
from certbd.audit.worlds import without_trigger

INSIDE = 0.99
"""Of the median radius: how far the trigger is taken off where no certificate covers all of it."""
Parts = Iterator[pd.DataFrame]


def claim_trials(case: Case) -> Parts:
    """Compare with the world without the attack, or with as much of it as certificates cover."""
    if not len(case.given.indices):
        return
    rows, norm = case.certified("radius_trigger"), case.attack_norm
    if case.threat_rows < len(case.given.indices):  # they say nothing of so many rows
        rows = rows[:0]
    share = 1.0
    if len(rows) and not (rows["radius_trigger"] > norm).any():
        share = INSIDE * rows["radius_trigger"].median() / norm
    LOGGER.info("claim: %.3g of the trigger's norm taken off", share)
    by_rows = case.side.covers_labels
    world = without_trigger(
        case.given, case.clean.inputs, case.clean.labels if by_rows else None,
        1.0 if by_rows else share,
    )  # fmt: skip
    rows = rows[rows["radius_trigger"] > share * norm]
    if len(rows):
        points, twins = case.inputs(rows), case.inputs(rows, twins=True)
        moved = twins if share == 1 else points + np.float32(share) * (twins - points)
        yield case.compare(world, rows, moved, ("trigger", "claim", 1.0))
    if by_rows:
        rows = case.certified()
        rows = rows[rows["radius_rows"] >= len(case.given.indices)]
        if len(rows):
            yield case.compare(world, rows, case.inputs(rows), ("rows", "claim", 1.0))
