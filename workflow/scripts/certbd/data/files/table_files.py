"""The files of tables, CSV and Parquet: their columns by name, and values as they stand.

What separates columns is known from a file's name, never guessed; a file that is written in another
way is refused with what to do. An index that pandas wrote beside the columns is none of them.
"""

import gzip
import io
import re
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from certbd.artifacts.io import DataError, check_room
from certbd.data.labels import look

SEPARATORS = {".csv": ",", ".data": ",", ".tsv": "\t"}
NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars", " ": "blanks"}
SUFFIXES = (*SEPARATORS, *(f"{suffix}.gz" for suffix in SEPARATORS), ".parquet")
UNNAMED = re.compile(r"Unnamed: \d+(_level_\d+)?|__index_level_\d+__|")
"""What the index of `to_csv` and of `to_parquet` is called when it has no name."""
INDEX_LEVEL = re.compile(r"__index_level_\d+__")
MAGIC = {
    b"\x1f\x8b": "a gzip file (its name would end in .gz)",
    b"PK": "a zip archive or a spreadsheet",
    b"PAR1": "a Parquet file (its name would end in .parquet)",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}
HEAD = 2**20
"""Characters of a CSV file that are looked at to see how it is written."""
UNREADABLE = (OSError, EOFError, ValueError, zlib.error, pd.errors.ParserWarning, pa.ArrowException)


def suffix_of(path: Path) -> str:
    """Return which of `SUFFIXES` a file's name ends in, in capitals or not.

    Raises
    ------
    DataError
        If it is none of them.
    """
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return suffix
    raise DataError(
        f"{path}: not a table by its name; allowed: {', '.join(SUFFIXES)} (columns are separated "
        "by commas in .csv and by tabs in .tsv; rename it, or save it as one of these)"
    )


def column_names(path: Path, header: bool) -> list[str | int]:
    """Return the names of all columns, or their numbers without a header.

    Raises
    ------
    DataError
        If the file is no table, or two columns have one name, or one has none.
    """
    if suffix_of(path) == ".parquet":
        names = list(_schema(path, header).names)
    else:
        first = read_csv(path, header=None, nrows=1, dtype=str, na_filter=False, index_col=False)
        if not header:
            return list(range(first.shape[1]))
        names = [str(name).strip() for name in first.iloc[0]]
    _check_names(path, names)
    return list(names)


def _check_names(path: Path, names: Sequence[str]) -> None:
    is_parquet = suffix_of(path) == ".parquet"
    first: dict[str, int] = {}
    for number, name in enumerate(names):
        if UNNAMED.fullmatch(name) and not (is_parquet and INDEX_LEVEL.fullmatch(name)):
            raise DataError(
                f"{path}: column {number} has no name ({name!r}); the index that pandas writes is "
                "no feature: write the table with index=False, or give the column a name"
            )
        if (other := first.setdefault(look(name), number)) != number:
            raise DataError(
                f"{path}: columns {other} and {number} are both called {look(name)!r}; "
                "allowed: one of each name"
            )


def index_levels(path: Path) -> list[str]:
    """Return the columns of a Parquet file that are levels of the index that pandas wrote.

    Raises
    ------
    DataError
        If the file is no table.
    """
    if suffix_of(path) != ".parquet":
        return []
    schema = _schema(path, True)
    try:
        levels = (schema.pandas_metadata or {}).get("index_columns", [])
    except (ValueError, AttributeError) as error:
        raise DataError(f"{path}: not a readable table: its pandas metadata: {error}") from error
    return [name for name in schema.names if name in levels or INDEX_LEVEL.fullmatch(name)]


def _schema(path: Path, header: bool) -> pa.Schema:
    if not header:
        raise DataError(f"{path}: header: false is for CSV files; a Parquet file names its columns")
    try:
        return pq.read_schema(path)
    except UNREADABLE as error:
        raise DataError(f"{path}: not a readable table: {error}") from error


def read_csv(path: Path, **options: Any) -> pd.DataFrame:
    """Read a CSV file by pandas, with the separator that its name says.

    Raises
    ------
    DataError
        If it is not one.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            return pd.read_csv(
                _unpacked(path),
                sep=_separator(path),
                skipinitialspace=True,
                low_memory=False,
                **options,
            )
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(f"{path}: not a readable table{_magic(path)}: {error}") from error


def _separator(path: Path) -> str:
    return SEPARATORS[suffix_of(path).removesuffix(".gz")]


def _unpacked(path: Path) -> Path | io.BytesIO:
    """Return what a CSV file holds: the file, or for gzip the content."""
    if not suffix_of(path).endswith(".gz"):
        return path
    content = io.BytesIO()
    with gzip.open(path) as file:
        while block := file.read(HEAD):
            content.write(block)
            check_room(path, content.tell(), path.stat().st_size)
    content.seek(0)
    return content


def _magic(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    found = [what for magic, what in MAGIC.items() if start.startswith(magic)]
    return f", but {found[0]}" if found and not suffix_of(path).endswith(".gz") else ""


def read_parquet(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read some columns of a Parquet file.

    Raises
    ------
    DataError
        If it is not one.
    """
    try:
        with pq.ParquetFile(path) as file:
            cells = file.metadata.num_rows * file.metadata.num_columns
            check_room(path, 8 * cells, path.stat().st_size)
            return file.read(columns=list(columns)).to_pandas(ignore_metadata=True)
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(f"{path}: not a readable table: {error}") from error


def read_text(path: Path, column: str | int, header: bool) -> pd.Series:
    """Read one column as it stands: text of a CSV file, values of a Parquet file.

    Raises
    ------
    DataError
        If the file is no table or has no such column.
    """
    if suffix_of(path) == ".parquet":
        try:
            with pq.ParquetFile(path) as file:
                check_room(path, 8 * file.metadata.num_rows, path.stat().st_size)
                values = file.read(columns=[column]).column(0).to_pylist()
        except DataError:
            raise
        except UNREADABLE as error:
            raise DataError(f"{path}: not a readable table: {error}") from error
        return pd.Series(values, dtype=object)
    names = column_names(path, header)
    table = read_csv(
        path,
        header=0 if header else None,
        names=names,
        usecols=[names.index(column)],
        index_col=False,
        dtype=str,
        na_filter=False,
    )
    return table[column]


def count_rows(path: Path, column: str | int, header: bool) -> int:
    """Return the number of a table's rows; errors as `read_text`."""
    return len(read_text(path, column, header))


def how_read(path: Path) -> str:
    """Say in words how a file is read where its name does not say it all: else nothing."""
    if suffix_of(path) in (".csv", ".parquet"):
        return ""
    packed = " out of gzip" if suffix_of(path).endswith(".gz") else ""
    return f"read with {NAMES[_separator(path)]} between columns{packed}"


def refuse_stray_line(path: Path, label_column: str | int) -> None:
    """Refuse a CSV file that begins with a line which is neither its header nor a row.

    Raises
    ------
    DataError
        If it does, or cannot be read.
    """
    lines = _first_lines(path)
    first = lines[0] if lines else ""
    if re.fullmatch(r'"?sep=.?"?', first, re.IGNORECASE):
        raise DataError(f"{path}: its first line is {first!r}, which is no row; remove it")
    mark = re.match(r"#|%|//", first)
    if mark and not all(line.startswith(mark[0]) for line in lines):
        names = [name.strip(' "') for name in first.split(_separator(path))]
        if label_column not in names:
            raise DataError(
                f"{path}: its first line, {first[:80]!r}, is a comment and no row; remove it"
            )


def other_separator(path: Path) -> str:
    """Say what separates a CSV file's columns if not what its name says: a clause, or nothing.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    lines = _first_lines(path)
    if not lines:
        return ""
    suffix, own = suffix_of(path), _separator(path)
    used = [mark for mark in NAMES if mark != own and _is_in_all(mark, lines)]
    alone = not any(own in line for line in lines)
    found = [mark for mark in used if alone or (own == "," and mark != " ")]
    if not found:
        return ""
    fit = [ending for ending, mark in SEPARATORS.items() if mark == found[0]]
    return (
        f"its columns are separated by {NAMES[found[0]]}, those of a {suffix} file by {NAMES[own]};"
        + (f" name it {fit[0]}" if fit else f" save it with {NAMES[own]}")
        + ", and write decimals with a point"
    )


def _is_in_all(mark: str, lines: Sequence[str]) -> bool:
    """Whether a mark stands equally often, and at least once, in every line, quotes apart."""
    counts = {re.sub(r'"[^"]*"', "", line.strip(" ")).count(mark) for line in lines}
    return len(counts) == 1 and counts != {0}


def _first_lines(path: Path) -> list[str]:
    """Return the first complete lines of a CSV file that are not empty; none of a Parquet file."""
    if suffix_of(path) == ".parquet":
        return []
    opened = gzip.open if suffix_of(path).endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            head = file.read(HEAD)
    except UNREADABLE as error:
        raise DataError(f"{path}: not a readable table{_magic(path)}: {error}") from error
    lines = head.splitlines()
    complete = lines[:-1] if len(head) == HEAD else lines
    return [line for line in complete if line.strip()][:50]
