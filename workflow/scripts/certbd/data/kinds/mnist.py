"""MNIST in its idx files."""

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from certbd.artifacts.io import DataError
from certbd.config.fields import File
from certbd.data.dataset import Digit
from certbd.data.files import images
from certbd.data.published import Published
from certbd.data.sources import Inputs, Part, Rows, Source, class_names

FILES = tuple(
    f"raw/{split}-{what}-ubyte"
    for split in ("train", "t10k")
    for what in ("images-idx3", "labels-idx1")
)


class Mnist(Published):
    """MNIST, 28 x 28, the idx files in MNIST/raw."""

    channels: ClassVar[int] = 1
    folder: ClassVar[str] = "MNIST"
    fetcher: ClassVar[str] = "MNIST"
    input_shape: ClassVar[tuple[int, int, int]] = (1, 28, 28)
    kind: Literal["mnist"]
    path: File = Field(".", description="folder that holds MNIST/raw")
    classes: list[Digit] = Field(
        [0, 1],
        min_length=2,
        json_schema_extra={"uniqueItems": True},
        description="the digits to keep, in label order; default the papers' pair",
    )

    def open(self, path: Path) -> Source:
        """Read labels, of training and test images."""
        files = self.find(path, FILES)
        parts = [_part(*files[:2]), _part(*files[2:])]
        return Source(parts, files, class_names(self.classes))


KIND = Mnist


def _part(image_file: Path, label_file: Path) -> Part:
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
