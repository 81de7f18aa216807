"""The feature map ``random_conv``."""

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from certbd import rng
from certbd.artifacts.io import DataError
from certbd.config.fields import Seed
from certbd.learners.feature_map import ROWS, SLACK, FeatureMap

if TYPE_CHECKING:
    from torch import Tensor


class RandomFilters(FeatureMap):
    """Random filters of mean 0, rectified, averaged over squares."""

    never_negative: ClassVar[bool] = True

    lipschitz: ClassVar[bool] = True
    kind: Literal["random_conv"]
    filters: int = Field(32, ge=1, description="number of filters")
    width: int = Field(5, ge=1, description="pixels along a filter's side")
    pool: int = Field(7, ge=1, description="pixels along a square's side")
    seed: Seed = 0

    def count_image(self, shape: tuple[int, ...]) -> tuple[int, float]:
        """Return the number of squares of all filters, and the bytes of what they filter."""
        count = self.filters * math.prod(side // self.pool for side in shape[1:])
        return count, 4.0 * ROWS * self.filters * math.prod(shape[1:])

    def matrices(self, shape: tuple[int, ...]) -> list[NDArray[np.float32]]:
        """Return the kernels (filters, channels, width, width), of norm 1 as a convolution.

        Raises
        ------
        DataError
            If inputs are no images or too small, or nothing is left of a filter less its mean.
        """
        self.need_images(shape)
        if self.pool > min(shape[1:]):
            raise DataError(f"features of kind random_conv: pool {self.pool} of inputs {shape}")
        if self.width == shape[0] == 1:
            raise DataError(
                "features of kind random_conv: width 1 of images with 1 channel; allowed: width 2 "
                "or more, because nothing is left of a filter of one value less its mean"
            )
        generator = rng.generator(self.seed, rng.Purpose.FEATURES)
        kernels = generator.standard_normal((self.filters, shape[0], *[self.width] * 2))
        kernels -= kernels.mean((1, 2, 3), keepdims=True)
        return [(kernels / (SLACK * convolution_norm(kernels, shape[1:]))).astype(np.float32)]

    def project(self, inputs: "Tensor", matrices: list["Tensor"]) -> "Tensor":
        """Return the means (n, filters, height // pool, width // pool) times `pool`.

        A mean of pool^2 values divides norms by pool.
        """
        from torch.nn.functional import avg_pool2d, conv2d

        (kernels,) = matrices
        filtered = conv2d(inputs, kernels, padding=self.width // 2).relu()
        return self.pool * avg_pool2d(filtered, self.pool)


def convolution_norm(kernels: NDArray[np.float64], sides: tuple[int, ...]) -> float:
    """Return the norm of a convolution with zero padding of images, or a little more.

    It is part of a circular convolution of the padded images, whose norm is the largest singular
    value of its transfer matrices (filters, channels) over all frequencies (Sedghi et al., arXiv
    1805.10408).
    """
    padded = [side + 2 * (kernels.shape[-1] // 2) for side in sides]
    transfer = np.fft.fft2(kernels, padded).transpose(2, 3, 0, 1)
    return float(np.linalg.norm(transfer, 2, axis=(2, 3)).max())


KIND = RandomFilters
