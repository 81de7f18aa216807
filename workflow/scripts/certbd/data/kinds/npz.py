"""numpy arrays of one's own."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from certbd.artifacts.io import DataError
from certbd.config.fields import Classes, File, Range
from certbd.data.dataset import OwnFiles
from certbd.data.files import arrays, images, tables
from certbd.data.files.scaling import Scaling
from certbd.data.sources import Inputs, Part, Rows, Source, label_names, require, rows_of


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
        shapes = arrays.array_shapes(require(path))
        prefixes = ["train_", "test_"] if "train_inputs" in shapes else [""]
        _check_shapes(path, shapes, prefixes)

        @cache
        def read(name: str) -> Inputs:
            where = f"{path}: array {name}"
            return arrays.scale_array(arrays.read_array(path, name), self.ranges, where)

        values = [
            (arrays.read_array(path, f"{prefix}labels"), f"{path}: array {prefix}labels")
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

    def open_new(self, path: Path, training: Sequence[Path]) -> Part:
        """Look at shapes: one array inputs, of rows like those of the training inputs."""
        shapes, shape = arrays.array_shapes(require(path)), self.head_shape(training[0])
        if "inputs" not in shapes or shapes["inputs"][1:] != shape or not shapes["inputs"][0]:
            found = {name: list(size) for name, size in sorted(shapes.items())}
            raise DataError(
                f"{path}: arrays {found}; allowed: inputs of shape (n, "
                f"{', '.join(map(str, shape))})"
            )
        others = ", ".join(sorted(set(shapes) - {"inputs"}))

        def read(rows: Rows) -> Inputs:
            array = arrays.read_array(path, "inputs")
            return arrays.scale_array(array, self.ranges, f"{path}: array inputs")[rows]

        remark = f"arrays {others} are ignored" if others else ""
        return Part(path, np.full(shapes["inputs"][0], ""), read, remark=remark)

    def _identifiers(self, path: Path, prefix: str) -> list[str] | None:
        if self.id_column is None:
            return None
        name = f"{prefix}{self.id_column}"
        return tables.identifiers(arrays.read_array(path, name), f"{path}: array {name}")

    def head_shape(self, file: Path) -> tuple[int, ...]:
        """Return the shape of a row of inputs."""
        shapes = arrays.array_shapes(file)
        return shapes["train_inputs" if "train_inputs" in shapes else "inputs"][1:]

    def source_units(self, files: Sequence[Path], change: float) -> str:  # noqa: ARG002
        """Scale back by the range, if there is one."""
        if self.ranges is None:
            return ""
        return f"{change * (self.ranges[1] - self.ranges[0]):.3g} as it is stored"

    def contradictions(self, path: str) -> Iterator[str]:
        """Say whether the range has no extent."""
        yield from Scaling(self.ranges).mistakes(path)


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
