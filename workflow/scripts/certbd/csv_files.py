"""CSV files as their owners write them: commas, or tabs where the name says so, plain or gzipped.

What could be read in two ways is refused with the way out, never guessed.
"""

import csv
import gzip
import io
import re
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from certbd.io import DataError, check_room

TAB = "\t"
SEPARATORS = {".csv": ",", ".data": ",", ".tsv": TAB}
"""By the name of the file, without .gz and whatever its capitals."""
NAMES = {",": "commas", ";": "semicolons", TAB: "tabs"}
INDEX = re.compile(r"Unnamed: \d+|__index_level_\d+__")
"""Names that pandas gives to columns without one, and to an index."""


def separator(path: Path) -> str | None:
    """Return what separates the columns of a file, by its name; None if it is no CSV file."""
    return SEPARATORS.get(Path(path.name.lower().removesuffix(".gz")).suffix)


def column_names(path: Path, header: bool) -> list[str | int]:
    """Return the columns: by the names in the first row, without blanks around them, or by number.

    Raises
    ------
    DataError
        If the first row is a comment, separated in another way or, as a header, lacks a name.
    OSError, UnicodeDecodeError
        If the file cannot be read.
    """
    row = first_row(path)
    if not header:
        return list(range(len(row)))
    names = [name.strip() for name in row]
    for number, name in enumerate(names):
        if not name:
            raise DataError(
                f"column {number} has no name; is it the index that pandas writes? Remove it, or "
                "write the file with index=False, because an index is no feature"
            )
    return list(names)


def check_names(names: Sequence[str | int]) -> None:
    """Refuse two columns of one name, and an index under the name that pandas gave it.

    Raises
    ------
    DataError
    """
    if twice := [name for name in names if names.count(name) > 1]:
        places = [number for number, name in enumerate(names) if name == twice[0]]
        raise DataError(f"{len(places)} columns called {twice[0]!r}, {places}; allowed: one")
    for name in names:
        if isinstance(name, str) and INDEX.fullmatch(name):
            raise DataError(
                f"column {name!r} is an index of pandas, not a feature; remove it, or write the "
                "file with index=False"
            )


def read_csv(path: Path, header: bool, text: str | int | None = None) -> pd.DataFrame:
    """Read all columns; or the column `text` alone, exactly as it stands in the file.

    Raises
    ------
    DataError, OSError, ValueError, pandas.errors.ParserWarning
        If the file cannot be read, or a row is longer than the first.
    """
    zipped = path.name.lower().endswith(".gz")
    if zipped:
        check_room(path, int.from_bytes(path.read_bytes()[-4:], "little"), path.stat().st_size)
    only: dict[str, Any] = {"usecols": [text], "dtype": str, "na_filter": False}
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the first
        return pd.read_csv(
            path,
            sep=separator(path),
            header=0 if header else None,
            names=column_names(path, header),
            compression="gzip" if zipped else None,
            encoding="utf-8-sig",
            skipinitialspace=True,
            index_col=False,
            low_memory=False,
            **({} if text is None else only),
        )


def first_row(path: Path) -> list[str]:
    """Return the cells of the first row; raise DataError if it is a comment or torn otherwise."""
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            start = file.read(2**16)
    except (EOFError, zlib.error) as error:
        raise DataError(f"damaged gzip file: {error}") from error
    line = start.lstrip("\r\n").split("\n", 1)[0].rstrip("\r")
    if not line:
        raise DataError("it is empty, or its first line is")
    if line.lower().startswith("sep="):
        raise DataError(f"its first line is {line!r}; remove it, and separate columns by commas")
    if line.startswith("#"):
        raise DataError("its first line starts with #; remove comment lines, which are not read")
    own = separator(path) or ","
    others = {mark: line.count(mark) for mark in NAMES if mark != own and mark in line}
    if own not in line and others:
        found = max(others, key=lambda mark: others[mark])
        raise DataError(
            f"its columns are separated by {NAMES[found]}; allowed: {NAMES[own]}"
            f"{' (or a name that ends in .tsv)' if found == TAB else ''}, with decimal points"
        )
    rest = io.StringIO(start.lstrip("\r\n"), newline="")
    return next(csv.reader(rest, delimiter=own, skipinitialspace=True))
