"""Tables from elsewhere, as they are: Parquet, and text with commas or tabs, each also as gzip.

The named levels of a pandas index are columns like any other. Two columns of one name are refused,
because one of them would be read and the other not.
"""

import gzip
import io as streams
import json
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from certbd.artifacts.io import KEY, MOST_UNFOLDED, NEVER_A_BOMB, DataError, check_room

SEPARATORS = {".csv": ",", ".tsv": "\t"}
ALLOWED = ".parquet, .csv (columns separated by commas), .tsv (by tabs), .csv.gz, .tsv.gz"
UNREADABLE = (OSError, ValueError, EOFError, zlib.error, pa.ArrowException)


def schema(path: str) -> pa.Schema:
    """Return the columns of a Parquet file, its pandas index apart.

    Raises
    ------
    DataError
        If it cannot be read, or has two columns of one name.
    """
    try:
        found = pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a readable Parquet file: {error}") from error
    names_of(path, found.names)
    return found


def index_names(found: pa.Schema) -> list[str]:
    """Return the names of index levels that are numbers 0, 1, 2, ... and so are not stored."""
    levels = (found.pandas_metadata or {}).get("index_columns", [])
    names = [level.get("name") for level in levels if isinstance(level, dict)]
    return [name for name in names if name is not None]


def settings_of(found: pa.Schema) -> dict[str, Any]:
    """Return the settings that a file of certbd itself was made from; none for other files."""
    try:
        return dict(json.loads((found.metadata or {})[KEY.encode()])["settings"])
    except (KeyError, ValueError, TypeError):
        return {}


def names_of(path: str, names: Iterable[Any]) -> list[str]:
    """Return the names of columns without the blanks around them; two of one name are refused."""
    clean = [str(name).strip() for name in names]
    if repeated := [name for name in clean if clean.count(name) > 1]:
        raise DataError(f"{path}: {clean.count(repeated[0])} columns {repeated[0]!r}; allowed: one")
    return clean


def check_parquet_room(path: str) -> None:
    """Refuse a Parquet file that unfolds to far more than is stored."""
    stored = pq.read_metadata(path)
    groups = [stored.row_group(number) for number in range(stored.num_row_groups)]
    unfolded = max(8 * stored.num_rows * stored.num_columns, sum(g.total_byte_size for g in groups))
    check_room(path, unfolded, Path(path).stat().st_size)


def read(path: str) -> pd.DataFrame:
    """Read a table; text stays text where it is in a CSV file.

    Raises
    ------
    DataError
        If it is not one of `ALLOWED` by its name, cannot be read, or has two columns of one name.
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    packed = suffixes[-1:] == [".gz"]
    separator = SEPARATORS.get("".join(suffixes[-2:-1] if packed else suffixes[-1:]))
    try:
        if separator is not None:
            return _read_text(path, separator, packed)
        with Path(path).open("rb") as file:
            if file.read(4) != b"PAR1":
                raise DataError(f"{path}: not a table by its name; allowed: {ALLOWED}")
        return _read_parquet(path)
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(f"{path}: not a readable table: {error}") from error


def _read_parquet(path: str) -> pd.DataFrame:
    schema(path)
    check_parquet_room(path)
    table = pq.read_table(path).to_pandas()
    levels = [name for name in table.index.names if name is not None]
    names_of(path, [*levels, *table.columns])
    table = table.reset_index(levels) if levels else table
    table = table.reset_index(drop=True)
    return table.set_axis(names_of(path, table.columns), axis=1)


def _read_text(path: str, separator: str, packed: bool) -> pd.DataFrame:
    content = _unpacked(path) if packed else Path(path).read_bytes()
    rows = pd.read_csv(
        streams.BytesIO(content),
        sep=separator,
        header=None,
        dtype=str,
        keep_default_na=False,
        encoding="utf-8-sig",
    )
    names = names_of(path, rows.iloc[0])
    if len(names) == 1 and any(sign in names[0] for sign in ",;\t"):
        raise DataError(f"{path}: one column, {names[0]!r}; allowed: {ALLOWED}")
    return rows.iloc[1:].set_axis(names, axis=1).reset_index(drop=True)


def _unpacked(path: str) -> bytes:
    stored = Path(path).stat().st_size
    with gzip.open(path) as file:
        content = file.read(max(NEVER_A_BOMB, MOST_UNFOLDED * stored) + 1)
    check_room(path, len(content), stored)
    return content
