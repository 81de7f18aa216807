"""Rows drawn without replacement, for each model."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certbd.artifacts.io import PoisonedSet
from certbd.training.bagging.entry import Bagging as Side
from certbd.training.draw import Generators, WholeSet


@dataclass(frozen=True)
class Bagging(WholeSet):
    """`n_drawn` rows, drawn without replacement by each model (``docs/theory.md``, section 7)."""

    n_drawn: int

    def __call__(
        self, poisoned: PoisonedSet, generators: Generators, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Return the rows drawn: the same ones on any device."""
        rows = np.stack([self.rows(len(poisoned.labels), each) for each in generators])
        inputs, labels = poisoned.inputs[rows], poisoned.labels[rows]
        return torch.from_numpy(inputs).to(device), torch.from_numpy(labels).to(device)

    def rows(self, n_rows: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Draw the rows of one model."""
        return generator.choice(n_rows, self.n_drawn, replace=False)

    def seen_bytes(self, poisoned: PoisonedSet, n_classes: int) -> int:  # noqa: ARG002
        """Return the size of the rows that a model sees."""
        return poisoned.inputs[: self.n_drawn].nbytes


def draw_of(
    side: Side,
    n_classes: int,  # noqa: ARG001
    sigma: object,  # noqa: ARG001
) -> Bagging:
    """Return the draw of a run."""
    return Bagging(side.n_drawn)
