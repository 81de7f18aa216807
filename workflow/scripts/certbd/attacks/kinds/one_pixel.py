"""One pixel."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from certbd.attacks.pixels import Pixels, PublishedPixels


class OnePixel(PublishedPixels):
    """A backdoor whose trigger is one pixel."""

    kind: Literal["one_pixel"]
    n_pixels: ClassVar[int | None] = 1
    published: ClassVar[Mapping[int, Pixels]] = {
        28: [(23, 23)],
        32: [(15, 15)],
        224: [(112, 112)],
    }


KIND = OnePixel
