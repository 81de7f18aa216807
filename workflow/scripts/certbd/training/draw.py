"""What a model trains on: a random version of the training set, its only view of it.

A draw turns a poisoned set and one generator for each model into inputs (models, n, ...) and labels
(models, n) on a device. On a CPU the generators draw themselves; elsewhere they seed the device's.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from certbd.artifacts.io import PoisonedSet
from certbd.learners.learner import Learner
from certbd.learners.networks import Ensemble

Generators = Sequence[np.random.Generator]


class Draw(Protocol):
    """A training side's randomness."""

    def __call__(
        self, poisoned: PoisonedSet, generators: Generators, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Return what each model trains on."""

    def parameters(
        self, poisoned: PoisonedSet, learner: Learner, n_classes: int
    ) -> Callable[[Generators], Ensemble] | None:
        """Return how parameters are drawn where nothing needs to be trained; None elsewhere."""

    def seen_bytes(self, poisoned: PoisonedSet, n_classes: int) -> int | None:
        """Return the size of what one model sees where that is little; None for the whole set."""


class WholeSet:
    """A draw of copies of the whole training set, on which every learner trains."""

    def parameters(
        self,
        poisoned: PoisonedSet,  # noqa: ARG002
        learner: Learner,  # noqa: ARG002
        n_classes: int,  # noqa: ARG002
    ) -> Callable[[Generators], Ensemble] | None:
        """Return None: models are trained."""
        return None

    def seen_bytes(self, poisoned: PoisonedSet, n_classes: int) -> int | None:  # noqa: ARG002
        """Return None: a model sees the whole set."""
        return None
