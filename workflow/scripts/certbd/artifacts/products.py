"""What people read: CSV tables and SVG figures, with provenance and checksums.

A CSV file has no footer, and its columns are fixed; a JSON file beside it holds its SHA-256.
"""

import csv
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pandas as pd

from certbd.artifacts import seals
from certbd.artifacts.io import UNREADABLE, DataError, atomic, check_seal, check_sum, footer, sealed


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as CSV; an empty cell is a number that does not exist."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)


def write_sums(path: str | Path, tables: Sequence[str | Path], origin: Mapping[str, Any]) -> None:
    """Write the provenance and the SHA-256 of CSV files as a JSON file beside them."""
    sums = {Path(table).name: seals.file_sum(table) for table in tables}
    text = json.dumps({**origin, "sha256": sums, "seal": seals.OPEN}, indent=1, sort_keys=True)
    with sealed(path) as temporary:
        temporary.write_text(f"{text}\n")


def read_sums(path: str | Path) -> dict[str, Any]:
    """Return what `write_sums` wrote; raise DataError if it is missing or damaged."""
    check_seal(path)
    try:
        origin: dict[str, Any] = json.loads(Path(path).read_text())
        return origin | {"sha256": dict(origin["sha256"])}
    except UNREADABLE as error:
        raise DataError(f"{path}: damaged: {error}; remove it and run again") from error


def check_sums(path: str | Path) -> None:
    """Refuse CSV files that are not those of which `write_sums` wrote the SHA-256.

    Raises
    ------
    DataError
        If one of them or the JSON file itself is missing or damaged.
    """
    for name, expected in read_sums(path)["sha256"].items():
        check_sum(Path(path).with_name(name), expected, f"damaged or edited since {path}")


def remove_figures(folder: Path, drawn: Collection[Path]) -> Iterator[Path]:
    """Remove figures of datasets that are not among those `drawn`; yield them.

    Those of the audit and of reach are of other tables, and stay.
    """
    for file in sorted(folder.glob("*/*")):
        of_tables = file.suffix in (".svg", ".pdf") and file.stem != "audit"
        if of_tables and file.resolve() not in drawn:
            file.unlink()
            yield file
            if not any(file.parent.iterdir()):
                file.parent.rmdir()


def sign_figure(path: str | Path, origin: Mapping[str, Any]) -> None:
    """Put provenance and a seal at the end of an SVG figure."""
    drawing = Path(path).read_text().rstrip().removesuffix("</svg>")
    with sealed(path) as temporary:
        text = f"<metadata>{escape(footer(origin))}</metadata>\n</svg>\n"
        temporary.write_text(drawing + text)
