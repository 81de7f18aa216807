"""Imagenette: ten classes of ImageNet in folders of their numbers there."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from certbd.config.fields import File
from certbd.data.published import Published
from certbd.data.sources import Source, class_names, image_source

ClassName = Literal[
    "tench",
    "English springer",
    "cassette player",
    "chain saw",
    "church",
    "French horn",
    "garbage truck",
    "gas pump",
    "golf ball",
    "parachute",
]
FOLDERS = dict(
    zip(
        get_args(ClassName),
        (
            "n01440764", "n02102040", "n02979186", "n03000684", "n03028079",
            "n03394916", "n03417042", "n03425413", "n03445777", "n03888257",
        ),
        strict=True,
    )
)  # fmt: skip
"""Folder of each class."""
SIZE = 224


class Imagenette(Published):
    """Imagenette, scaled and cropped to 224 x 224 in colour."""

    channels: ClassVar[int] = 3
    folder: ClassVar[str] = "imagenette2"
    fetcher: ClassVar[str] = "Imagenette"
    input_shape: ClassVar[tuple[int, int, int]] = (3, SIZE, SIZE)
    kind: Literal["imagenette"]
    path: File = Field(".", description="folder that holds imagenette2")
    classes: list[
        Annotated[ClassName, Field(description="an Imagenette class by its first name")]
    ] = Field(
        ["English springer", "tench"],
        min_length=2,
        json_schema_extra={"uniqueItems": True},
        description="the classes to keep, in label order; default the papers' pair",
    )

    def open(self, path: Path) -> Source:
        """List the images of the classes that are kept."""
        used: dict[str, str] = {name: FOLDERS[name] for name in self.classes}
        names = [f"{split}/{folder}" for split in ("train", "val") for folder in used.values()]
        sides = dict.fromkeys(folder.parent for folder in self.find(path, names))
        splits = [(side, used) for side in sides]
        return image_source(splits, class_names(self.classes), SIZE, True, left_out=list(FOLDERS))


KIND = Imagenette
