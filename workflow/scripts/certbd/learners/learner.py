"""What every learner is: settings, what others ask of it, its module and its training.

``learners.kinds`` holds one file for each. None of them loads torch before it is used.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from certbd.config import entries
from certbd.config.fields import Entry
from certbd.data.size import Size
from certbd.learners.feature_map import FeatureMap, Features
from certbd.learners.footprint import Footprint
from certbd.learners.weights import WeightsFile

if TYPE_CHECKING:
    from torch import Tensor, nn

    from certbd.learners.networks import Ensemble

Generators = Sequence[np.random.Generator]


class Learner(Entry):
    """What is trained."""

    network: ClassVar[bool] = False
    """Whether it is trained by gradient steps; such a one may be the undefended one."""
    linear: ClassVar[bool] = False
    """Whether its module is a `layers.LinearClassifier`."""
    by_class_means: ClassVar[bool] = False
    """Whether it sees its inputs through class means alone under Gaussian noise (`from_means`)."""
    learns_from: ClassVar[tuple[str, ...]] = ("noisy", "flipped", "rows")
    """Views of a training set that it learns from: inputs with Gaussian noise, features and labels
    drawn at random, rows drawn, sums over classes with noise (`from_sums`)."""
    searched_by: ClassVar[str | None] = None
    """Which search of the audit finds its worst training sets (`audit.SEARCHES`)."""

    kind: str

    def module(self, input_shape: tuple[int, ...], n_classes: int) -> "nn.Module":
        """Return a module without storage (on the meta device), in evaluation mode.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one input; (channels, height, width) for a convolutional network.

        Raises
        ------
        DataError
            If inputs of this shape do not fit the network.
        """
        import torch

        with torch.device("meta"):
            return self.build(input_shape, n_classes).eval()

    @abstractmethod
    def build(self, input_shape: tuple[int, ...], n_classes: int) -> "nn.Module":
        """Return a module on the current device; arguments and errors as `module`."""

    @abstractmethod
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
        """Train one model on each copy of the training set.

        Parameters
        ----------
        module : Module
            Its `module`.
        copies : Tensor (models, n, ...)
            All that a model learns from, with the labels.
        labels : Tensor (models, n)
        weights, batches : callable
            Makes the generators of initial weights and of batch orders, one for each model.
        """

    def from_means(self, means: NDArray[np.float64]) -> "Ensemble":
        """Return the models that see class means (models, classes, features), nothing else.

        Raises
        ------
        NotImplementedError
            If `by_class_means` is false.
        """
        raise NotImplementedError(f"learner {self.kind} does not see its inputs through means")

    def sums(
        self, inputs: NDArray[np.float32], labels: NDArray[np.int64], n_classes: int
    ) -> NDArray[np.float64]:
        """Return the bounded statistic of a training set that models are made from, over n.

        Raises
        ------
        NotImplementedError
            If `learns_from` has no "sums".
        """
        raise NotImplementedError(f"learner {self.kind} does not learn from sums")

    def from_sums(
        self, sums: NDArray[np.float64], sigma: float, generators: Generators
    ) -> "Ensemble":
        """Return models from `sums` with Gaussian noise of standard deviation `sigma` on each.

        Raises
        ------
        NotImplementedError
            As `sums`.
        """
        raise NotImplementedError(f"learner {self.kind} does not learn from sums")

    def sums_bound(self, n_classes: int) -> float | None:  # noqa: ARG002
        """Return B: no replaced row moves what decides among `sums` by more than ``2 B / n``.

        None for learners without sums. ``docs/theory.md``, section 7.
        """
        return None

    def batch_rows(self, n_rows: int) -> int:  # noqa: ARG002
        """Return how many of so many training inputs a gradient step sees; 0 without steps."""
        return 0

    def ridge_penalty(self) -> float | None:
        """Return the penalty of a learner that is ridge regression itself, None for others."""
        return None

    @abstractmethod
    def footprint(self, size: Size) -> Footprint:
        """Return what of the learner takes memory on inputs of a dataset."""

    @property
    def feature_map(self) -> FeatureMap | None:
        """The map that inputs go through first, None for none."""
        return None

    def count(self, shape: tuple[int, ...]) -> tuple[int, float]:
        """Return how many numbers a model sees of an input, and the bytes inside the map to them.

        `shape` is that of an input before its map.
        """
        return int(np.prod(shape, dtype=np.int64)), 0.0

    def weights_file(self) -> WeightsFile | None:
        """Return the file of weights that the settings name, None for none."""
        return None

    def with_weights(self, path: str) -> Self:
        """Return the learner with weights from a file: its own, or its encoder's.

        Without a path it is the learner as it is. The key that named the file holds its SHA-256.

        Raises
        ------
        DataError
            If the file cannot be read, has another SHA-256, or has not every weight of the network
            but its head.
        ValueError
            If the learner has no weights.
        """
        if path:
            raise ValueError(f"{path}: a learner of kind {self.kind} has no weights")
        return self


class Mapped(Learner):
    """A learner whose inputs may go through a fixed feature map first."""

    features: Features | None = Field(None)

    @property
    def feature_map(self) -> FeatureMap | None:
        """The map that inputs go through first, None for none."""
        return self.features

    def count(self, shape: tuple[int, ...]) -> tuple[int, float]:
        """Return how many numbers a model sees of an input, and the bytes inside the map to them.

        `shape` is that of an input before its map.
        """
        return super().count(shape) if self.features is None else self.features.count(shape)

    def weights_file(self) -> WeightsFile | None:
        """Return the map's file of weights, None for none."""
        file = None if self.features is None else self.features.weights_file()
        return None if file is None else file._replace(key=f"features.{file.key}")

    def with_weights(self, path: str) -> Self:
        """Return the learner with the map's weights from a file; errors as `Learner`'s."""
        if not path or self.features is None:
            return super().with_weights(path)
        return self.model_copy(update={"features": self.features.with_weights(path)})


def read(settings: Mapping[str, Any]) -> Learner:
    """Return the learner that checked settings describe, an entry of ``learners``.

    Raises
    ------
    ValueError
        If there is none of that kind.
    """
    learner: Learner = entries.read(entries.LEARNERS, settings)
    return learner
