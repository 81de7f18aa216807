"""Learners that are trained by gradient steps: Adam on mini-batches, cross-entropy."""

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from certbd.artifacts.io import DataError
from certbd.config.fields import Positive
from certbd.data.size import Size
from certbd.learners.footprint import Footprint, searched
from certbd.learners.learner import Generators, Learner

if TYPE_CHECKING:
    from torch import Tensor, nn

    from certbd.learners.networks import Ensemble, Recipe

Epochs = Annotated[int, Field(ge=1, description="passes over the training set")]
BatchSize = Annotated[int, Field(ge=1, description="training inputs per step")]
LEARNING_RATE = "Adam's learning rate"


class Network(Learner):
    """A network; each kind has defaults of its own."""

    network: ClassVar[bool] = True
    searched_by: ClassVar[str | None] = "ridge"

    epochs: Epochs
    batch_size: BatchSize
    learning_rate: Positive = Field(description=LEARNING_RATE)
    weight_decay: float = Field(
        0, ge=0, description="Adam's weight decay, added to the gradient; 0 or more"
    )

    def recipe(self) -> "Recipe":
        """Return how gradient steps are taken."""
        from certbd.learners.networks import Recipe

        return Recipe(self.epochs, self.batch_size, self.learning_rate, self.weight_decay)

    def given_state(self) -> Mapping[str, NDArray[np.float32]]:
        """Return the weights that training starts from, where they are not drawn."""
        return {}

    @override
    def train(
        self,
        module: "nn.Module",
        copies: "Tensor",
        labels: "Tensor",
        n_classes: int,
        *,
        weights: Callable[[], Generators],
        batches: Callable[[], Generators],
    ) -> "Ensemble":
        """Train one network on each copy of the training set."""
        from certbd.learners import networks

        return networks.train_networks(
            module, copies, labels, self.recipe(), weights(), batches(), self.given_state()
        )

    def batch_rows(self, n_rows: int) -> int:
        """Return how many of so many training inputs a gradient step sees."""
        return min(self.batch_size, n_rows)

    @abstractmethod
    def kept_bytes(self, features: int, shape: tuple[int, ...]) -> float:
        """Return what a network keeps of an input for its backward pass."""

    @abstractmethod
    def model_bytes(self, features: int, size: Size) -> float:
        """Return the size of a network."""

    @override
    def footprint(self, size: Size) -> Footprint:
        """Return what of the learner takes memory: networks, and what they keep of a batch."""
        features, inside = self.count(size.shape)
        kept = self.kept_bytes(features, size.shape)
        batch = self.batch_rows(size.training) * kept
        model = self.model_bytes(features, size)
        return Footprint(features, model, batch, kept, searched(self.searched_by), inside)


class Convolutional(Network):
    """A network of images."""

    smallest: ClassVar[int] = 1
    """Pixels along the shorter side of an image, at least."""
    kept_of_pixel: ClassVar[int]
    """Numbers that a network keeps for its backward pass, for each pixel."""

    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        "float32",
        description="number format of training; tf32 and bfloat16 are faster and less exact "
        "(docs/results.md). Models vote in float32",
    )

    def recipe(self) -> "Recipe":
        """Return how gradient steps are taken."""
        return super().recipe()._replace(precision=self.precision)

    @override
    def build(self, input_shape: tuple[int, ...], n_classes: int) -> "nn.Module":
        """Return a network of images of this shape."""
        if len(input_shape) != 3 or min(input_shape[1:]) < self.smallest:
            least = f"{self.smallest} x {self.smallest} pixels or more"
            raise DataError(
                f"a learner of kind {self.kind} needs images of {least}, not shape {input_shape}"
            )
        return self.build_network(input_shape, n_classes)

    @abstractmethod
    def build_network(self, shape: tuple[int, ...], n_classes: int) -> "nn.Module":
        """Return a network of images that are large enough."""

    def kept_bytes(self, features: int, shape: tuple[int, ...]) -> float:  # noqa: ARG002
        """Return what a network keeps of an image for its backward pass."""
        return 4.0 * math.prod(shape[1:]) * self.kept_of_pixel
