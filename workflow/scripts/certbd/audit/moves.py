"""What searches of every training side share: test inputs moved, and the label that comes next."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from certbd.audit import attackers
from certbd.audit.claim_trials import Parts
from certbd.audit.descent import EVALUATION_BYTES
from certbd.audit.outcomes import SCALES
from certbd.audit.trials import PILOTS, Case
from certbd.audit.worlds import Inputs
from certbd.learners.networks import Ensemble, logits, saved_bytes


def test_side(
    case: Case, rows: pd.DataFrame, norms: NDArray[np.float64], certificate: str
) -> Parts:
    """Move test inputs by shares of `norms`; training set as given."""
    pilots, draws, points = case.pilots(case.given), case.pilot_noise(), case.inputs(rows)
    polls = [
        (
            rows,
            stepped(case, pilots, draws, rows, points, scale * norms),
            (certificate, "test", scale),
        )
        for scale in SCALES
    ]
    yield from case.compare_all(case.given, polls)


def stepped(
    case: Case, pilots: Ensemble, draws: Tensor, rows: pd.DataFrame, points: Inputs,
    norms: NDArray[np.float64],
) -> Inputs:  # fmt: skip
    """Move the test inputs (n, ...) of rows by `norms` (n,) against their labels."""
    module = case.procedure.module(points.shape[1:])
    levels, labels = rows["sigma"].to_numpy(), rows["prediction"].to_numpy(np.int64)
    return attackers.step_inputs(module, pilots, points, levels, labels, norms, draws)


def runners_up(case: Case, rows: pd.DataFrame) -> NDArray[np.int64]:
    """Return the label that pilots like best after the certified one."""
    points = torch.from_numpy(case.inputs(rows))
    module = case.procedure.module(tuple(points.shape[1:]))
    pilots, each = case.pilots(case.given), saved_bytes(module, (1, *points.shape[1:]))
    few = points.split(max(1, EVALUATION_BYTES // each))
    answers = torch.cat(
        [logits(module, pilots, some.expand(PILOTS, *some.shape)).mean(0) for some in few]
    )
    own = torch.tensor(rows["prediction"].to_numpy(np.int64))[:, None]
    return answers.scatter(1, own, -torch.inf).argmax(1).numpy()
