"""Tables (CSV, Parquet) and npz files as inputs in [0, 1] and the names of their classes.

Nothing is fitted: a column is scaled by constants of the configuration, or not at all. Rows are
counted from 0, a CSV file's header apart.
"""

import math
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from certbd.io import DataError, check_room

SUFFIXES = (".csv", ".parquet")
NO_NPZ = (zipfile.BadZipFile, NotImplementedError, RuntimeError, tokenize.TokenError)
"""What reading a damaged npz file raises, or one that is compressed or encrypted in another way."""
Ranges = Sequence[float] | Mapping[str, Sequence[float]] | None


def feature_columns(path: Path, label_column: str | int, header: bool) -> list[str | int]:
    """Return the columns beside the label column, without reading more than the first row.

    Raises
    ------
    DataError
        If the file is no table, has no label column or none beside it, or two of one name.
    """
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path}: not a table by its name; allowed: {', '.join(SUFFIXES)}")
    found = list(_read(path, header, n_rows=1))
    if label_column not in found:
        raise DataError(
            f"{path}: no column {label_column!r} (the key label_column); it has {_some(found)}"
        )
    features = [column for column in found if column != label_column]
    if not features or len(set(found)) < len(found):
        raise DataError(
            f"{path}: columns {_some(found)}; allowed: one of each name, and one beside the label"
        )
    return features


def read_labels(path: Path, label_column: str | int, header: bool) -> pd.Series:
    """Read nothing but the label column.

    Raises
    ------
    DataError
        As `feature_columns`.
    """
    feature_columns(path, label_column, header)
    return _read(path, header, [label_column])[label_column]


def read_inputs(
    path: Path,
    columns: Sequence[str | int],
    label_column: str | int,
    header: bool,
    ranges: Ranges,
) -> NDArray[np.float32]:
    """Read all columns but the label, each scaled by its range.

    Parameters
    ----------
    path : Path
        CSV or Parquet file.
    columns : sequence
        The training table's `feature_columns`, which give the order.
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
    table = _read(path, header)
    if set(table.columns) != {*columns, label_column}:
        wanted = f"those of the training table, {_some(columns)} with the label"
        raise DataError(f"{path}: columns {_some(table.columns)}; allowed: {wanted}")
    by_name = ranges if isinstance(ranges, Mapping) else {str(name): ranges for name in columns}
    if unknown := sorted(set(by_name) - set(map(str, columns))):
        raise DataError(f"{path}: no column {unknown[0]!r} (the key ranges) in {_some(columns)}")
    inputs = np.empty((len(table), len(columns)), np.float32)
    for index, column in enumerate(columns):
        where, values = f"{path}: column {column}, row", table[column]
        inputs[:, index] = _scaled(_numbers(values), by_name.get(str(column)), where, values)
    return inputs


def label_names(values: Any, where: str, classes: Sequence[str] | None) -> NDArray[np.str_]:
    """Name the class of each row.

    Parameters
    ----------
    values : Series or array
        Whole numbers or text, shape (n,).
    where : str
        What the values are, for messages.
    classes : sequence of str or None
        The names that are allowed; None to allow either whole numbers or text, not both.

    Raises
    ------
    DataError
        If a label is missing, no whole number and no text, or not allowed.
    """
    values = pd.Series(values)
    try:
        codes, found = pd.factorize(values)
    except TypeError as error:
        raise DataError(f"{where}: {error}; allowed: whole numbers or text") from error
    names = [_label_name(value) for value in found]
    if classes is None:
        whole = {name for name in names if name is not None and _is_whole(name)}
        known = whole or set(names) - {None}
        allowed = "a whole number" if whole else "a whole number or text"
    else:
        known = set(classes)
        allowed = f"one of {', '.join(classes)} (the key classes)"
    fine = np.array([*(name in known for name in names), False])  # -1, the last, is a missing label
    wrong = np.flatnonzero(~fine[codes])
    if len(wrong):
        row = int(wrong[0])
        raise DataError(f"{where}, row {row}: label {values.iloc[row]}; allowed: {allowed}")
    return np.array(names, np.str_)[codes] if names else np.array([], np.str_)


def _label_name(value: Any) -> str | None:
    if isinstance(value, str | bool | np.bool_):
        return str(value) or None
    if isinstance(value, int | float | np.integer | np.floating) and value % 1 == 0:
        return str(int(value))
    return None


def sorted_classes(labels: NDArray[np.str_]) -> list[str]:
    """Return the classes found: whole numbers by value, text by letter."""
    found = sorted(set(labels.tolist()))
    return sorted(found, key=int) if all(map(_is_whole, found)) else found


def _is_whole(name: str) -> bool:
    return name.removeprefix("-").isdecimal()


def _read(
    path: Path,
    header: bool,
    columns: list[str | int] | None = None,
    n_rows: int | None = None,
) -> pd.DataFrame:
    """Read a table; all columns and rows unless told otherwise."""
    try:
        if path.suffix == ".parquet":
            if not header:
                raise DataError("header: false is for CSV files; a Parquet file names its columns")
            return _read_parquet(path, columns, n_rows)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            return pd.read_csv(
                path,
                header=0 if header else None,
                usecols=columns,
                nrows=n_rows,
                index_col=False,
                low_memory=False,
            )
    except (OSError, ValueError, pd.errors.ParserWarning, pa.ArrowException) as error:
        raise DataError(f"{path}: not a readable table: {error}") from error


def _read_parquet(path: Path, columns: Any, n_rows: int | None) -> pd.DataFrame:
    with pq.ParquetFile(path) as file:
        cells = file.metadata.num_rows * file.metadata.num_columns
        check_room(path, 8 * cells, path.stat().st_size)
        if n_rows is not None:
            return file.schema_arrow.empty_table().to_pandas(ignore_metadata=True)
        return file.read(columns=columns).to_pandas(ignore_metadata=True)


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
        raise DataError(
            f"{where} {row}: {value}; allowed: a number from {low} to {high} ({source})"
        )
    return (numbers - low) / (high - low)


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
