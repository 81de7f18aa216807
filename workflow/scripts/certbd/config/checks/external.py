"""Whether what is said of votes from elsewhere is enough to certify them."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from certbd.config import entries, threats
from certbd.config.checks import names
from certbd.config.checks.threats import SOME_ROWS

Entry = Mapping[str, Any]
STATISTIC = ("sigma_statistic", "statistic_norm")


def side_of(experiment: Entry) -> str | None:
    """Return the training side that the models were trained by; None where rows had no noise."""
    if "n_drawn" in experiment:
        return "bagging"
    if "sigma_statistic" in experiment:
        return "statistic"
    return "gaussian" if "sigma_train" in experiment else None


def misfits(raw: Entry, experiment: Entry, path: str) -> Iterator[str]:
    """Find half of what certificates of rows need, too much of it, and threats that do not fit."""
    statistic = [key for key in STATISTIC if key in experiment]
    kinds = [key for key in ("n_drawn", "sigma_statistic", "sigma_train") if key in experiment]
    if len(kinds) > 1:
        yield f"{path}: {' and '.join(kinds)}; allowed: one, as the models were trained"
    if len(statistic) == 1:
        yield f"{path}: {statistic[0]} alone; allowed: {' and '.join(STATISTIC)} together"
    of_rows = "n_drawn" in experiment or bool(statistic)
    if of_rows != ("n_rows" in experiment):
        needed = "n_rows" if of_rows else "n_drawn, or sigma_statistic and statistic_norm,"
        yield f"{path}: {needed} is missing; needed for certificates of rows"
    drawn, rows = experiment.get("n_drawn", 0), experiment.get("n_rows", math.inf)
    if drawn > rows:
        yield f"{path}.n_drawn: {drawn} of n_rows {rows}; allowed: no more"
    if experiment.get("sigma_test") == 0 and not of_rows:
        yield f"{path}.sigma_test: 0; allowed with n_rows alone, for certificates of rows"
    yield from _threat_misfits(raw, experiment, path)


def _threat_misfits(raw: Entry, experiment: Entry, path: str) -> Iterator[str]:
    side = side_of(experiment)
    for name in experiment.get("threats", ()):
        yield from names.undefined(raw, f"{path}.threats", name, "threats")
        entry = raw["threats"].get(name)
        if entry is None or next(threats.mistakes(entry), None):
            continue
        threat = threats.posed(entry, experiment.get("n_rows", SOME_ROWS))
        hows = () if side is None else entries.module(entries.TRAINING, side, "entry").KIND.hows
        said = f"{path}.threats: {name!r} ({threats.describe(entry)})"
        if "share" in entry and "n_rows" not in experiment:
            yield f"{said}: a share of how many rows is not known; allowed: rows, or n_rows"
        elif threat.rows and threat.how not in hows:
            able = " or ".join(hows) or "none"
            yield f"{said} is nothing that these votes cover; allowed: how {able}"
        elif threat.trigger not in ("none", "l2"):
            yield f"{said}: the form of inputs is not known; allowed: norm, or rows alone"
        elif threat.trigger == "l2" and experiment.get("sigma_test") == 0:
            yield f"{said}: votes without noise cover no trigger; allowed: rows alone"
