"""Sources: which files and labels a dataset has, and how its inputs are read; what kinds share.

torchvision, scikit-learn and PIL are imported only where inputs are read; labels and names of files
are known without them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from certbd.artifacts.io import DataError
from certbd.data import labels
from certbd.data.files import images

Inputs = NDArray[np.float32]
Rows = NDArray[np.int64]


class Part(NamedTuple):
    """Training inputs, test inputs, or all of them."""

    place: Path
    labels: NDArray[np.str_]
    read: Callable[[Rows], Inputs]
    names: Sequence[str] | None = None
    """What `selection` knows each row by; None for its position."""
    files: Sequence[Path] | None = None
    """The file of each row; None where all are in one, and a row is known by its number."""
    remark: str = ""
    """What is there and is not read."""


class Source(NamedTuple):
    """A dataset ready to be read: two parts, or one that is still to be split."""

    parts: list[Part]
    files: list[Path]
    classes: list[str]
    has_images: bool = True
    left_out: Sequence[str] = ()
    """Classes that are not read at all: folders that the key classes does not list."""


def class_names(values: Sequence[int | str]) -> list[str]:
    """Return classes of the configuration as text."""
    return [str(value) for value in values]


def require(file: Path, way_out: str = "") -> Path:
    """Return a file or folder; raise DataError, with another way out, where it is neither."""
    if not file.exists():
        raise DataError(
            f"{file} does not exist; set the folder that relative paths start from "
            f"(--config data_root=FOLDER) or the key path{way_out}"
        )
    if not (file.is_file() or file.is_dir()):  # a pipe or a device never ends
        raise DataError(f"{file}: neither a file nor a folder")
    return file


def image_source(
    splits: Sequence[tuple[Path, Mapping[str, str]]],
    classes: list[str],
    size: int | None,
    to_rgb: bool,
    *,
    left_out: Sequence[str],
) -> Source:
    """Return the source of images in one folder per class, by file name, then class folder.

    A file that moves to another class folder keeps its place among the rows.

    Parameters
    ----------
    splits : sequence of pairs
        Folder of each side, and in it the name of each class's folder.
    classes : list of str
        In label order.
    size, to_rgb
        As for `images.read_images`.
    left_out : sequence of str
        Classes that are there, used or not.
    """
    found = [
        sorted(
            (normalize("NFC", file.name), normalize("NFC", folder_of[label]), label, file)
            for label in classes
            for file in images.list_images(split / folder_of[label])
        )
        for split, folder_of in splits
    ]
    every = [file for of_split in found for *_, file in of_split]

    def read(files: Sequence[Path], rows: Rows) -> Inputs:
        return images.read_images([files[row] for row in rows], every[0], size, to_rgb)

    parts = []
    for (split, _), of_split in zip(splits, found, strict=True):
        names, _, labels_of, files = zip(*of_split, strict=True) if of_split else ((), (), (), ())
        named = np.array(labels_of, np.str_)
        parts.append(Part(split, named, partial(read, files), names, files))
    return Source(parts, every, classes, left_out=left_out)


def rows_of(read: Callable[[Any], Inputs], key: Any, rows: Rows) -> Inputs:
    """Return rows of what `read` makes of a key."""
    return read(key)[rows]


def label_names(
    values: Sequence[tuple[Any, str]], given: Sequence[int | str] | None
) -> tuple[list[NDArray[np.str_]], list[str]]:
    """Name the class of each row of each part, and the classes: those of the training rows.

    Parameters
    ----------
    values : sequence of pairs
        Labels of each part as they are stored, and where.
    given : sequence or None
        The entry's classes.
    """
    classes = None if given is None else class_names(given)
    names = []
    for values_of, where in values:
        names.append(labels.label_names(values_of, where, classes))
        classes = labels.sorted_classes(names[0]) if classes is None else classes
    return names, classes or []
