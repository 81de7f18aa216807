"""Triggers that are a list of pixels: an attack says the positions alone."""

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from certbd.artifacts.io import DataError
from certbd.attacks.attack import Backdoor
from certbd.data import domains

Pixels = list[tuple[int, int]]
"""Row and column of each."""


class PixelTrigger(Backdoor):
    """Pixels that share the norm equally, over positions and channels."""

    clipped: ClassVar[bool] = True
    n_pixels: ClassVar[int | None] = None
    """Number of pixels where it is the same for images of every size."""

    @abstractmethod
    def positions(self, height: int, width: int) -> Pixels:
        """Return the pixels of an image of this size; raise DataError if it is too small."""

    def check_fit(self, has_images: bool) -> None:
        """Raise DataError for rows of features."""
        if not has_images:
            raise DataError(
                f"kind: a {self.kind} trigger needs images, not rows of features; blending fits "
                "both"
            )

    def check_domain(self, channels: int, size: int) -> None:
        """Raise DataError if a pixel's share leads out of a domain of `size` values."""
        if self.n_pixels is None:
            raise DataError(
                f"kind: what {self.kind} adds to a pixel depends on the image's size; allowed: "
                "triggers of as many pixels on every image"
            )
        domains.check_trigger(self.norm / math.sqrt(channels * self.n_pixels), size)

    def pattern(self, shape: tuple[int, ...], _: np.random.Generator) -> NDArray[np.float64]:
        """Return ones at the positions in images (channels, height, width), else zeros."""
        self.check_fit(len(shape) == len(("channels", "height", "width")))
        rows, columns = zip(*self.positions(*shape[1:]), strict=True)
        pattern = np.zeros(shape)
        pattern[:, rows, columns] = 1
        return pattern


class PublishedPixels(PixelTrigger):
    """Pixels at positions that were published for square images of some sizes.

    In images of other sizes they are the first `n_pixels` corners, of which the top left is first.
    """

    published: ClassVar[Mapping[int, Pixels]]
    """Positions by height and width."""

    def positions(self, height: int, width: int) -> Pixels:
        """Return the published positions, or corners."""
        if height == width and height in self.published:
            return self.published[height]
        corners = [(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1)]
        wanted = corners[: self.n_pixels]
        if len(set(wanted)) < len(wanted):
            raise DataError(
                f"a {self.kind} trigger needs images of 2 x 2 pixels, not {height} x {width}"
            )
        return wanted
