"""Trials of certificates: when one is broken, how many are, and whether alpha explains it.

A **trial** takes one certified test input to another world of its certificate's set (or, to see
where predictions do break, beyond it), where fresh models trained by the run's own procedure vote.
If none of them votes it is no trial. It is **broken** if another label wins and its lead over the
certified one is beyond chance at the run's alpha. That happens with probability at most alpha if
the certificate is true; and it is false with probability at most alpha. ``docs/audit.md``.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import binom

from certbd.theory.bounds import clopper_pearson_lower, clopper_pearson_upper, kl_lower

SCALES = (0.5, 0.9, 0.99, 1.5, 2.0, 3.0, 4.0)
"""Shares of the certified set; predictions may break from 1 on."""
CONFIDENCE = 0.999
"""Of the upper bound on a rate of violations."""
AXES = ("dataset", "attack", "defense", "noise", "certificate", "side", "scale")
AUDIT = (*AXES, "trials", "violations", "violation_rate_upper", "without_votes")
"""Columns of ``audit.csv``."""
NOT_TRIED = {"certificate": "any", "side": "not tried", "scale": np.nan}
"""What the row of a run holds of which no certificate was tried; else the name of one that was
not tried by searches of training sets."""
TRIALS = pa.schema(
    [
        pa.field("split", pa.string(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("certificate", pa.string(), nullable=False),
        pa.field("side", pa.string(), nullable=False),
        pa.field("scale", pa.float64(), nullable=False),
        pa.field("label", pa.int16(), nullable=False),
        pa.field("share", pa.float64(), nullable=False),
        pa.field("voted", pa.int32(), nullable=False),
        pa.field("broken", pa.bool_(), nullable=False),
    ]
)
"""One row a trial: the certified label, the share of votes (or score) that it gets, the number of
models that voted, the outcome."""


def broken(
    votes: NDArray[np.float64],
    labels: NDArray[np.int64],
    n_models: int,
    alpha: float,
    scored: bool = False,
) -> NDArray[np.bool_]:
    """Return whether another label wins, and is provably ahead of the certified one.

    `votes` (n, classes) are sums of scores if `scored`. A true certificate puts its label ahead of
    each other one; that none of their leads is beyond chance is tested at alpha in all: among the
    votes for two labels by Clopper and Pearson's bound, among scores by that on mean differences.
    """
    winner = votes.argmax(1)
    own, other = (votes[np.arange(len(labels)), column] for column in (labels, winner))
    level = alpha / (votes.shape[1] - 1)
    if scored:
        ahead = ((other - own) / n_models + 1) / 2
        lower = kl_lower(ahead.clip(0, 1), n_models, level)
    else:
        lower = clopper_pearson_lower(other, np.maximum(own + other, 1), level)
    return (winner != labels) & (lower > 0.5)


def changes(scale: float, radius: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many changes are a share of a whole-numbered radius: below 1 at most that many."""
    return np.ceil(np.round(scale * (radius + 1), 9)).astype(np.int64) - 1


def summarise(runs: Sequence[tuple[Mapping[str, Any], pd.DataFrame]]) -> pd.DataFrame:
    """Count trials and violations of runs, each with its axes, over learners and seeds.

    Trials without votes are counted apart; a run without a row is `NOT_TRIED`.
    ``violation_rate_upper`` is Clopper and Pearson's bound at `CONFIDENCE`, as if trials were
    independent; inputs that share models are not.
    """
    tables = [_known(run, trials).assign(**{a: run[a] for a in AXES[:4]}) for run, trials in runs]
    if not tables:
        return pd.DataFrame(columns=AUDIT)
    groups = pd.concat(tables).groupby(list(AXES), dropna=False)
    names = ("trials", "violations", "without_votes")
    counts = groups[list(names)].sum().astype(np.int64).reset_index()
    upper = np.full(len(counts), np.nan)
    tried = counts["trials"].to_numpy() > 0
    some = counts[tried]
    upper[tried] = clopper_pearson_upper(some["violations"], some["trials"], 1 - CONFIDENCE)
    return counts.assign(violation_rate_upper=upper)[[*AUDIT]].sort_values(list(AXES))


def _known(run: Mapping[str, Any], trials: pd.DataFrame) -> pd.DataFrame:
    """Return each trial's part in the counts of `summarise`, and what was not tried of a run."""
    nothing = {"trials": 0, "violations": 0, "without_votes": 0}
    if not len(trials):
        return pd.DataFrame([NOT_TRIED | nothing])
    held = (trials["voted"] > 0).to_numpy()
    counts = {"trials": held, "violations": trials["broken"] & held, "without_votes": ~held}
    known = trials[list(AXES[4:])].assign(**counts)
    untried = [NOT_TRIED | {"certificate": name} | nothing for name in run.get("untried", ())]
    return pd.concat([known, pd.DataFrame(untried)]) if untried else known


def untried(summary: pd.DataFrame) -> list[str]:
    """Name the runs of ``audit.csv`` of which nothing was tried, or nothing on training sets."""
    rows = summary.loc[summary["side"] == NOT_TRIED["side"], list(AXES[:5])].astype(str)
    return [
        "/".join(row[:4]) + ("" if row[4] == NOT_TRIED["certificate"] else f" ({row[4]}, training)")
        for row in rows.to_numpy()
    ]


def explained(violations: int, trials: int, alpha: float) -> bool:
    """Return whether false certificates and unlucky votes, each alpha, explain so many violations.

    Not if as many would come with a probability below `1 - CONFIDENCE`.
    """
    return bool(binom.sf(violations - 1, trials, min(1.0, 2 * alpha)) >= 1 - CONFIDENCE)


def describe(inside: tuple[int, int], alpha: float, without_votes: int = 0) -> str:
    """Say in a line how many trials broke inside the certificates, and if alpha explains it."""
    violations, trials = inside
    left_out = f"; {without_votes} without votes are no trials" if without_votes else ""
    if not trials:
        return f"inside the certificates: not tried{left_out}"
    within = "within" if explained(violations, trials, alpha) else "MORE THAN"
    return (
        f"inside the certificates {violations} of {trials} trials broken, {within} alpha{left_out}"
    )


def describe_trials(trials: pd.DataFrame, alpha: float) -> str:
    """Say the same of a run's trials, the columns of `TRIALS`."""
    own = trials[inside(trials)]
    held = own["voted"] > 0
    counts = int((own["broken"] & held).sum()), int(held.sum())
    return describe(counts, alpha, int((~held).sum()))


def inside(table: pd.DataFrame) -> pd.Series:
    """Return which rows promise that no prediction breaks; the paper's radius does not."""
    return (table["scale"] <= 1) & (table["certificate"] != "paper")
