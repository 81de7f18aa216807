"""Datasets as arrays in [0, 1], the same at every call. ``docs/datasets.md`` describes each kind.

Nothing is fitted on the data: the certificates do not cover what is learned before the noise
(``docs/theory.md``, section 1). torchvision and scikit-learn are imported only where a dataset is
fetched or read, so that an outline costs little.
"""

import hashlib
import tempfile
import zlib
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from certbd import rng, seals, sources, subsets
from certbd.io import DataError, DataSplits
from certbd.sources import PUBLISHED_FOLDERS, Part, Rows, Settings, Source

DIGITS_PER_CLASS = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
CIFAR10_PER_CLASS = (5000, 1000)
TEST_SHARE = 4
"""One in four inputs of each class is a test input, where training and test come together."""


class Outline(NamedTuple):
    """What is known of a dataset before it is read."""

    classes: list[str]
    """Names of the classes in label order."""
    training_counts: list[int]
    """Number of training inputs of each label."""
    test_counts: list[int]
    """Number of test inputs of each label."""
    files: list[Path]
    """Every file that it is read from."""
    has_images: bool
    """Whether an input is (channels, height, width) rather than a row of features."""


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
    try:
        return _outline(settings, path)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error


def _outline(settings: Settings, path: Path) -> Outline:
    kind = settings["kind"]
    if kind == "digits":
        sizes = [DIGITS_PER_CLASS[digit] for digit in settings["classes"]]
        held = [_test_size(size) for size in sizes]
        counts = [[size - out for size, out in zip(sizes, held, strict=True)], held]
        classes, files, has_images = sources.class_names(settings["classes"]), [], True
    elif kind == "cifar10":
        classes, files = sources.class_names(settings["classes"]), sources.cifar10_files(path)
        counts, has_images = [[size] * len(classes) for size in CIFAR10_PER_CLASS], True
    else:
        source = _open(settings, path)
        counts = [_count(part.labels[rows], source.classes) for part, rows in _split(source)]
        classes, files, has_images = source.classes, source.files, source.has_images
    if "subset" in settings:
        counts = [
            subsets.draw_counts(side, settings["subset"], have)
            for side, have in zip(subsets.SIDES, counts, strict=True)
        ]
    training, test = counts
    return Outline(classes, training, test, files, has_images)


def load(settings: Settings, path: Path = Path()) -> DataSplits:
    """Read a dataset.

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

    Raises
    ------
    DataError
        If a file or a value in it cannot be used; the message names both.
    """
    source = _open(settings, path)
    if "content" in settings and checksum(source.files, path) != settings["content"]:
        raise DataError(f"{path}: has changed since this run was planned; run again")
    sides = _split(source)
    if "subset" in settings:
        sides = [
            (part, subsets.draw_rows(side, settings["subset"], part.labels, rows, source.classes))
            for side, (part, rows) in zip(subsets.SIDES, sides, strict=True)
        ]
    (training, training_rows), (test, test_rows) = sides
    inputs, test_inputs = training.read(training_rows), test.read(test_rows)
    if test_inputs.shape[1:] != inputs.shape[1:]:
        raise DataError(
            f"{test.place}: test inputs of shape {test_inputs.shape[1:]}; allowed: that of "
            f"training inputs, {inputs.shape[1:]}"
        )
    if (threshold := settings.get("binarise")) is not None:
        inputs, test_inputs = (
            (values >= threshold).astype(np.float32) for values in (inputs, test_inputs)
        )
    label_of = {name: label for label, name in enumerate(source.classes)}
    labels, test_labels = (
        np.array([label_of[name] for name in part.labels[rows]], np.int64)
        for part, rows in ((training, training_rows), (test, test_rows))
    )
    return DataSplits(inputs, labels, test_inputs, test_labels, np.array(source.classes))


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
    kind = settings["kind"]
    if not settings.get("download"):
        return
    try:
        if (path / PUBLISHED_FOLDERS[kind]).exists():
            return
        import torchvision.datasets

        published = {
            "mnist": torchvision.datasets.MNIST,
            "cifar10": torchvision.datasets.CIFAR10,
            "imagenette": torchvision.datasets.Imagenette,
        }
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path) as folder:
            published[kind](folder, download=True)
            Path(folder, PUBLISHED_FOLDERS[kind]).replace(path / PUBLISHED_FOLDERS[kind])
    except (OSError, RuntimeError, HTTPException) as error:
        raise DataError(f"{path}: torchvision cannot download {kind}: {error}") from error


def _open(settings: Settings, path: Path) -> Source:
    try:
        source = sources.KINDS[settings["kind"]](settings, path)
    except OSError as error:
        raise DataError(f"{path}: {error}") from error
    if len(source.classes) < 2 or len(set(source.classes)) < len(source.classes):
        raise DataError(f"{path}: classes {source.classes}; allowed: at least 2, each once")
    return source


def _split(source: Source) -> list[tuple[Part, Rows]]:
    """Return the part and the rows of training inputs, then of test inputs."""
    needed = 3 - len(source.parts)
    for part in source.parts:
        for name in source.classes:
            count = int((part.labels == name).sum())
            if count < needed:
                raise DataError(
                    f"{part.place}: class {name} has {count} inputs; needed: at least {needed}"
                    + (" to split into training and test" if needed == 2 else "")
                )
    first, last = source.parts[0], source.parts[-1]
    kept = [np.flatnonzero(np.isin(part.labels, source.classes)) for part in source.parts]
    if first is not last:
        return [(first, kept[0]), (last, kept[1])]
    test = np.concatenate([_test_rows(first.labels, name) for name in source.classes])
    return [(first, np.setdiff1d(kept[0], test)), (first, np.sort(test))]


def _count(labels: NDArray[np.str_], classes: Sequence[str]) -> list[int]:
    return [int((labels == name).sum()) for name in classes]


def _test_rows(labels: NDArray[np.str_], name: str) -> Rows:
    """Return the rows of one class that are test inputs, whichever other classes are used."""
    rows = np.flatnonzero(labels == name)
    index = int(name) if name.isdecimal() else zlib.crc32(name.encode())
    order = rng.generator(0, rng.Purpose.SPLIT, index).permutation(len(rows))
    return rows[order[: _test_size(len(rows))]]


def _test_size(size: int) -> int:
    return max(size // TEST_SHARE, 1)
