"""Every column of every table: what it means, for ``docs/columns.md``.

``python -m certbd.report.columns`` (`make keys`) writes the page. A test holds it fresh, and holds
that each table has just the columns that are told here. No job imports this.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

from certbd.artifacts import schemas
from certbd.audit import outcomes, randomness
from certbd.report import metrics

PAGE = Path(__file__).parents[4] / "docs" / "columns.md"
TEXTS = Path(__file__).parents[3] / "report" / "columns.yaml"
REACH = (
    "values", "beta", "n_models", "bound", "alpha", "reach", "images_one_pixel",
    "images_four_pixel",
)  # fmt: skip


class Column(NamedTuple):
    """What a column holds. `where` says of which defence it is, and when it is empty."""

    meaning: str
    unit: str = ""
    where: str = ""


@cache
def texts() -> dict[str, dict[str, Column]]:
    """Return what columns hold: by table, under '' what is common to all."""
    read = yaml.safe_load(TEXTS.read_text())
    parts = {"": read["common"]} | read["own"]
    return {
        table: {name: Column(**known) for name, known in of.items()} for table, of in parts.items()
    }


TABLES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "predictions.csv": (
        "What stands, for each input, by name; beside it `predictions.parquet`, the same.",
        tuple(schemas.PREDICTED.names),
    ),
    "summary.csv": ("One row per experiment and threat.", metrics.SUMMARY),
    "curves.csv": ("Certified accuracy against radius.", metrics.CURVES),
    "models.csv": ("Models that failed.", metrics.MODELS),
    "certificates.parquet": (
        "The certificates of a run under one threat.", tuple(schemas.CERTIFICATES.names),
    ),
    "faults.parquet": ("Models of a run that failed.", tuple(schemas.FAULTS.names)),
    "votes/chunk-*.parquet": ("One row per vote.", tuple(schemas.VOTES.names)),
    "sources.parquet": ("Where the inputs of a dataset come from.", tuple(schemas.SOURCES.names)),
    "undefended.parquet": (
        "What a network without defence answers.", tuple(schemas.PREDICTIONS.names),
    ),
    "sigma.parquet": ("Noise that was optimised for each input.", tuple(schemas.SIGMA.names)),
    "searches/{search}.csv": (
        "What a noise search found, best pair first; the same as Parquet, but for the last column.",
        (*schemas.SEARCH.names, "searched_on"),
    ),
    "audit.csv": ("What the audit tried.", outcomes.AUDIT),
    "audit.parquet": ("Trials of one run.", tuple(outcomes.TRIALS.names)),
    "noise_audit.csv": ("Checks of random numbers.", randomness.NOISE_AUDIT),
    "noise_audit.parquet": ("Those of one run.", tuple(randomness.CHECKS.names)),
    "reach.csv": ("What discrete noise can cover at most.", REACH),
}  # fmt: skip
HEAD = """# Columns of every table

Made from `workflow/report/columns.yaml` by `make keys`; edit that. Shares and
probabilities are from 0 to 1. Norms are in the units of inputs as they are stored in
`data.npz`, mostly [0, 1]. A radius of a norm is covered strictly below, a number of rows or
coordinates inclusive. An empty cell is a value that does not exist. Tables in `results/` are
CSV; those of a run are Parquet, in the folders that
[architecture](architecture.md) lists.
"""


def column(table: str, name: str) -> Column:
    """Return what a column of a table holds.

    Raises
    ------
    KeyError
        If nobody has said it.
    """
    return texts().get(table, {}).get(name) or texts()[""][name]


def page() -> str:
    """Return the text of ``docs/columns.md``."""
    parts = [HEAD]
    for table, (said, names) in TABLES.items():
        rows = ["| column | meaning | unit | of which defence; empty, -1, 0 |", "|---|---|---|---|"]
        for name in names:
            known = column(table, name)
            rows.append(f"| `{name}` | {known.meaning} | {known.unit} | {known.where} |")
        parts.append("\n".join([f"## `{table}`", "", said, "", *rows, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
