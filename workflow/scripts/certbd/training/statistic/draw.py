"""No rows at all: models see a bounded statistic of the training set, and Gaussian noise on it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from certbd.artifacts.io import PoisonedSet
from certbd.learners.learner import Learner
from certbd.learners.networks import Ensemble
from certbd.training.draw import Generators
from certbd.training.statistic.entry import Statistic


@dataclass(frozen=True)
class NoisyStatistic:
    """Class sums with noise `sigma` on each coordinate (``docs/theory.md``, section 7)."""

    sigma: float

    def __call__(
        self,
        poisoned: PoisonedSet,  # noqa: ARG002
        generators: Generators,  # noqa: ARG002
        device: torch.device,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor]:
        """Raise TypeError: there are no rows to train on."""
        raise TypeError("a statistic draws no rows; its parameters are drawn directly")

    def parameters(
        self, poisoned: PoisonedSet, learner: Learner, n_classes: int
    ) -> Callable[[Generators], Ensemble]:
        """Take the class sums once, and draw the noise of each model."""
        sums = learner.sums(poisoned.inputs, poisoned.labels, n_classes)
        return lambda generators: learner.from_sums(sums, self.sigma, generators)

    def seen_bytes(self, poisoned: PoisonedSet, n_classes: int) -> int:
        """Return about the size of the sums."""
        return poisoned.inputs[:n_classes].nbytes


def draw_of(
    side: Statistic,
    n_classes: int,  # noqa: ARG001
    sigma: object,  # noqa: ARG001
) -> NoisyStatistic:
    """Return the draw of a run."""
    return NoisyStatistic(side.sigma_statistic)
