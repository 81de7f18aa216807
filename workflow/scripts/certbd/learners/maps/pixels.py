"""The feature map ``pixels``."""

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from certbd.learners.feature_map import FeatureMap

if TYPE_CHECKING:
    from torch import Tensor


class Pixels(FeatureMap):
    """The input less a constant."""

    lipschitz: ClassVar[bool] = True
    never_negative: ClassVar[bool] = False
    kind: Literal["pixels"]
    pixel_mean: float = Field(0, description="constant taken from every pixel")

    def count_image(self, shape: tuple[int, ...]) -> tuple[int, float]:
        """Return the number of values of an image; there is nothing inside."""
        return math.prod(shape), 0.0

    def project(self, inputs: "Tensor", matrices: list["Tensor"]) -> "Tensor":  # noqa: ARG002
        """Return inputs less the constant."""
        return inputs - self.pixel_mean


KIND = Pixels
