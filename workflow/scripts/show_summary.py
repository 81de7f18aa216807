"""Print ``summary.csv`` as a readable table, and where the rest is."""

import argparse
import signal
import sys
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

AXES = ["dataset", "attack", "defense", "noise"]
SHARES = {
    "undefended_attack_success": "attack success, undefended",
    "attack_success": "attack success, defended",
    "clean_accuracy": "clean accuracy",
    "certified_at_attack": "certified at the attack: triggered",
    "clean_certified_at_attack": "certified at the attack: benign",
    "clean_certified_at_attack_worst_class": "certified at the attack: worst class",
}
WANTED = "summary.csv as a run writes it, with models.csv beside it"
RADII = {"attack_norm": "attack's norm", "largest_trigger_radius": "largest trigger radius"}


def show(summary: pd.DataFrame) -> str:
    """Return the summary as text: shares in percent and radii rounded down, norms up."""
    table = summary[AXES].astype(str)
    for column, title in SHARES.items():
        percent = np.floor(summary[column] * 1000 + 1e-9) / 10
        table[title] = percent.map("{:.1f} %".format).where(percent.notna(), "-")
    for column, title in RADII.items():
        rounding = ROUND_CEILING if column == "attack_norm" else ROUND_FLOOR
        table[title] = [_decimals(value, rounding) for value in summary[column]]
    return _layout(table)


def _decimals(value: float, rounding: str) -> str:
    """Return a number with three decimals."""
    if not np.isfinite(value):
        return "-" if np.isnan(value) else str(value)
    return str(Decimal(repr(float(value))).quantize(Decimal("0.001"), rounding))


def _layout(table: pd.DataFrame) -> str:
    """Set each column under its title, broken into words."""
    widths = [
        max(len(word) for word in [*" ".join(c.split(" ")).split(), *table[c]]) for c in table
    ]
    titles = [_wrap(column, width) for column, width in zip(table, widths, strict=True)]
    height = max(len(title) for title in titles)
    padded = [[""] * (height - len(title)) + title for title in titles]
    lines = [list(line) for line in zip(*padded, strict=True)]
    lines += [["-" * width for width in widths], *table.to_numpy().tolist()]
    left = len(AXES)
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


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
    summary = _read(path, [*SHARES, *RADII], AXES)
    failed = _read(path.with_name("models.csv"), ["diverged", "constant"], [])
    if not len(summary):
        sys.exit(f"error: {path}: no rows")
    print(show(summary))
    diverged, constant = failed["diverged"].sum(), failed["constant"].sum()
    print(f"\nmodels that diverged: {diverged}; that see one class under their noise: {constant}")
    print(
        "\ncertified at the attack: predicted right, with a trigger radius above the attack's norm"
        "\nat its own number of poisoned inputs; discrete counts changed pixels and labels."
        "\nFlipped labels stay flipped in what rab, cert_ssb and decoupled certify; the radii of"
        "\ncert_ssb hold for its noise frozen. What this promises and what not: README.md and"
        "\ndocs/theory.md."
    )
    print(f"\nall columns   {path}")
    for what, name in (("curves", "curves.csv"), ("figures", "figures"), ("report", "report.html")):
        if (place := path.with_name(name)).exists():
            print(f"{what:13} {place.resolve() if what == 'report' else place}")


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):  # `show_summary.py FILE | head` ends with head
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
