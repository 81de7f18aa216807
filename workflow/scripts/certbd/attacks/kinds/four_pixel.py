"""Four pixels."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from certbd.attacks.pixels import Pixels, PublishedPixels


class FourPixel(PublishedPixels):
    """A backdoor whose trigger is four pixels."""

    kind: Literal["four_pixel"]
    n_pixels: ClassVar[int | None] = 4
    published: ClassVar[Mapping[int, Pixels]] = {
        28: [(18, 20), (19, 19), (20, 18), (20, 20)],
        32: [(14, 16), (15, 15), (16, 14), (16, 16)],
        224: [(112, 112), (111, 113), (113, 111), (113, 113)],
    }


KIND = FourPixel
