"""The learner ``resnet18``."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr

from certbd.artifacts.io import check_sum
from certbd.config.fields import File, Positive
from certbd.data.size import MB, Size
from certbd.learners.network import LEARNING_RATE, BatchSize, Convolutional, Epochs
from certbd.learners.weights import PLANNED, WeightsFile

if TYPE_CHECKING:
    from torch import nn


class ResNet18(Convolutional):
    """ResNet-18 with a linear head, the training published for ImageNette as default."""

    kept_of_pixel: ClassVar[int] = 180

    kind: Literal["resnet18"]
    pretrained: File = Field(
        "none",
        description="none, or a safetensors file with weights under the names of torchvision's "
        "resnet18, relative to data_root unless absolute; that they were trained on clean data is "
        "for you to know",
    )
    epochs: Epochs = 5
    batch_size: BatchSize = 32
    learning_rate: Positive = Field(0.0001, description=LEARNING_RATE)

    _state: Mapping[str, NDArray[np.float32]] = PrivateAttr(default_factory=dict)

    def build_network(self, shape: tuple[int, ...], n_classes: int) -> "nn.Module":
        """Return a network of images of any size."""
        from certbd.learners import architectures

        return architectures.ResNet18(shape, n_classes)

    def given_state(self) -> Mapping[str, NDArray[np.float32]]:
        """Return the weights of the file, but for the head."""
        return self._state

    def model_bytes(self, features: int, size: Size) -> float:  # noqa: ARG002
        """Return the size of a network."""
        return 45 * MB

    def weights_file(self) -> WeightsFile | None:
        """Return the file of weights, None for none."""
        if self.pretrained == "none":
            return None
        holds = "the names of torchvision's resnet18, or to none"
        return WeightsFile("pretrained", self.pretrained, holds)

    def with_weights(self, path: str) -> Self:
        """Return the learner with the weights of a file, whose SHA-256 `pretrained` is."""
        if not path:
            return self
        from certbd.learners.layers import body_state

        check_sum(path, self.pretrained, PLANNED)
        learner = self.model_copy()
        learner._state = body_state(self.module((3, 224, 224), 2), path)
        return learner


KIND = ResNet18
