"""The learner ``preact_resnet``."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from certbd.config.fields import Positive
from certbd.data.size import MB, Size
from certbd.learners.network import LEARNING_RATE, BatchSize, Convolutional, Epochs

if TYPE_CHECKING:
    from torch import nn


class PreActivationResNet(Convolutional):
    """The published network for CIFAR-10, with its published training as default."""

    kept_of_pixel: ClassVar[int] = 940

    kind: Literal["preact_resnet"]
    epochs: Epochs = 10
    batch_size: BatchSize = 64
    learning_rate: Positive = Field(0.001, description=LEARNING_RATE)

    def build_network(self, shape: tuple[int, ...], n_classes: int) -> "nn.Module":
        """Return a network of images of any size."""
        from certbd.learners import architectures

        return architectures.PreActivationResNet(shape, n_classes)

    def model_bytes(self, features: int, size: Size) -> float:  # noqa: ARG002
        """Return the size of a network."""
        return 2 * MB


KIND = PreActivationResNet
