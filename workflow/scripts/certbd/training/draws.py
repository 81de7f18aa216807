"""What a model trains on: a random version of the training set, its only view of it.

A draw turns a poisoned set and one generator for each model into inputs (models, n, ...) and labels
(models, n) on a device. On a CPU the generators draw themselves; elsewhere they seed the device's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certbd.artifacts.io import PoisonedSet
from certbd.data.domains import Replacement, numbers_of, shifted, shifts


class Draw(Protocol):
    """A defence's randomness on the training side."""

    def __call__(
        self,
        poisoned: PoisonedSet,
        generators: Sequence[np.random.Generator],
        device: torch.device,
    ) -> tuple[Tensor, Tensor]:
        """Return what each model trains on."""


@dataclass(frozen=True)
class Gaussian:
    """The whole training set with Gaussian noise on its inputs, drawn once a model.

    `sigma` is the standard deviation, a number or one for each input (n,); 0 for none
    (``docs/theory.md``, section 2).
    """

    sigma: float | NDArray[np.float64]

    def __call__(
        self,
        poisoned: PoisonedSet,
        generators: Sequence[np.random.Generator],
        device: torch.device,
    ) -> tuple[Tensor, Tensor]:
        """Return noisy copies of the inputs, and the labels as they are."""
        draw = _noisy_copies if device.type == "cpu" else _device_copies
        labels = torch.from_numpy(poisoned.labels).to(device)
        copies = draw(poisoned.inputs, self.sigma, generators, device)
        return copies, labels.expand(len(generators), -1)


@dataclass(frozen=True)
class Replaced:
    """Training features and labels kept or replaced, drawn once a model.

    `features` is the noise on features; each of `n_classes` labels is kept with probability
    `beta_labels`, else another, uniformly (``docs/theory.md``, section 6).
    """

    features: Replacement
    beta_labels: float
    n_classes: int

    def __call__(
        self,
        poisoned: PoisonedSet,
        generators: Sequence[np.random.Generator],
        device: torch.device,
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


@dataclass(frozen=True)
class Bagging:
    """`n_drawn` rows, drawn without replacement by each model (``docs/theory.md``, section 7)."""

    n_drawn: int

    def __call__(
        self,
        poisoned: PoisonedSet,
        generators: Sequence[np.random.Generator],
        device: torch.device,
    ) -> tuple[Tensor, Tensor]:
        """Return the rows drawn: the same ones on any device."""
        n = len(poisoned.labels)
        rows = np.stack([g.choice(n, self.n_drawn, replace=False) for g in generators])
        inputs, labels = poisoned.inputs[rows], poisoned.labels[rows]
        return torch.from_numpy(inputs).to(device), torch.from_numpy(labels).to(device)


@dataclass(frozen=True)
class NoisyStatistic:
    """No rows at all: models see a bounded statistic of the training set, and Gaussian noise on it.

    `sigma` is the standard deviation on each coordinate (``docs/theory.md``, section 7).
    """

    sigma: float


def draw_of(noise: Mapping[str, Any], n_classes: int) -> Draw | NoisyStatistic:
    """Return the randomness on the training side that the configuration's ``noise_levels`` mean."""
    if "beta" in noise:
        replacement = Replacement(noise["beta"], noise["values"])
        return Replaced(replacement, noise["beta_labels"], n_classes)
    if "n_drawn" in noise:
        return Bagging(int(noise["n_drawn"]))
    if "sigma_statistic" in noise:
        return NoisyStatistic(noise["sigma_statistic"])
    return Gaussian(noise["train"])


def _noisy_copies(
    inputs: NDArray[np.float32],
    sigma: float | NDArray[np.float64],
    generators: Sequence[np.random.Generator],
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
    sigma: float | NDArray[np.float64],
    generators: Sequence[np.random.Generator],
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
