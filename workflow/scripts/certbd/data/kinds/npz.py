"""numpy arrays of one's own."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from certbd.artifacts.io import DataError
from certbd.config.fields import Classes, File, Range
from certbd.data import images, tables
from certbd.data.dataset import OwnFiles
from certbd.data.sources import Inputs, Part, Source, label_names, require, rows_of


class Npz(OwnFiles):
    """Arrays train_inputs, train_labels, test_inputs, test_labels; or inputs, labels, to split."""

    stored_values: ClassVar[int | None] = None
    channels: ClassVar[int] = 1
    kind: Literal["npz"]
    path: File = Field(description="an .npz file, relative to data_root unless absolute")
    id_column: str | None = Field(
        None,
        min_length=1,
        description="array that names each row (train_NAME and test_NAME where there are both), so "
        "that the split stays where rows are added or removed; default the row's position",
    )
    classes: Classes | None = Field(
        None, description="every label that is allowed, in label order; default all found, sorted"
    )
    ranges: Range | None = Field(
        None,
        description="[low, high] for all values: constants that become 0 and 1; default [0, 1]",
    )

    def open(self, path: Path) -> Source:
        """Read shapes of arrays, labels and identifiers."""
        shapes = tables.array_shapes(require(path))
        prefixes = ["train_", "test_"] if "train_inputs" in shapes else [""]
        _check_shapes(path, shapes, prefixes)

        @cache
        def read(name: str) -> Inputs:
            where = f"{path}: array {name}"
            return tables.scale_array(tables.read_array(path, name), self.ranges, where)

        values = [
            (tables.read_array(path, f"{prefix}labels"), f"{path}: array {prefix}labels")
            for prefix in prefixes
        ]
        labels_of, classes = label_names(values, self.classes)
        parts = [
            Part(
                path / f"{prefix}inputs",
                named,
                partial(rows_of, read, f"{prefix}inputs"),
                self._identifiers(path, prefix),
            )
            for prefix, named in zip(prefixes, labels_of, strict=True)
        ]
        return Source(parts, [path], classes, len(shapes[f"{prefixes[0]}inputs"]) == 4)

    def _identifiers(self, path: Path, prefix: str) -> list[str] | None:
        if self.id_column is None:
            return None
        name = f"{prefix}{self.id_column}"
        return tables.identifiers(tables.read_array(path, name), f"{path}: array {name}")

    def head_shape(self, file: Path) -> tuple[int, ...]:
        """Return the shape of a row of inputs."""
        shapes = tables.array_shapes(file)
        return shapes["train_inputs" if "train_inputs" in shapes else "inputs"][1:]

    def contradictions(self, path: str) -> Iterator[str]:
        """Say whether the range has no extent."""
        yield from tables.empty_ranges(self.ranges, f"{path}.ranges")


KIND = Npz


def _check_shapes(
    path: Path, shapes: Mapping[str, tuple[int, ...]], prefixes: Sequence[str]
) -> None:
    """Raise DataError if an array is missing, or inputs and labels are of other shapes."""
    wanted = [f"{prefix}{what}" for prefix in prefixes for what in ("inputs", "labels")]
    missing = sorted(set(wanted) - set(shapes))
    if missing:
        raise DataError(
            f"{path}: no array {missing[0]}, but {sorted(shapes)}; allowed: inputs and labels, or "
            "train_inputs, train_labels, test_inputs and test_labels"
        )
    for name, label in zip(wanted[::2], wanted[1::2], strict=True):
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
