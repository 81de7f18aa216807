"""CIFAR-10's pickled files, read by torchvision and only with the published checksums."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from certbd.artifacts.io import DataError
from certbd.config.fields import File
from certbd.data.dataset import Outline
from certbd.data.files import images
from certbd.data.published import Published
from certbd.data.sources import Inputs, Part, Rows, Source, class_names

BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
FILES = (*BATCHES, "batches.meta")
ClassName = Literal[
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
]


class Cifar10(Published):
    """CIFAR-10, 32 x 32 in colour, torchvision's files with their checksums."""

    channels: ClassVar[int] = 3
    folder: ClassVar[str] = "cifar-10-batches-py"
    fetcher: ClassVar[str] = "CIFAR10"
    input_shape: ClassVar[tuple[int, int, int]] = (3, 32, 32)
    per_class: ClassVar[tuple[int, int]] = (5000, 1000)
    """Training and test inputs of each class."""
    kind: Literal["cifar10"]
    path: File = Field(".", description="folder that holds cifar-10-batches-py")
    classes: list[ClassName] = Field(
        ["airplane", "bird"],
        min_length=2,
        json_schema_extra={"uniqueItems": True},
        description="the classes to keep, in label order, of airplane, automobile, bird, cat, "
        "deer, dog, frog, horse, ship, truck; default the papers' pair",
    )

    def open(self, path: Path) -> Source:
        """Unpickle labels and pixels, once the files have their checksums."""
        from torchvision.datasets import CIFAR10

        files = self.find(path, FILES)
        check_files(files)
        parts = []
        for train in (True, False):
            stored = CIFAR10(path, train=train)
            labels = np.array(stored.classes)[stored.targets]
            pixels = stored.data.transpose(0, 3, 1, 2)
            parts.append(Part(files[0].parent, labels, partial(_scaled_rows, pixels)))
        return Source(parts, files, class_names(self.classes))

    def published_outline(self, path: Path) -> Outline | None:
        """Return the outline of all inputs: labels, which a subset needs, are in the pickles."""
        if self.subset is not None:
            return None
        classes = class_names(self.classes)
        training, test = ([size] * len(classes) for size in self.per_class)
        left_out = sorted(set(get_args(ClassName)) - set(classes))
        return Outline(classes, training, test, self.find(path, FILES), True, left_out)


KIND = Cifar10


def check_files(files: Sequence[Path]) -> None:
    """Compare files with the published checksums.

    Raises
    ------
    DataError
        If one differs.
    """
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    md5 = dict([*CIFAR10.train_list, *CIFAR10.test_list])
    md5[CIFAR10.meta["filename"]] = CIFAR10.meta["md5"]
    for file in files:
        if not check_integrity(file, md5[file.name]):
            raise DataError(
                f"{file}: not the published file by its md5 checksum, so it is not read; remove "
                f"{file.parent} and fetch it again (download: true)"
            )


def _scaled_rows(pixels: NDArray[np.uint8], rows: Rows) -> Inputs:
    return images.scale(pixels[rows])
