"""The kinds of datasets: which files and labels each has, and how its inputs are read.

``docs/datasets.md`` describes them. torchvision and scikit-learn are imported only where inputs are
read; labels and names of files are known without them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from certbd.artifacts.io import DataError
from certbd.artifacts.logs import LOGGER
from certbd.data import digits, folders, images, labels, published, table_files, tables

Settings = Mapping[str, Any]
Inputs = NDArray[np.float32]
Rows = NDArray[np.int64]


class Part(NamedTuple):
    """Training inputs, test inputs, or all of them."""

    place: Path
    labels: NDArray[np.str_]
    read: Callable[[Rows], Inputs]
    names: Sequence[str] | None = None
    """What `selection` knows each row by; None for its position."""


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


def _require(file: Path, kind: str) -> Path:
    if not file.exists():
        source = "; download: true lets torchvision fetch it where there is a network"
        raise DataError(
            f"{file} does not exist; set the folder that relative paths start from "
            "(--config data_root=FOLDER) or the key path"
            + (source if kind in published.FOLDERS else "")
        )
    if not (file.is_file() or file.is_dir()):  # a pipe or a device never ends
        raise DataError(f"{file}: neither a file nor a folder")
    return file


def _digits(settings: Settings, path: Path) -> Source:
    def read(rows: Rows) -> Inputs:
        from sklearn.datasets import load_digits

        pixels, _ = load_digits(return_X_y=True)
        return (pixels / 16).astype(np.float32).reshape(-1, 1, 8, 8)[rows]

    part = Part(path, digits.labels(), read)
    return Source([part], [], class_names(settings["classes"]))


def _mnist(settings: Settings, path: Path) -> Source:
    found = published.find(settings, path, published.MNIST_FILES)
    files = [_require(file, "mnist") for file in found]
    parts = [_mnist_part(*files[:2]), _mnist_part(*files[2:])]
    return Source(parts, files, class_names(settings["classes"]))


def _mnist_part(image_file: Path, label_file: Path) -> Part:
    labels = images.read_idx(label_file, 1)
    if len(labels) and labels.max() > 9:
        row = int(np.argmax(labels > 9))
        raise DataError(f"{label_file}: label {row} is {labels[row]}; allowed: 0 to 9")

    def read(rows: Rows) -> Inputs:
        pixels = images.read_idx(image_file, 3)
        if len(pixels) != len(labels):
            raise DataError(
                f"{image_file}: {len(pixels)} images, but {len(labels)} labels in {label_file}"
            )
        return images.scale(pixels[rows, None])

    return Part(label_file, labels.astype(np.str_), read)


def cifar10_files(settings: Settings, path: Path) -> list[Path]:
    """Return the files of CIFAR-10; raise DataError where one is missing."""
    found = published.find(settings, path, (*published.CIFAR10_BATCHES, "batches.meta"))
    return [_require(file, "cifar10") for file in found]


def _cifar10(settings: Settings, path: Path) -> Source:
    """Read CIFAR-10's pickled files, by torchvision and only with the published checksums."""
    from torchvision.datasets import CIFAR10

    files = cifar10_files(settings, path)
    published.check_cifar10(files)
    parts = []
    for train in (True, False):
        stored = CIFAR10(path, train=train)
        labels = np.array(stored.classes)[stored.targets]
        pixels = stored.data.transpose(0, 3, 1, 2)
        parts.append(Part(files[0].parent, labels, partial(_scaled_rows, pixels)))
    return Source(parts, files, class_names(settings["classes"]))


def _scaled_rows(pixels: NDArray[np.uint8], rows: Rows) -> Inputs:
    return images.scale(pixels[rows])


def _imagenette(settings: Settings, path: Path) -> Source:
    used = {name: published.IMAGENETTE[name] for name in settings["classes"]}
    names = [f"{split}/{folder}" for split in ("train", "val") for folder in used.values()]
    found = [_require(file, "imagenette") for file in published.find(settings, path, names)]
    splits = [(folder, used) for folder in dict.fromkeys(file.parent for file in found)]
    size, every = published.IMAGENETTE_SIZE, list(published.IMAGENETTE)
    return _image_source(splits, list(used), size, True, left_out=every)


def _image_folder(settings: Settings, path: Path) -> Source:
    splits = [
        (_require(side, "image_folder"), folders.class_folders(side))
        for side in folders.sides(_require(path, "image_folder"))
    ]
    given = [normalize("NFC", name) for name in class_names(settings.get("classes", []))]
    classes = given or list(splits[0][1])
    for side, found in splits:
        if missing := sorted(set(classes) - set(found)):
            raise DataError(f"{side}: no folder of class {missing[0]!r}; it has {list(found)}")
        unknown = sorted(set(found) - set(classes))
        if unknown and not given:
            raise DataError(f"{side}: folder {unknown[0]!r} is no class; allowed: {classes}")
    every = sorted({name for _, found in splits for name in found})
    return _image_source(splits, classes, settings.get("size"), False, left_out=every)


def _image_source(
    splits: Sequence[tuple[Path, Mapping[str, str]]],
    classes: list[str],
    size: int | None,
    to_rgb: bool,
    *,
    left_out: Sequence[str],
) -> Source:
    """Return the source of images in one folder per class, by file name, then class folder.

    A file that moves to another class folder keeps its place among the rows.
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
        names, _, labels, files = zip(*of_split, strict=True) if of_split else ((), (), (), ())
        parts.append(Part(split, np.array(labels, np.str_), partial(read, files), names))
    return Source(parts, every, classes, left_out=left_out)


def _table(settings: Settings, path: Path) -> Source:
    files = [_require(path, "table")]
    if path.is_dir():
        files = [_table_file(path, split) for split in ("train", "test")]
    column, header, ranges = settings["label_column"], settings["header"], settings.get("ranges")
    id_column = settings.get("id_column")
    columns = tables.feature_columns(files[0], column, header, id_column)
    for file in files:
        if left := set(table_files.index_levels(file)) - {column, id_column}:
            LOGGER.info("%s: the index of the data frame is not read: %s", file, sorted(left))

    @cache
    def read(file: Path) -> Inputs:
        return tables.read_inputs(file, columns, (column, id_column), header, ranges)

    values = [
        (tables.read_labels(file, column, header), f"{file}: column {column}") for file in files
    ]
    labels_of, classes = _label_names(values, settings)
    parts = [
        Part(
            file,
            named,
            partial(_rows_of, read, file),
            None if id_column is None else tables.read_ids(file, id_column, header),
        )
        for file, named in zip(files, labels_of, strict=True)
    ]
    return Source(parts, files, classes, False)


def _table_file(folder: Path, split: str) -> Path:
    allowed = [f"{split}{suffix}" for suffix in tables.SUFFIXES]
    found = [file for file in sorted(folder.iterdir()) if file.name.lower() in allowed]
    if len(found) != 1:
        raise DataError(f"{folder}: {len(found)} files of {' or '.join(allowed)}; allowed: one")
    return _require(found[0], "table")


def _npz(settings: Settings, path: Path) -> Source:
    shapes = tables.array_shapes(_require(path, "npz"))
    prefixes = ["train_", "test_"] if "train_inputs" in shapes else [""]
    wanted = [f"{prefix}{what}" for prefix in prefixes for what in ("inputs", "labels")]
    missing = sorted(set(wanted) - set(shapes))
    if missing:
        raise DataError(
            f"{path}: no array {missing[0]}, but {sorted(shapes)}; allowed: inputs and labels, or "
            "train_inputs, train_labels, test_inputs and test_labels"
        )
    inputs, label_arrays = wanted[::2], wanted[1::2]
    for name, label in zip(inputs, label_arrays, strict=True):
        shape = shapes[name]
        if len(shape) not in (2, 4) or 0 in shape[1:] or shapes[label] != shape[:1]:
            raise DataError(
                f"{path}: {name} of shape {shape} with {label} of shape {shapes[label]}; allowed: "
                "(n, features) or (n, channels, height, width) with (n,)"
            )
        if images.has_channels_last(shape):
            raise DataError(
                f"{path}: {name} of shape {shape} has its channels last; allowed: (n, channels, "
                f"height, width); move the axis: {name}.transpose(0, 3, 1, 2)"
            )

    @cache
    def read(name: str) -> Inputs:
        where = f"{path}: array {name}"
        return tables.scale_array(tables.read_array(path, name), settings.get("ranges"), where)

    values = [(tables.read_array(path, name), f"{path}: array {name}") for name in label_arrays]
    labels_of, classes = _label_names(values, settings)
    names_of: list[list[str] | None] = [None for _ in inputs]
    if "id_column" in settings:
        names_of = [_npz_names(path, f"{prefix}{settings['id_column']}") for prefix in prefixes]
    parts = [
        Part(path / name, named, partial(_rows_of, read, name), names)
        for name, named, names in zip(inputs, labels_of, names_of, strict=True)
    ]
    return Source(parts, [path], classes, len(shapes[inputs[0]]) == 4)


def _npz_names(path: Path, name: str) -> list[str]:
    """Read the identifiers of one part."""
    return tables.identifiers(tables.read_array(path, name), f"{path}: array {name}")


def _rows_of(read: Callable[[Any], Inputs], key: Any, rows: Rows) -> Inputs:
    return read(key)[rows]


def _label_names(
    values: list[tuple[Any, str]], settings: Settings
) -> tuple[list[NDArray[np.str_]], list[str]]:
    """Name the class of each row of each part, and the classes: those of the training rows."""
    classes = class_names(settings["classes"]) if "classes" in settings else None
    names = []
    for values_of, where in values:
        names.append(labels.label_names(values_of, where, classes))
        classes = labels.sorted_classes(names[0]) if classes is None else classes
    return names, classes or []


KINDS: Mapping[str, Callable[[Settings, Path], Source]] = {
    "digits": _digits,
    "mnist": _mnist,
    "cifar10": _cifar10,
    "imagenette": _imagenette,
    "image_folder": _image_folder,
    "table": _table,
    "npz": _npz,
}
