"""The feature map ``dct``."""

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from certbd.artifacts.io import DataError
from certbd.learners.feature_map import SLACK, FeatureMap

if TYPE_CHECKING:
    from torch import Tensor


class Cosines(FeatureMap):
    """Lowest coefficients of each channel's two-dimensional cosine transform."""

    lipschitz: ClassVar[bool] = True
    never_negative: ClassVar[bool] = False
    kind: Literal["dct"]
    size: int = Field(8, ge=1, description="frequencies along each side")
    pixel_mean: float = Field(0, description="constant taken from every pixel")

    def count_image(self, shape: tuple[int, ...]) -> tuple[int, float]:
        """Return the number of coefficients of all channels; there is nothing inside."""
        return shape[0] * self.size**2, 0.0

    def matrices(self, shape: tuple[int, ...]) -> list[NDArray[np.float32]]:
        """Return the lowest rows of the transform along each side.

        Raises
        ------
        DataError
            If inputs are no images, or too small.
        """
        self.need_images(shape)
        if self.size > min(shape[1:]):
            raise DataError(f"features of kind dct: size {self.size} of inputs {shape}")
        return [(_cosines(self.size, side) / SLACK).astype(np.float32) for side in shape[1:]]

    def project(self, inputs: "Tensor", matrices: list["Tensor"]) -> "Tensor":
        """Return the coefficients (n, channels, size, size) of images."""
        rows, columns = matrices
        return rows @ (inputs - self.pixel_mean) @ columns.T


def _cosines(size: int, side: int) -> NDArray[np.float64]:
    """Return the `size` lowest rows of the orthonormal cosine transform (type II) of `side`."""
    frequency, place = np.arange(size)[:, None], np.arange(side)
    rows = np.cos(np.pi * frequency * (2 * place + 1) / (2 * side)) * math.sqrt(2 / side)
    rows[0] /= math.sqrt(2)
    return rows


KIND = Cosines
