"""Noisy copies of the training set, drawn once for each model."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certbd.artifacts.io import PoisonedSet
from certbd.learners import closed_form
from certbd.learners.learner import Learner
from certbd.learners.networks import Ensemble
from certbd.training.draw import Generators, WholeSet
from certbd.training.side import TrainingSide

Sigma = float | NDArray[np.float64]


@dataclass(frozen=True)
class Gaussian(WholeSet):
    """The whole training set with Gaussian noise on its inputs, drawn once for each model.

    `sigma` is the standard deviation, a number or one for each input (n,); 0 for none
    (``docs/theory.md``, section 2).
    """

    sigma: Sigma

    def __call__(
        self, poisoned: PoisonedSet, generators: Generators, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Return noisy copies of the inputs, and the labels as they are."""
        draw = _noisy_copies if device.type == "cpu" else _device_copies
        labels = torch.from_numpy(poisoned.labels).to(device)
        copies = draw(poisoned.inputs, self.sigma, generators, device)
        return copies, labels.expand(len(generators), -1)

    def parameters(
        self, poisoned: PoisonedSet, learner: Learner, n_classes: int
    ) -> Callable[[Generators], Ensemble] | None:
        """Draw class means, where these are all that a learner sees, without any copy."""
        if not learner.by_class_means:
            return None

        def drawn(generators: Generators) -> Ensemble:
            means = closed_form.noisy_class_means(
                poisoned.inputs, poisoned.labels, self.sigma, n_classes, generators
            )
            return learner.from_means(means)

        return drawn


def _noisy_copies(
    inputs: NDArray[np.float32],
    sigma: Sigma,
    generators: Generators,
    device: torch.device,
) -> Tensor:
    """Return one noisy copy of the inputs for each generator, (models, n, ...)."""
    scale = np.broadcast_to(np.asarray(sigma, np.float64), len(inputs))
    scale = scale.reshape(-1, *[1] * (inputs.ndim - 1))
    copies = np.empty((len(generators), *inputs.shape), np.float32)
    for copy, generator in zip(copies, generators, strict=True):
        generator.standard_normal(out=copy, dtype=np.float32)
        copy *= scale  # the product is taken in float64
        copy += inputs
    return torch.from_numpy(copies).to(device)


def _device_copies(
    inputs: NDArray[np.float32],
    sigma: Sigma,
    generators: Generators,
    device: torch.device,
) -> Tensor:
    """Draw the noise on the device, whose generator gets 63 bits of each model's own stream."""
    clean = torch.from_numpy(inputs).to(device)
    scale = torch.tensor(sigma, dtype=torch.float32, device=device).expand(len(inputs))
    scale = scale.reshape(-1, *[1] * (inputs.ndim - 1))
    copies = torch.empty((len(generators), *inputs.shape), device=device)
    for copy, generator in zip(copies, generators, strict=True):
        source = torch.Generator(device).manual_seed(int(generator.integers(2**63)))
        copy.normal_(generator=source).mul_(scale).add_(clean)
    return copies


def draw_of(side: TrainingSide, n_classes: int, sigma: Sigma | None) -> Gaussian:  # noqa: ARG001
    """Return the draw of a run whose training inputs have noise `sigma`."""
    if sigma is None:
        raise ValueError(f"training side {side.kind}: its noise on training inputs is not given")
    return Gaussian(sigma)
