"""Datasets as arrays in [0, 1], the same at every call. ``docs/datasets.md`` describes each kind.

Nothing is fitted on the data: the certificates do not cover what is learned before the noise
(``docs/theory.md``, section 1). Its kind says how a dataset is read; what follows is the same for
all.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from certbd.artifacts import seals
from certbd.artifacts.io import DataError, DataSplits
from certbd.artifacts.schemas import BENIGN, TRAIN
from certbd.config import entries
from certbd.data import selection
from certbd.data.dataset import Dataset, Outline
from certbd.data.selection import SIDES, Rows
from certbd.data.sources import Part, Source

Settings = Mapping[str, Any]
MOST_SHOWN = 12
"""Classes that a line lists."""


def read(settings: Settings) -> Dataset:
    """Return the dataset of an entry of the configuration's ``datasets``.

    Raises
    ------
    ValueError
        If there is no such kind of dataset.
    """
    dataset: Dataset = entries.read(entries.DATASETS, settings)
    return dataset


def outline(settings: Settings, path: Path) -> Outline:
    """Say what a dataset holds from its labels alone.

    Parameters
    ----------
    settings : mapping
        An entry of the configuration's ``datasets``.
    path : Path
        Its file or folder.

    Raises
    ------
    DataError
        If a file is missing, or its labels or names cannot be used.
    """
    dataset = read(settings)
    try:
        return dataset.published_outline(path) or _outline(dataset, path)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error


def _outline(dataset: Dataset, path: Path) -> Outline:
    source = open_source(dataset, path)
    training, test = (
        [int((part.labels[rows] == name).sum()) for name in source.classes]
        for part, rows in sides(source, dataset)
    )
    found = {label for part in source.parts for label in np.unique(part.labels).tolist()}
    left_out = sorted((found | set(source.left_out)) - set(source.classes))
    moves = _moves(source, dataset)
    return Outline(source.classes, training, test, source.files, source.has_images, left_out, moves)


def _moves(source: Source, dataset: Dataset) -> str:
    """Say why rows that are added or removed would draw others in or out; '' if they would not."""
    if "train" in _subset(dataset):
        return "subset.train keeps so many rows, whatever others there are"
    if len(source.parts) == 1 and source.parts[0].names is None:
        return "rows are split by their positions, which move"
    return ""


def load(settings: Settings, path: Path = Path()) -> DataSplits:
    """Read a dataset; see `load_with_sources`."""
    return load_with_sources(settings, path)[0]


def load_with_sources(settings: Settings, path: Path) -> tuple[DataSplits, pd.DataFrame]:
    """Read a dataset, and say where each input comes from.

    Parameters
    ----------
    settings : mapping
        An entry of the configuration's ``datasets``, with the `checksum` of its files, if it was
        taken before, under ``content``.
    path : Path
        Its file or folder.

    Returns
    -------
    DataSplits
        Inputs float32 in [0, 1], shape (n, channels, height, width) or (n, features); a label is
        a position in the outline's classes.
    DataFrame
        The columns of `schemas.SOURCES`: of each input its file inside `path`, or its row from 0 in
        the file that has all of its split.

    Raises
    ------
    DataError
        If a file or a value in it cannot be used; the message names both.
    """
    dataset = read({key: value for key, value in settings.items() if key != "content"})
    source = open_source(dataset, path)
    if "content" in settings and checksum(source.files, path) != settings["content"]:
        raise DataError(f"{path}: has changed since this run was planned; run again")
    (training, training_rows), (test, test_rows) = sides(source, dataset)
    inputs, test_inputs = training.read(training_rows), test.read(test_rows)
    if test_inputs.shape[1:] != inputs.shape[1:]:
        raise DataError(
            f"{test.place}: test inputs of shape {test_inputs.shape[1:]}; allowed: that of "
            f"training inputs, {inputs.shape[1:]}"
        )
    inputs, test_inputs = binarised(dataset, inputs), binarised(dataset, test_inputs)
    label_of = {name: label for label, name in enumerate(source.classes)}
    labels, test_labels = (
        np.array([label_of[name] for name in part.labels[rows]], np.int64)
        for part, rows in ((training, training_rows), (test, test_rows))
    )
    splits = DataSplits(inputs, labels, test_inputs, test_labels, np.array(source.classes))
    known = [
        sources_of(TRAIN, training, training_rows, path),
        sources_of(BENIGN, test, test_rows, path),
    ]
    return splits, pd.concat(known, ignore_index=True)


def sources_of(split: str, part: Part, rows: Rows, path: Path) -> pd.DataFrame:
    """Return where the inputs of a split come from."""
    named, ids = list(map(str, rows)), [None] * len(rows)
    if part.files is not None:
        named = [part.files[row].relative_to(path).as_posix() for row in rows]
    elif part.names is not None:
        ids = [part.names[row] for row in rows]
    columns = {"split": split, "sample": np.arange(len(rows)), "source": named, "id": ids}
    return pd.DataFrame(columns).astype({"sample": np.int32})


def binarised(dataset: Dataset, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return inputs as they are, or 1 where they reach the dataset's threshold and 0 elsewhere."""
    threshold = dataset.binarise
    return inputs if threshold is None else (inputs >= threshold).astype(np.float32)


def describe(data: DataSplits) -> str:
    """Say in a line what was read: classes with their labels and inputs, and the inputs' form."""
    sides = [np.bincount(x, minlength=len(data.class_names)) for x in (data[1], data[3])]
    classes = [
        f"{name!r} (label {label}: {training} training and {test} test inputs)"
        for label, (name, training, test) in enumerate(
            zip(data.class_names.tolist(), *sides, strict=True)
        )
    ]
    if len(classes) > MOST_SHOWN:
        classes[MOST_SHOWN - 1 :] = [f"... and {len(classes) - MOST_SHOWN + 1} more"]
    shape = data.train_inputs.shape[1:]
    form = f"{shape[0]} feature{'' if shape[0] == 1 else 's'}"
    if len(shape) == len(("channels", "height", "width")):
        mode = {1: "grey", 3: "RGB"}.get(shape[0], f"{shape[0]} channels")
        form = f"images of {shape[1]} x {shape[2]} pixels, {mode}"
    untested = [name for name, n in zip(data.class_names.tolist(), sides[1], strict=True) if not n]
    said = f"; no test input of class {', '.join(map(repr, untested))}" if untested else ""
    return (
        f"{len(data.train_labels)} training and {len(data.test_labels)} test inputs, {form}; "
        f"{len(data.class_names)} classes: {', '.join(classes)}{said}"
    )


def checksum(files: Sequence[Path], path: Path) -> str:
    """Hash the content of files and their names inside `path`, so that `path` may change.

    Raises
    ------
    DataError
        If a file cannot be read.
    """
    digest = hashlib.sha256()
    for file in files:
        try:
            found = seals.file_sum(file)
        except OSError as error:
            raise DataError(f"{file}: {error.strerror}") from error
        digest.update(f"{file.relative_to(path).as_posix()}\n{found}\n".encode())
    return digest.hexdigest()


def fetch(settings: Settings, path: Path) -> None:
    """Let torchvision download a published dataset, if the key download says so and it is absent.

    Raises
    ------
    DataError
        If it cannot be downloaded; nothing is left behind.
    """
    read(settings).fetch(path)


def open_source(dataset: Dataset, path: Path) -> Source:
    """Look at a dataset's labels and names; raise DataError where they cannot be used."""
    try:
        source = dataset.open(path)
    except OSError as error:
        raise DataError(f"{path}: {error}") from error
    if len(source.classes) < 2 or len(set(source.classes)) < len(source.classes):
        raise DataError(f"{path}: classes {source.classes}; allowed: at least 2, each once")
    return source


def sides(source: Source, dataset: Dataset) -> list[tuple[Part, Rows]]:
    """Return the part and the rows of training inputs, then of test inputs.

    Where chance splits one part, a class may be without test inputs; `describe` says so.
    """
    first, last, subset = source.parts[0], source.parts[-1], _subset(dataset)
    rows = [np.arange(len(part.labels)) for part in source.parts]
    if first is last:
        rows = list(selection.split_rows(_names(first)))
    found = []
    for side, part, of_side in zip(SIDES, (first, last), rows, strict=True):
        kept = of_side[np.isin(part.labels[of_side], source.classes)]
        kept = selection.subset_rows(side, subset, _names(part), kept)
        missing = [name for name in source.classes if name not in set(part.labels[kept].tolist())]
        by_chance = side == "test" and first is last and side not in subset
        if missing and not (by_chance and len(kept)):
            chosen = side in subset
            raise DataError(_no_input_left(source, part, missing[0], side=side, chosen=chosen))
        found.append((part, kept))
    return found


def _subset(dataset: Dataset) -> dict[str, int]:
    return {} if dataset.subset is None else dataset.subset.settings()


def _names(part: Part) -> Sequence[str]:
    return list(map(str, range(len(part.labels)))) if part.names is None else part.names


def _no_input_left(source: Source, part: Part, name: str, *, side: str, chosen: bool) -> str:
    """Say why a class has no input on a side, and the way out."""
    count, sides = int((part.labels == name).sum()), {"train": "training", "test": "test"}
    if chosen:
        way_out = f"a larger subset.{side}, or another subset.seed"
    elif len(source.parts) == 1 and count:
        way_out = "more inputs of that class, or training and test inputs of their own"
    else:
        way_out = "at least one"
    return (
        f"{part.place}: class {name!r} has {count} inputs, none of them among the {sides[side]} "
        f"inputs; needed: {way_out}"
    )
