"""Learners whose model is a linear classifier with a closed form."""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from certbd.data.size import Size
from certbd.learners.footprint import Footprint, searched
from certbd.learners.learner import Generators, Mapped

if TYPE_CHECKING:
    from torch import Tensor, nn

    from certbd.learners.networks import Ensemble


class Linear(Mapped):
    """A learner whose models are weights and biases; no generator is drawn from."""

    linear: ClassVar[bool] = True

    @override
    def build(self, input_shape: tuple[int, ...], n_classes: int) -> "nn.Module":
        """Return a linear classifier of inputs of any shape."""
        from certbd.learners.layers import LinearClassifier

        return LinearClassifier(math.prod(input_shape), n_classes)

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
        """Fit one model to each copy of the training set."""
        return self.fit(copies, labels, n_classes)

    @abstractmethod
    def fit(self, copies: "Tensor", labels: "Tensor", n_classes: int) -> "Ensemble":
        """Fit one model to each of the copies (models, n, ...) with labels (models, n)."""

    @override
    def footprint(self, size: Size) -> Footprint:
        """Return what of the learner takes memory: models are as large as their inputs."""
        features, inside = self.count(size.shape)
        model = 4 * size.n_classes * (features + 1)
        return Footprint(features, model, 0, 4 * features, searched(self.searched_by), inside)
