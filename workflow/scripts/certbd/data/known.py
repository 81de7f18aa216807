"""Rows that somebody knows to be poisoned: for metrics alone, no certificate depends on them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from certbd.artifacts.io import DataError
from certbd.artifacts.schemas import BENIGN, TRAIN
from certbd.data import datasets
from certbd.data.files import table_files, tables

SPLIT_NAMES = {TRAIN: "train", BENIGN: "test"}
"""What the file calls the splits."""


class Known(NamedTuple):
    """What is known to be poisoned, of the inputs that are used."""

    n_training: int
    test: list[int]
    """Their numbers among the test inputs."""


def read_known(settings: datasets.Settings, path: Path, file: Path) -> Known:
    """Read which rows of a dataset are known to be poisoned.

    Parameters
    ----------
    settings : mapping
        An entry of the configuration's ``datasets``.
    path : Path
        Its file or folder.
    file : Path
        A table with a column ``source`` (as in ``sources.parquet``: a file inside `path`, or a
        row from 0) or ``id``, and with ``split`` (train or test) where that alone is not clear.

    Raises
    ------
    DataError
        If it cannot be read, or a line names no row of the dataset, or one of either part.
    """
    listed, key = _read(file)
    dataset = datasets.read(settings)
    sides = datasets.sides(datasets.open_source(dataset, path), dataset)
    names = {
        split: datasets.sources_of(split, part, np.arange(len(part.labels)), path)[key]
        for split, (part, _) in zip(SPLIT_NAMES, sides, strict=True)
    }
    if any(every.isna().all() for every in names.values()):
        raise DataError(f"{file}: column id; the dataset's rows have none: allowed: source")
    one_part = sides[0][0] is sides[1][0]
    named = {
        split: listed[key].isin(every) & listed["split"].isin(["", SPLIT_NAMES[split]])
        for split, every in names.items()
    }
    unknown = np.flatnonzero(~(named[TRAIN] | named[BENIGN]))
    if len(unknown):
        where = f"{file}, row {unknown[0]}: {key} {listed[key][unknown[0]]!r}"
        raise DataError(f"{where} is no row of {path}; allowed: those that it has")
    both = np.flatnonzero(named[TRAIN] & named[BENIGN])
    if len(both) and not one_part:
        where = f"{file}, row {both[0]}: {key} {listed[key][both[0]]!r}"
        raise DataError(
            f"{where} is a training row and a test row; needed: a column split, train or test"
        )
    used_names = [
        every.to_numpy()[rows] for every, (_, rows) in zip(names.values(), sides, strict=True)
    ]
    training, test = (
        np.isin(used, listed.loc[named[split], key])
        for split, used in zip(SPLIT_NAMES, used_names, strict=True)
    )
    return Known(int(training.sum()), np.flatnonzero(test).tolist())


def _read(file: Path) -> tuple[pd.DataFrame, str]:
    """Read the file's columns as text, and say by which of them it knows rows."""
    table_files.suffix_of(file)
    if not file.is_file():
        raise DataError(f"{file} does not exist; allowed: a table with a column source or id")
    columns = [str(name) for name in table_files.column_names(file, header=True)]
    keys = [name for name in ("source", "id") if name in columns]
    if len(keys) != 1 or set(columns) - {*keys, "split"}:
        raise DataError(f"{file}: columns {tables.some(columns)}; allowed: source or id, and split")
    listed = pd.DataFrame({name: table_files.read_text(file, name, True) for name in columns})
    listed = listed.fillna("").astype(str).apply(lambda column: column.str.strip())
    if "split" not in listed:
        listed["split"] = ""
    known = ["", *SPLIT_NAMES.values()]
    if len(wrong := np.flatnonzero(~listed["split"].isin(known))):
        said = listed["split"].iloc[wrong[0]]
        raise DataError(f"{file}, row {wrong[0]}: split {said!r}; allowed: train or test")
    return listed, keys[0]
