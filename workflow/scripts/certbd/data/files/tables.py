"""Tables (CSV, Parquet) as inputs in [0, 1], labels and identifiers.

Nothing is fitted: a column is scaled by constants of the configuration, or not at all. Rows are
counted from 0, a CSV file's header apart.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from certbd.artifacts.io import DataError
from certbd.data.files import table_files
from certbd.data.files.scaling import Scaling, numbers_of
from certbd.data.files.table_files import SUFFIXES as SUFFIXES

Column = str | int


class Layout(NamedTuple):
    """What the columns of a table are: a dataset's keys."""

    header: bool
    label: Column
    id: Column | None = None
    ignore: Sequence[Column] = ()
    columns: Sequence[Column] | None = None
    """The features; None for all columns that are nothing else."""


def feature_columns(path: Path, layout: Layout) -> list[Column]:
    """Return the columns of features, reading no more than the head.

    Levels of an index that pandas wrote (`table_files.index_levels`) are left out.

    Raises
    ------
    DataError
        If the file is no table or written in another way than its name says, has no label column
        or none beside it, two columns of one name or one without, or lacks one that a key names.
    """
    label = layout.label
    table_files.refuse_stray_line(path, label)
    separator = table_files.other_separator(path)
    found = table_files.column_names(path, layout.header)
    named = {"label_column": [label], "id_column": [layout.id] if layout.id is not None else []}
    named |= {"ignore": list(layout.ignore), "columns": list(layout.columns or ())}
    for key, columns in named.items():
        if lacking := [column for column in columns if column not in found]:
            raise DataError(
                f"{path}: no column {lacking[0]!r} (the key {key}); it has {some(found)}"
                + (f": {separator}" if separator else "")
            )
    if separator:
        raise DataError(f"{path}: {separator}")
    copies = [name for name in found if re.fullmatch(rf"{re.escape(str(label))}\.\d+", str(name))]
    if copies:
        raise DataError(
            f"{path}: column {copies[0]!r} is what pandas calls a second column {label!r}, "
            "so it is no feature; remove it, or give it a name of its own"
        )
    if layout.columns is not None:
        return list(layout.columns)
    left_out = {label, layout.id, *layout.ignore, *table_files.index_levels(path)}
    features = [column for column in found if column not in left_out]
    if not features:
        raise DataError(
            f"{path}: columns {some(found)}; allowed: one of each name, and one beside the label"
        )
    return features


def new_columns(
    path: Path, training: Path, layout: Layout
) -> tuple[list[Column], list[Column], list[Column]]:
    """Find the columns of new inputs, without or with labels.

    Parameters
    ----------
    training : Path
        The training table, of this layout.

    Returns
    -------
    columns, names : list
        The features in the order of the training table, as they are called here and there.
        Without a header numbers count on without the label, where it is left out.
    unread : list
        The columns that are not read.

    Raises
    ------
    DataError
        If the file is no table, or has other columns.
    """
    if separator := table_files.other_separator(path):
        raise DataError(f"{path}: {separator}")
    names = feature_columns(training, layout)
    every = table_files.column_names(training, layout.header)
    found, columns = table_files.column_names(path, layout.header), list(names)
    if not layout.header and len(found) == len(every) - 1:
        place = {name: k for k, name in enumerate(n for n in every if n != layout.label)}
        columns, every = [place[name] for name in names], found
    elif not layout.header and len(found) != len(every):
        raise DataError(
            f"{path}: {len(found)} columns; allowed: the {len(every)} of the training table, or "
            "all but the label"
        )
    known = {*every, layout.label, *table_files.index_levels(path)}
    if set(columns) - set(found) or set(found) - known:
        wanted = f"those of the training table, {some(names)}, with or without the label"
        raise DataError(f"{path}: columns {some(found)}; allowed: {wanted}")
    return columns, names, [name for name in found if name not in columns]


def read_labels(path: Path, layout: Layout) -> pd.Series:
    """Read nothing but the label column, as it stands in the file.

    Raises
    ------
    DataError
        As `feature_columns`.
    """
    feature_columns(path, layout)
    return table_files.read_text(path, layout.label, layout.header)


def read_ids(path: Path, id_column: Column, header: bool) -> list[str]:
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
    path: Path, columns: Sequence[Column], layout: Layout, scaling: Scaling
) -> NDArray[np.float32]:
    """Read the features of a table, each scaled by its constants.

    Parameters
    ----------
    path : Path
        CSV or Parquet file.
    columns : sequence
        The training table's `feature_columns`, which give the order.

    Returns
    -------
    array
        float32, shape (n, features): in [0, 1], but for columns with a centre or a scale.

    Raises
    ------
    DataError
        If the file is no table, has other columns, or holds text, NaN or a number outside its
        range.
    """
    if set(feature_columns(path, layout)) != set(columns):
        wanted = f"those of the training table, {some(columns)} with the label"
        found = table_files.column_names(path, layout.header)
        raise DataError(f"{path}: columns {some(found)}; allowed: {wanted}")
    return scaled_columns(path, columns, columns, layout.header, scaling)


def scaled_columns(
    path: Path,
    columns: Sequence[Column],
    names: Sequence[Column],
    header: bool,
    scaling: Scaling,
) -> NDArray[np.float32]:
    """Read columns, each scaled by the constants of its name; otherwise as `read_inputs`."""
    for key, named in scaling.named().items():
        if unknown := sorted(set(named) - set(map(str, names))):
            raise DataError(f"{path}: no column {unknown[0]!r} (the key {key}) in {some(names)}")
    table = _read(path, header, columns)
    inputs = np.empty((len(table), len(columns)), np.float32)
    for index, (column, name) in enumerate(zip(columns, names, strict=True)):
        where, values = f"{path}: column {column}, row", table[column]
        inputs[:, index] = scaling.apply(str(name), numbers_of(values), where, values)
    return inputs


def _read(path: Path, header: bool, columns: Sequence[Column]) -> pd.DataFrame:
    """Read columns of a table."""
    if table_files.suffix_of(path) == ".parquet":
        return table_files.read_parquet(path, [str(column) for column in columns])
    names = table_files.column_names(path, header)
    return table_files.read_csv(path, header=0 if header else None, names=names, index_col=False)


def some(columns: Iterable[Column]) -> str:
    """Return names of columns for a message."""
    names = [repr(name) for name in columns]
    return ", ".join(names[:10]) + (f", ... ({len(names)} in all)" if len(names) > 10 else "")
