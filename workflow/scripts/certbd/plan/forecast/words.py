"""A forecast in words, within 80 columns."""

import textwrap
from typing import Any

import pandas as pd

WIDTH = 80


def describe(table: pd.DataFrame, classes: dict[str, str], seconds: float, cores: int) -> str:
    """Return the forecast of every experiment, and the sum.

    Parameters
    ----------
    table : DataFrame
        As `forecast.forecast` returns it.
    classes : mapping
        Dataset -> its training rows per class, in words.
    seconds : float
        Of the whole run.
    """
    lines = []
    for dataset, rows in table.groupby("dataset", sort=False):
        lines.append(_fill(f"{dataset}: {classes.get(str(dataset), 'votes from elsewhere')}", ""))
        for row in rows.itertuples():
            axes = (row.attack, row.defense, row.noise, row.learner, f"seed {row.seed}")
            lines.append(_fill(" / ".join(map(str, axes)), "  "))
            lines.append(_fill(_cost(row), "    "))
            lines.append(_fill(_certifies(row), "    "))
        lines.append("")
    disk = table["megabytes"].sum()
    lines.append(
        _fill(
            f"in all: {table['jobs'].sum()} jobs and the tables, {table['models'].sum()} models, "
            f"about {duration(seconds)} on {cores} cores, {_size(disk)}",
            "",
        )
    )
    return "\n".join(lines)


def _cost(row: Any) -> str:
    jobs = f"{row.jobs} job{'' if row.jobs == 1 else 's'}"
    if not row.jobs:
        return "nothing of its own to make: it shares all with rows above"
    return f"{jobs}, {row.models} models, about {duration(row.seconds)}, {_size(row.megabytes)}"


def _certifies(row: Any) -> str:
    if not row.threat:
        return "no threat asked"
    if row.can_certify is None:
        return f"{row.threat}: not covered by this defence"
    most = f" (at most {row.reach})" if row.reach else ""
    if row.can_certify:
        return f"{row.threat}: can be certified if models agree{most}"
    would = f"; one of these would do: {row.would}" if row.would else ""
    return (
        f"{row.threat}: CANNOT be certified, even if all {row.n_models} models agree{most}{would}"
    )


def duration(seconds: float) -> str:
    """Return a time in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} hours"


def _size(megabytes: float) -> str:
    return f"{megabytes:.1f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def _fill(text: str, indent: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ")
