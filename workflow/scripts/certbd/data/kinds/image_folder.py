"""Image files of one's own, one folder per class."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal
from unicodedata import normalize

import numpy as np
from pydantic import Field

from certbd.artifacts.io import DataError
from certbd.config.fields import Classes, File
from certbd.data.dataset import OwnFiles
from certbd.data.files import folders, images
from certbd.data.sources import Inputs, Part, Rows, Source, class_names, image_source, require


class ImageFolder(OwnFiles):
    """Image files, one folder per class."""

    stored_values: ClassVar[int | None] = 256
    channels: ClassVar[int] = 1
    kind: Literal["image_folder"]
    path: File = Field(
        description="folder of class folders that is split, or of train and test, which hold class "
        "folders; relative to data_root unless absolute"
    )
    classes: Classes | None = Field(
        None, description="class folders to keep, in label order; default all, sorted"
    )
    size: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="pixels of the square that every image is made into (shorter side scaled, "
        "centre cropped); left out, all images must be of one size",
    )

    def open(self, path: Path) -> Source:
        """List class folders and their images."""
        splits = [
            (require(side), folders.class_folders(side)) for side in folders.sides(require(path))
        ]
        given = [normalize("NFC", name) for name in class_names(self.classes or [])]
        classes = given or list(splits[0][1])
        for side, found in splits:
            if missing := sorted(set(classes) - set(found)):
                raise DataError(f"{side}: no folder of class {missing[0]!r}; it has {list(found)}")
            unknown = sorted(set(found) - set(classes))
            if unknown and not given:
                raise DataError(f"{side}: folder {unknown[0]!r} is no class; allowed: {classes}")
        every = sorted({name for _, found in splits for name in found})
        return image_source(splits, classes, self.size, False, left_out=every)

    def open_new(self, path: Path, training: Sequence[Path]) -> Part:
        """List images, in the folder itself or in folders inside it, whose names are ignored."""
        files = folders.images_below(require(path))
        nested = any(file.parent != path for file in files)
        remark = "names of folders are ignored: no labels are read" if nested else ""
        names = [file.relative_to(path).as_posix() for file in files]

        def read(rows: Rows) -> Inputs:
            return images.read_images([files[row] for row in rows], training[0], self.size)

        return Part(path, np.full(len(files), ""), read, names, files, remark)

    def head_shape(self, file: Path) -> tuple[int, ...]:
        """Return channels, height and width of an image, once it is scaled."""
        import PIL.Image

        with PIL.Image.open(file) as image:
            sides = [image.height, image.width] if self.size is None else [self.size] * 2
            return (len(image.getbands()), *sides)


KIND = ImageFolder
