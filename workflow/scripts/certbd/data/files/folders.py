"""Class folders of an image dataset: which folders are sides, which are classes."""

from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

import numpy as np

from certbd.artifacts.io import DataError
from certbd.data.files.images import list_images
from certbd.data.labels import sorted_classes

SIDES = ("train", "test")
TRAINING_NAMES = ("train", "training")
TEST_NAMES = ("test", "testing", "val", "valid", "validation")


def sides(path: Path) -> list[Path]:
    """Return the folders of training and test images, or the one folder that is to be split.

    Raises
    ------
    DataError
        If folders beside each other are sides by another name than train and test.
    """
    both = [path / side for side in SIDES]
    if all(side.is_dir() for side in both):
        return both
    found = [entry.name for entry in _folders(path)]
    training, test = (
        [name for name in found if name.lower() in names] for names in (TRAINING_NAMES, TEST_NAMES)
    )
    if training and test:
        renamed = [
            f"{path / name} to {side}"
            for names, side in ((training, "train"), (test, "test"))
            for name in names[:1]
            if side not in names
        ]
        raise DataError(
            f"{path}: folders {', '.join(training + test)}; allowed: train and test, or class "
            f"folders alone; rename {' and '.join(renamed)}"
        )
    return both if any(side.is_dir() for side in both) else [path]


def class_folders(side: Path) -> dict[str, str]:
    """Return the names of class folders as they are on disk, by their composed form (NFC).

    Some file systems decompose a name (é into e and an accent), so names are compared composed.
    Their order is that of classes in tables: whole numbers by value, text by letter.

    Raises
    ------
    DataError
        If two folders differ in that alone.
    """
    found: dict[str, str] = {}
    for entry in sorted(_folders(side)):
        name = normalize("NFC", entry.name)
        if name in found:
            raise DataError(
                f"{side}: two folders are named {name!r}, in two ways of writing it in Unicode; "
                "allowed: one; move the images of one into the other"
            )
        found[name] = entry.name
    return {name: found[name] for name in sorted_classes(np.array(list(found), np.str_))}


def images_below(path: Path) -> list[Path]:
    """Return the images of a folder and of folders in it, by their names; dotted ones left out.

    Raises
    ------
    DataError
        If it is no folder, or has no images, or anything else in it.
    """
    if not path.is_dir():
        raise DataError(f"{path}: not a folder of images")
    inside = sorted(entry for entry in path.iterdir() if entry.name[0] != ".")
    deeper = [file for entry in inside if entry.is_dir() for file in list_images(entry)]
    files = sorted([*list_images(path, [entry for entry in inside if entry.is_dir()]), *deeper])
    if not files:
        raise DataError(f"{path}: no images in it")
    return files


def _folders(path: Path) -> Iterator[Path]:
    return (entry for entry in path.iterdir() if entry.is_dir() and entry.name[0] != ".")
