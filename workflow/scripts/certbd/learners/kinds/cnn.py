"""The learner ``cnn``."""

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from certbd.config.fields import Positive
from certbd.data.size import Size
from certbd.learners.network import LEARNING_RATE, BatchSize, Convolutional, Epochs

if TYPE_CHECKING:
    from torch import nn


class CNN(Convolutional):
    """The published network for MNIST, with its published training as default."""

    smallest: ClassVar[int] = 16
    kept_of_pixel: ClassVar[int] = 45

    kind: Literal["cnn"]
    epochs: Epochs = 20
    batch_size: BatchSize = 128
    learning_rate: Positive = Field(0.001, description=LEARNING_RATE)

    def build_network(self, shape: tuple[int, ...], n_classes: int) -> "nn.Module":
        """Return a network of images of 16 x 16 pixels or more."""
        from certbd.learners import architectures

        return architectures.CNN(shape, n_classes)

    def model_bytes(self, features: int, size: Size) -> float:  # noqa: ARG002
        """Return the size of a network: most of it are the weights of its hidden units."""
        sides = [max(((side - 4) // 2 - 4) // 2, 1) for side in size.shape[1:]]
        return 4 * (512 * 32 * math.prod(sides) + 60_000)


KIND = CNN
