"""Print ``summary.csv`` as a readable table, and where the rest is."""

import argparse
import signal
import sys
import textwrap
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from certbd.config.threats import Threat

WIDTH = 100
GROUP = ["dataset", "attack", "threat"]
TOLD = {"learner": "learner", "n_models": "N", "seed": "seed", "bound": "bound"}
"""Axes that are shown where rows would look the same without them."""
SHARES = {
    "attack_success": "attack succ.",
    "clean_accuracy": "right",
    "abstain_rate": "abst.",
    "certified_at_attack": "cert. trig.",
    "clean_certified_at_attack": "cert. all",
    "clean_certified_at_attack_worst_class": "cert. worst",
}
OTHERS = {"median_rows": "rows median", "largest_trigger_radius": "largest radius"}
NUMBERS = [
    *SHARES, *OTHERS, "n_test", "n_poisoned", "attack_norm", "undefended_attack_success",
    "threat_rows", "threat_size",
]  # fmt: skip
TEXTS = [*GROUP, "defense", "noise", *TOLD, "threat_how", "threat_trigger"]
WANTED = "summary.csv as a run writes it, with models.csv beside it"
NOTE = """
Shares in percent; they and radii are rounded down, sizes asked up.
attack succ.    triggered inputs predicted as the attacker's target
right, abst.    benign inputs predicted right; without a prediction
cert.           predicted right, and it would be the same without what the threat says: of
                triggered inputs, of all benign ones, of the class with the least
rows median     half of all benign inputs hold against so many rows, without a trigger
largest radius  of a trigger, in l2 norm, at the threat's number of rows
Flipped labels stay flipped in what rab, cert_ssb and decoupled certify; the radii of cert_ssb
hold for its noise frozen. What this promises and what not: README.md and docs/theory.md; what
each column means: docs/columns.md.
"""


def show(summary: pd.DataFrame) -> str:
    """Return the summary as text: a heading for each threat to a dataset, a row per defence."""
    table, n_texts = _table(summary)
    head, *rows = _layout(table, n_texts)
    parts, lines = [head], pd.Series(rows, index=summary.index)
    for _, group in summary.groupby(GROUP, sort=False, dropna=False):
        heading = textwrap.fill(_heading(group.iloc[0]), WIDTH, subsequent_indent="  ")
        parts += ["", heading, *lines[group.index]]
    return "\n".join(parts)


def _heading(row: pd.Series) -> str:
    """Say what rows have in common: the data, the attack, and the threat if one was given."""
    parts = [f"{row['dataset']}, {row['n_test']:.0f} benign test inputs"]
    simulated = pd.notna(row["attack_norm"])
    if simulated:
        attack = f"attack {row['attack']}: norm {_rounded(row['attack_norm'], ROUND_CEILING)} on "
        attack += f"{row['n_poisoned']:.0f} rows"
        if pd.notna(row["undefended_attack_success"]):
            attack += f", succeeds in {_percent(row['undefended_attack_success'])} % undefended"
        parts.append(attack)
    if pd.notna(row["threat"]) and row["threat"] != row["attack"]:
        size = 0.0 if pd.isna(row["threat_size"]) else row["threat_size"]
        threat = Threat(int(row["threat_rows"]), row["threat_how"], row["threat_trigger"], size)
        parts.append(f"threat {row['threat']}: {threat.describe()}")
    elif not simulated:
        parts.append("no threat asked")
    if not simulated and pd.notna(row["n_poisoned"]):
        parts.append(f"{row['n_poisoned']:.0f} training rows known to be poisoned")
    return "; ".join(parts)


def _table(rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return the cells of all rows, and how many columns of text they begin with."""
    table = pd.DataFrame({"defence": rows["defense"], "noise": rows["noise"].astype(str)})
    same = [*GROUP, "defense", "noise"]
    for axis, title in TOLD.items():
        if rows.groupby(same, dropna=False)[axis].nunique().max() > 1:
            table[title] = rows[axis].astype(str)
            same.append(axis)
    n_texts = table.shape[1]
    for column, title in {**SHARES, **OTHERS}.items():
        if rows[column].notna().any():
            table[title] = [_cell(column, value) for value in rows[column]]
    return table, n_texts


def _cell(column: str, value: float) -> str:
    if not np.isfinite(value):
        return "-" if np.isnan(value) else str(value)
    if column in SHARES:
        return _percent(value)
    if column == "median_rows":
        return str(int(value)) if value >= 0 else "none"
    return _rounded(value, ROUND_FLOOR)


def _percent(share: float) -> str:
    """Return a share in percent, rounded down."""
    return f"{np.floor(share * 1000 + 1e-9) / 10:.1f}"


def _rounded(value: float, rounding: str) -> str:
    """Return a number with three decimals."""
    return str(Decimal(repr(float(value))).quantize(Decimal("0.001"), rounding))


def _layout(table: pd.DataFrame, n_texts: int) -> list[str]:
    """Set each column under its title, broken into words; return the head and the rows."""
    widths = [max(len(word) for word in [*c.split(), *table[c]]) for c in table]
    titles = [_wrap(column, width) for column, width in zip(table, widths, strict=True)]
    height = max(len(title) for title in titles)
    padded = [[""] * (height - len(title)) + title for title in titles]
    lines = [list(line) for line in zip(*padded, strict=True)]
    lines += [["-" * width for width in widths], *table.to_numpy().tolist()]
    texts = [
        "  ".join(
            cell.ljust(width) if i < n_texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return ["\n".join(texts[: height + 1]), *texts[height + 1 :]]


def _wrap(title: str, width: int) -> list[str]:
    lines: list[str] = []
    for word in title.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _read(path: Path, numbers: list[str], texts: list[str]) -> pd.DataFrame:
    """Read a table that must have these columns, with numbers in some of them."""
    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        sys.exit(f"error: {path}: no such file; `snakemake --cores N` makes it")
    except (OSError, ValueError) as error:
        sys.exit(f"error: {path}: not a readable table: {error}")
    for column in [*texts, *numbers]:
        if column not in table:
            sys.exit(f"error: {path}: column {column} is missing; allowed: {WANTED}")
        if column in numbers and len(table) and not is_numeric_dtype(table[column]):
            sys.exit(f"error: {path}: column {column} holds something that is not a number")
    return table


def main() -> None:
    """Print the table of the file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="results/summary.csv, with models.csv beside it")
    path: Path = parser.parse_args().file
    summary = _read(path, NUMBERS, TEXTS)
    failed = _read(path.with_name("models.csv"), ["diverged", "constant"], [])
    if not len(summary):
        sys.exit(f"error: {path}: no rows")
    print(show(summary))
    diverged, constant = failed["diverged"].sum(), failed["constant"].sum()
    print(f"\nmodels that diverged: {diverged}; that see one class under their noise: {constant}")
    print(NOTE)
    print(f"all columns   {path}")
    for what, name in (("curves", "curves.csv"), ("figures", "figures"), ("report", "report.html")):
        if (place := path.with_name(name)).exists():
            print(f"{what:13} {place.resolve() if what == 'report' else place}")
    named = sorted(path.parent.glob("*/*/*/*/*/*/**/predictions.csv"))
    if named:
        print(f"{'predictions':13} {named[0]}" + (f" and {len(named) - 1} more" * (len(named) > 1)))


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):  # `show_summary.py FILE | head` ends with head
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
