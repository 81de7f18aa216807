"""The learner ``mlp``."""

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from certbd.config.fields import Positive
from certbd.data.size import Size
from certbd.learners.learner import Mapped
from certbd.learners.network import LEARNING_RATE, BatchSize, Epochs, Network

if TYPE_CHECKING:
    from torch import nn


class MLP(Mapped, Network):
    """Two layers, the hidden one of rectified units; Adam on mini-batches, cross-entropy."""

    kind: Literal["mlp"]
    hidden: int = Field(64, ge=1, description="hidden units")
    offset: float | None = Field(
        None,
        ge=0,
        le=1,
        description="a constant that is subtracted from the inputs, 0 to 1; default 0",
    )
    epochs: Epochs = 30
    batch_size: BatchSize = 64
    learning_rate: Positive = Field(0.01, description=LEARNING_RATE)

    def build(self, input_shape: tuple[int, ...], n_classes: int) -> "nn.Module":
        """Return a network of inputs of any shape."""
        from certbd.learners import architectures

        n_features, offset = math.prod(input_shape), self.offset or 0.0
        return architectures.MLP(n_features, self.hidden, n_classes, offset)

    def kept_bytes(self, features: int, shape: tuple[int, ...]) -> float:  # noqa: ARG002
        """Return what a network keeps of an input for its backward pass."""
        return 4 * features + 8 * self.hidden

    def model_bytes(self, features: int, size: Size) -> float:
        """Return the size of a network."""
        return 4 * (self.hidden * (features + 1) + size.n_classes * (self.hidden + 1))


KIND = MLP
