"""Tables (CSV, Parquet) and npz files as inputs in [0, 1] and the names of their classes.

Nothing is fitted: a column is scaled by constants of the configuration, or not at all. Rows are
counted from 0, a CSV file's header apart.
"""

import math
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from certbd.artifacts.io import DataError, check_room
from certbd.data import table_files
from certbd.data.table_files import SUFFIXES as SUFFIXES

NO_NPZ = (zipfile.BadZipFile, NotImplementedError, RuntimeError, tokenize.TokenError)
"""What reading a damaged npz file raises, or one that is compressed or encrypted in another way."""
Ranges = Sequence[float] | Mapping[str, Sequence[float]] | None


def feature_columns(
    path: Path, label_column: str | int, header: bool, id_column: str | int | None = None
) -> list[str | int]:
    """Return the columns beside those of labels and identifiers, reading no more than the head.

    Levels of an index that pandas wrote (`table_files.index_levels`) are left out.

    Raises
    ------
    DataError
        If the file is no table or written in another way than its name says, has no label column
        or none beside it, two columns of one name or one without.
    """
    table_files.refuse_stray_line(path, label_column)
    separator = table_files.other_separator(path)
    found = table_files.column_names(path, header)
    for key, column in (("label_column", label_column), ("id_column", id_column)):
        if column is not None and column not in found:
            raise DataError(
                f"{path}: no column {column!r} (the key {key}); it has {_some(found)}"
                + (f": {separator}" if separator else "")
            )
    if separator:
        raise DataError(f"{path}: {separator}")
    copies = [
        name for name in found if re.fullmatch(rf"{re.escape(str(label_column))}\.\d+", str(name))
    ]
    if copies:
        raise DataError(
            f"{path}: column {copies[0]!r} is what pandas calls a second column {label_column!r}, "
            "so it is no feature; remove it, or give it a name of its own"
        )
    left_out = {label_column, id_column, *table_files.index_levels(path)}
    features = [column for column in found if column not in left_out]
    if not features:
        raise DataError(
            f"{path}: columns {_some(found)}; allowed: one of each name, and one beside the label"
        )
    return features


def read_labels(path: Path, label_column: str | int, header: bool) -> pd.Series:
    """Read nothing but the label column, as it stands in the file.

    Raises
    ------
    DataError
        As `feature_columns`.
    """
    feature_columns(path, label_column, header)
    return table_files.read_text(path, label_column, header)


def read_ids(path: Path, id_column: str | int, header: bool) -> list[str]:
    """Read the identifiers of rows, as text.

    Raises
    ------
    DataError
        If one is missing or there twice.
    """
    ids = table_files.read_text(path, id_column, header)
    return identifiers(ids, f"{path}: column {id_column}")


def identifiers(values: Any, where: str) -> list[str]:
    """Return identifiers as text; raise DataError where one is missing or there twice."""
    ids = pd.Series(values)
    names = ids.astype(str).str.strip()
    if len(missing := np.flatnonzero(ids.isna() | (names == ""))):
        raise DataError(f"{where}, row {missing[0]}: no identifier; allowed: one in each row")
    if len(twice := np.flatnonzero(names.duplicated())):
        first = int((names == names[twice[0]]).argmax())
        raise DataError(
            f"{where}, row {twice[0]}: {names[twice[0]]!r} is in row {first}, too; allowed: one "
            "row for each identifier"
        )
    return names.to_list()


def read_inputs(
    path: Path,
    columns: Sequence[str | int],
    apart: tuple[str | int, str | int | None],
    header: bool,
    ranges: Ranges,
) -> NDArray[np.float32]:
    """Read all columns but those of labels and identifiers, each scaled by its range.

    Parameters
    ----------
    path : Path
        CSV or Parquet file.
    columns : sequence
        The training table's `feature_columns`, which give the order.
    apart : pair
        The columns of labels and, where there are any, of identifiers.
    ranges : pair, mapping or None
        Lowest and highest value of every column, or of the columns named, which become 0 and 1;
        other columns must lie in [0, 1].

    Returns
    -------
    array
        float32 in [0, 1], shape (n, features).

    Raises
    ------
    DataError
        If the file is no table, has other columns, or holds text, NaN or a number outside its
        range.
    """
    label_column, id_column = apart
    if set(feature_columns(path, label_column, header, id_column)) != set(columns):
        wanted = f"those of the training table, {_some(columns)} with the label"
        found = table_files.column_names(path, header)
        raise DataError(f"{path}: columns {_some(found)}; allowed: {wanted}")
    table = _read(path, header, columns)
    by_name = ranges if isinstance(ranges, Mapping) else {str(name): ranges for name in columns}
    if unknown := sorted(set(by_name) - set(map(str, columns))):
        raise DataError(f"{path}: no column {unknown[0]!r} (the key ranges) in {_some(columns)}")
    inputs = np.empty((len(table), len(columns)), np.float32)
    for index, column in enumerate(columns):
        where, values = f"{path}: column {column}, row", table[column]
        inputs[:, index] = _scaled(_numbers(values), by_name.get(str(column)), where, values)
    return inputs


def _read(path: Path, header: bool, columns: Sequence[str | int]) -> pd.DataFrame:
    """Read columns of a table."""
    if table_files.suffix_of(path) == ".parquet":
        return table_files.read_parquet(path, [str(column) for column in columns])
    names = table_files.column_names(path, header)
    return table_files.read_csv(path, header=0 if header else None, names=names, index_col=False)


def _some(columns: Iterable[str | int]) -> str:
    names = [repr(name) for name in columns]
    return ", ".join(names[:10]) + (f", ... ({len(names)} in all)" if len(names) > 10 else "")


def _numbers(values: pd.Series) -> NDArray[np.float64]:
    """Return values as numbers, NaN for what is none."""
    if values.dtype.kind in "biuf":
        return values.to_numpy(np.float64, na_value=np.nan)
    try:
        return np.asarray(pd.to_numeric(values.astype("str"), errors="coerce"), np.float64)
    except (TypeError, ValueError):
        return np.full(len(values), np.nan)


def _scaled(
    numbers: NDArray[np.float64], given: Sequence[float] | None, where: str, shown: Any
) -> NDArray[np.float64]:
    """Move numbers from [low, high] to [0, 1]; raise DataError where one lies outside."""
    low, high = given or (0, 1)
    wrong = np.argwhere(~((numbers >= low) & (numbers <= high)))
    if len(wrong):
        row = int(wrong[0][0])
        value = shown.iloc[row] if isinstance(shown, pd.Series) else shown[tuple(wrong[0])]
        source = "the key ranges" if given else "or constants under the key ranges"
        if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d*,\d+\s*", value):
            source += "; decimals are written with a point"
        raise DataError(
            f"{where} {row}: {value}; allowed: a number from {low:.15g} to {high:.15g} ({source})"
        )
    return (numbers - low) / (high - low)


def empty_ranges(ranges: Ranges, path: str) -> Iterator[str]:
    """Say which ranges have no extent; `path` is that of the key."""
    named = ranges.items() if isinstance(ranges, Mapping) else [("", ranges or (0, 1))]
    for column, (low, high) in named:
        if not low < high:
            key = f"{path}.{column}" if column else path
            yield f"{key}: [{low:.15g}, {high:.15g}]; allowed: low below high"


def read_array(path: Path, name: str) -> NDArray[Any]:
    """Read one array of an npz file, in this machine's order of bytes.

    Raises
    ------
    DataError
        If the file is no npz file, or the array is not there, damaged or holds Python objects
        or records.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            array = stored[name]
    except (OSError, KeyError, ValueError, EOFError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: array {name} cannot be read: {error}") from error
    except (zlib.error, *NO_NPZ) as error:
        raise DataError(f"{path}: not a readable npz file: {error}") from error
    if array.dtype.kind == "V":
        raise DataError(f"{path}: array {name} of records, {array.dtype}; allowed: numbers or text")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def array_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of an npz file's arrays without reading these.

    Raises
    ------
    DataError
        If it is no npz file.
    """
    shapes = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                with archive.open(member) as file:
                    version = np.lib.format.read_magic(file)
                    read = np.lib.format.read_array_header_1_0
                    if version != (1, 0):
                        read = np.lib.format.read_array_header_2_0
                    shape, _, dtype = read(file)
                    if math.prod(shape) * dtype.itemsize > archive.getinfo(member).file_size:
                        raise DataError(f"array {member} is shorter than its header says")
                    shapes[member.removesuffix(".npy")] = shape
            unfolded = sum(member.file_size for member in archive.infolist())
    except (OSError, ValueError, EOFError, zlib.error, *NO_NPZ) as error:
        raise DataError(f"{path}: not a readable npz file: {error}") from error
    check_room(path, unfolded, path.stat().st_size)
    return shapes


def scale_array(
    inputs: NDArray[Any], ranges: Sequence[float] | None, where: str
) -> NDArray[np.float32]:
    """Check inputs (n, features) or (n, channels, height, width) and scale them to [0, 1].

    Raises
    ------
    DataError
        If they are no numbers, or one lies outside its range.
    """
    if inputs.dtype.kind not in "biuf":
        raise DataError(f"{where}: values of type {inputs.dtype}; allowed: numbers")
    if inputs.dtype.kind == "b" or ranges:
        inputs = inputs.astype(np.float64)
    scaled = _scaled(inputs, ranges, f"{where}, row", inputs)
    return scaled.astype(np.float32)
