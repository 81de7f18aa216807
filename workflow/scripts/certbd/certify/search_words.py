"""What a noise search found, in words: a table, the best pair or why there is none."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd


def best(grid: pd.DataFrame) -> pd.Series | None:
    """Return the pair whose worst class is certified most, ties by the mean, then the first.

    A pair under which some class is never predicted is none, nor is one that certifies nothing.
    """
    found = grid[grid["best"]]
    return found.iloc[0] if len(found) else None


def describe(grid: pd.DataFrame, wanted: str) -> str:
    """Say what a search found: its best pair, or why nothing certifies.

    Parameters
    ----------
    wanted : str
        The threat, in words.
    """
    point = best(grid)
    if point is not None:
        return (
            f"best: {_pair(point)}: {_percent(point['certified'])} certified ({wanted}), worst "
            f"class {_percent(point['worst_class'])}, predicted right {_percent(point['accuracy'])}"
        )
    if (grid["certified"] > 0).any():
        return (
            f"nothing to suggest ({wanted}): wherever inputs are certified, some class is never "
            "predicted; try less noise, more rows drawn, or a learner that tells the classes apart"
        )
    possible = grid[grid["possible"]]
    if not len(possible):
        return (
            f"nothing certifies ({wanted}), because none of these values can, even if all models "
            "agree: try a smaller threat, more models, fewer rows drawn, or more noise"
        )
    most = possible.loc[possible["agreement"].idxmax()]
    likely = f"{most['agreement']:.3f}"
    return (
        f"nothing certifies ({wanted}), because models agree too little: at most at {_pair(most)}, "
        f"where half of the inputs have a class of probability {likely} or more; try a smaller "
        "threat, more models, other values, or a learner that is more often right (right here: "
        f"{_percent(grid['accuracy'].max())})"
    )


def table(grid: pd.DataFrame) -> str:
    """Return the pairs as text, best first, within 80 columns."""
    head = f"{grid['parameter'].iloc[0]:>15} {'sigma_test':>10}"
    lines = [f"{head} {'certified':>10} {'worst':>8} {'right':>8}"]
    for point in grid.itertuples():
        level = "-" if pd.isna(point.sigma_test) else f"{point.sigma_test:g}"
        certified, worst, right = map(
            _percent, (point.certified, point.worst_class, point.accuracy)
        )
        row = f"{point.value:>15g} {level:>10} {certified:>10} {worst:>8} {right:>8}"
        lines.append(row + _remark(point))
    return "\n".join(lines)


def _remark(point: Any) -> str:
    if point.best:
        return "  best"
    if point.unpredicted:
        return "  a class never predicted"
    return "" if point.possible else "  cannot certify"


def searched_on(search: Mapping[str, Any]) -> str:
    """Say which training set was looked at."""
    return f"trusted: {search['trusted']}" if "trusted" in search else "the set under attack"


def provenance(search: Mapping[str, Any]) -> str:
    """Say what follows for certificates that use the values found."""
    if "trusted" in search:
        return f"searched on {search['trusted']}, which you vouch for"
    return (
        "searched on the set under attack: certificates with values chosen by this hold only if "
        "they would have been chosen without the attack, too; the key trusted names another set"
    )


def _pair(point: pd.Series) -> str:
    level = "" if pd.isna(point["sigma_test"]) else f", sigma_test {point['sigma_test']:g}"
    return f"{point['parameter']} {point['value']:g}{level}"


def _percent(share: float) -> str:
    """Return a share in percent, rounded down."""
    return f"{math.floor(1000 * share + 1e-9) / 10:.1f} %"
