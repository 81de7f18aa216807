"""Training features and labels kept or replaced, drawn once for each model."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from certbd.artifacts.io import PoisonedSet
from certbd.data.domains import Replacement, numbers_of, shifted, shifts
from certbd.training.draw import Generators, WholeSet
from certbd.training.flips.entry import Flips


@dataclass(frozen=True)
class Replaced(WholeSet):
    """Training features and labels kept or replaced.

    `features` is the noise on features; each of `n_classes` labels is kept with probability
    `beta_labels`, else another, uniformly (``docs/theory.md``, section 6).
    """

    features: Replacement
    beta_labels: float
    n_classes: int

    def __call__(
        self, poisoned: PoisonedSet, generators: Generators, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Return noisy copies of the inputs and of the labels."""
        beta, size = self.features
        numbers = numbers_of(poisoned.inputs, size, "training set")
        given = poisoned.labels.astype(np.uint16)
        copies = np.empty((len(generators), *numbers.shape), np.float32)
        labels = np.empty((len(generators), len(given)), np.int64)
        for copy, answer, generator in zip(copies, labels, generators, strict=True):
            copy[:] = shifted(numbers, shifts(generator, numbers.shape, beta, size), size)
            flips = shifts(generator, given.shape, self.beta_labels, self.n_classes)
            answer[:] = shifted(given, flips, self.n_classes)
        copies /= np.float32(size - 1)
        return torch.from_numpy(copies).to(device), torch.from_numpy(labels).to(device)


def draw_of(side: Flips, n_classes: int, sigma: object) -> Replaced:  # noqa: ARG001
    """Return the draw of a run."""
    return Replaced(Replacement(side.beta, side.values), side.kept_labels, n_classes)
