"""A Gaussian pattern over the whole input."""

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from certbd.artifacts.io import DataError
from certbd.attacks.attack import Backdoor


class Blending(Backdoor):
    """A backdoor whose trigger is one Gaussian pattern, for images and rows of features."""

    clipped: ClassVar[bool] = False
    kind: Literal["blending"]

    def check_fit(self, has_images: bool) -> None:
        """Do nothing: the pattern fits inputs of any shape."""

    def check_domain(self, channels: int, size: int) -> None:  # noqa: ARG002
        """Raise DataError: no domain holds the pattern's numbers."""
        raise DataError(
            "kind: blending adds numbers outside any domain; allowed: triggers of pixels"
        )

    def pattern(
        self, shape: tuple[int, ...], generator: np.random.Generator
    ) -> NDArray[np.float64]:
        """Draw the pattern."""
        return generator.standard_normal(shape)


KIND = Blending
