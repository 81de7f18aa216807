"""Searches of training sides that cover rows: rows replaced, test inputs moved, and both."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from certbd.artifacts.io import PoisonedSet
from certbd.audit import replacements
from certbd.audit.claim_trials import Parts
from certbd.audit.moves import runners_up, stepped, test_side
from certbd.audit.outcomes import SCALES, changes
from certbd.audit.trials import Case


def rows_sides(case: Case) -> Parts:
    """Replace rows; move test inputs; and both, by the trigger radius at the attack's rows."""
    rows = case.attacked(case.certified())
    if not len(rows):
        return
    moves = bool((rows["sigma"] > 0).all())
    if moves:
        yield from test_side(case, rows, (rows["sigma"] * rows["margin"]).to_numpy(), "trigger")
    few = case.retrained(rows)
    others = runners_up(case, few)
    for scale in SCALES:
        counts = changes(scale, few["radius_rows"].to_numpy()).clip(0, len(case.given.labels))
        tried = counts > 0
        if tried.any():
            worlds = _replaced(case, few[tried], others[tried], counts[tried])
            points = case.inputs(few[tried])
            yield case.compare_each(worlds, few[tried], points, ("rows", "train", scale))
    reached = case.certified("radius_trigger") if moves else few[:0]
    if case.threat_rows and len(reached):
        yield from _rows_and_trigger(case, case.retrained(reached))


def _rows_and_trigger(case: Case, rows: pd.DataFrame) -> Parts:
    """Move test inputs against pilots of the given world: rows far away tell no direction."""
    pilots = case.pilots(case.given)
    n_poisoned, draws = case.threat_rows, case.pilot_noise()
    worlds = _replaced(case, rows, runners_up(case, rows), np.full(len(rows), n_poisoned))
    for k, world in enumerate(worlds):
        row = rows.iloc[k : k + 1]
        points, norms = case.inputs(row), row["radius_trigger"].to_numpy()
        polls = [
            (
                row,
                stepped(case, pilots, draws, row, points, scale * norms),
                ("trigger", "both", scale),
            )
            for scale in SCALES
        ]
        yield from case.compare_all(world, polls)


def _replaced(
    case: Case, rows: pd.DataFrame, others: NDArray[np.int64], counts: NDArray[np.int64]
) -> Iterator[PoisonedSet]:
    by_means = case.procedure.learner.by_class_means
    labels = rows["prediction"]
    for point, label, other, count in zip(case.inputs(rows), labels, others, counts, strict=True):
        yield replacements.replace_rows(case.given, point, label, other, count, by_means)
