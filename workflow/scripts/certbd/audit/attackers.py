"""The worst perturbations of a certified set that can be found, to try a certificate with.

Searches see pilot models, never those whose votes decide, and lower the score of each test input's
label (`descent`).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from certbd import rng
from certbd.artifacts.io import PoisonedSet
from certbd.audit.descent import EVALUATION_BYTES, descend, margin_score, parts
from certbd.learners import closed_form
from certbd.learners.layers import LinearClassifier
from certbd.learners.networks import Ensemble, logits, saved_bytes

SURROGATE_STEPS = 5
ROWS = 1024
"""Training rows that are moved together."""
PENALTY = 0.01
"""Of the ridge regression that stands for a network."""

Inputs = NDArray[np.float32]


def step_inputs(
    module: nn.Module,
    pilots: Ensemble,
    inputs: Inputs,
    sigma: NDArray[np.float64],
    labels: NDArray[np.int64],
    norms: NDArray[np.float64],
    draws: Tensor,
) -> Inputs:
    """Return test inputs (n, ...) moved by `norms` (n,) against their labels.

    Parameters
    ----------
    draws : Tensor (pilots, ...)
        Each pilot's test noise; it is scaled by `sigma` (n,).
    """
    shape = (1, *inputs.shape[1:])
    linear = isinstance(module, LinearClassifier)
    each = 3 * inputs[:1].nbytes + (0 if linear else saved_bytes(module, shape))
    some = max(1, EVALUATION_BYTES // each)  # of the pilots
    return np.concatenate(
        [
            _step_part(
                module, pilots, inputs[part], sigma[part], labels[part], norms[part], draws, some
            )
            for part in parts(len(inputs), len(draws) * each)
        ]
    )


def _step_part(
    module: nn.Module,
    pilots: Ensemble,
    inputs: Inputs,
    sigma: NDArray[np.float64],
    labels: NDArray[np.int64],
    norms: NDArray[np.float64],
    draws: Tensor,
    some: int,
) -> Inputs:
    """Move inputs; pilots answer `some` at a time, again for gradients if these are not all."""
    clean, targets = torch.from_numpy(inputs), torch.tensor(labels)
    scale = torch.tensor(sigma, dtype=torch.float32).reshape(-1, *[1] * (clean.ndim - 1))

    def answers(step: Tensor, part: slice) -> Tensor:
        noisy = clean + step.reshape(clean.shape) + scale * draws[part, None]
        return logits(module, {name: state[part] for name, state in pilots.items()}, noisy)

    def scores(blocks: Sequence[Tensor]) -> Tensor:
        if some >= len(draws):
            return margin_score(answers(blocks[0], slice(None)), targets)
        few = [slice(start, start + some) for start in range(0, len(draws), some)]
        found = [checkpoint(answers, blocks[0], part, use_reentrant=False) for part in few]
        return margin_score(torch.cat(found), targets)

    (step,) = descend(scores, [(norms, clean[0].numel())])
    return inputs + step.reshape(clean.shape).numpy()


class ClassMeans:
    """Nearest class mean under Gaussian noise: a training set moves its models by class shifts.

    A shift of class c by ``v_c`` costs least when row i moves by ``v_c n_c sigma_i^2 / S_c`` with
    ``S_c = sum_{i in c} sigma_i^2``; its scaled norm is then ``|v_c| n_c / sqrt(S_c)``.
    """

    def __init__(
        self, training: PoisonedSet, sigma: NDArray[np.float64], pilots: Ensemble, draws: Tensor
    ) -> None:
        if not (np.isfinite(sigma) & (sigma > 0)).all():
            raise ValueError("every training input needs Gaussian noise of finite sigma above 0")
        self.training, self.sigma = training, sigma
        self.counts = np.bincount(training.labels)
        self.variance = np.bincount(training.labels, np.square(sigma))
        self.means, self.draws = pilots["weight"], draws.flatten(1)  # (pilots, classes, features)
        self.unit = torch.from_numpy(np.sqrt(self.variance) / self.counts).float()  # per class

    def scores(self, inputs: Tensor, shifts: Tensor, sigma: Tensor, labels: Tensor) -> Tensor:
        """Return scores of inputs (n, features), classes shifted (n, classes, features)."""
        noisy = inputs + sigma[:, None] * self.draws[:, None]  # (pilots, n, features)
        means = self.means[:, None] + shifts  # (pilots, n, classes, features)
        answers = (means * noisy[:, :, None]).sum(-1) - means.square().sum(-1) / 2
        return margin_score(answers, labels)

    def _in_parts(self, n: int) -> list[slice]:
        return parts(n, 4 * self.means.nbytes)

    def worst(
        self,
        inputs: Inputs,
        sigma: NDArray[np.float64],
        labels: NDArray[np.int64],
        norms: NDArray[np.float64],
        both: bool,
    ) -> tuple[Iterator[PoisonedSet], Inputs]:
        """Search the ellipsoid ``|delta_0|^2/sigma_0^2 + sum_i |delta_i|^2/sigma_i^2 = norms^2``.

        Returns a training set for each input, one at a time, and the inputs, moved if `both`.
        """
        found = [
            self._worst(inputs[part], sigma[part], labels[part], norms[part], both)
            for part in self._in_parts(len(inputs))
        ]
        shifts, moved = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        share = self.counts * np.square(self.sigma)[:, None] / self.variance
        share = share[np.arange(len(share)), self.training.labels]  # of its class's shift, per row
        return (self._shifted(shift, share) for shift in shifts), moved

    def _worst(
        self,
        inputs: Inputs,
        sigma: NDArray[np.float64],
        labels: NDArray[np.int64],
        norms: NDArray[np.float64],
        both: bool,
    ) -> tuple[Inputs, Inputs]:
        """Return the shift of each class for each input, and the inputs, moved if `both`."""
        flat, test = torch.from_numpy(inputs).flatten(1), torch.tensor(sigma, dtype=torch.float32)
        features, n_classes = flat.shape[1], len(self.counts)

        def steps(block: Tensor) -> tuple[Tensor, Tensor]:
            step = block[:, :features] * test[:, None] if both else torch.zeros_like(flat)
            shifts = block[:, -n_classes * features :].unflatten(1, (n_classes, features))
            return step, shifts * self.unit[:, None]

        def scores(blocks: Sequence[Tensor]) -> Tensor:
            step, shifts = steps(blocks[0])
            return self.scores(flat + step, shifts, test, torch.tensor(labels))

        size = (n_classes + int(both)) * features
        step, shifts = steps(descend(scores, [(norms, size)])[0])
        return shifts.numpy(), inputs + step.reshape(inputs.shape).numpy()

    def worst_trigger(
        self,
        inputs: Inputs,
        sigma: NDArray[np.float64],
        labels: NDArray[np.int64],
        norms: NDArray[np.float64],
        n_poisoned: int,
    ) -> tuple[Iterator[PoisonedSet], Inputs]:
        """Search triggers of given norms on the test input and on `n_poisoned` rows of one class.

        The class is the one whose shift lowers the score most.
        """
        found = [
            self._worst_trigger(inputs[part], sigma[part], labels[part], norms[part], n_poisoned)
            for part in self._in_parts(len(inputs))
        ]
        chosen, triggers, moved = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        pairs = zip(chosen.tolist(), triggers, strict=True)
        return (self._triggered(label, trigger, n_poisoned) for label, trigger in pairs), moved

    def _worst_trigger(
        self,
        inputs: Inputs,
        sigma: NDArray[np.float64],
        labels: NDArray[np.int64],
        norms: NDArray[np.float64],
        n_poisoned: int,
    ) -> tuple[NDArray[np.int64], Inputs, Inputs]:
        """Return the class chosen for each input, the trigger on its rows, and the inputs moved."""
        flat, test = torch.from_numpy(inputs).flatten(1), torch.tensor(sigma, dtype=torch.float32)
        targets, rows = torch.tensor(labels), torch.arange(len(inputs))
        shifts = torch.zeros(len(inputs), len(self.counts), flat.shape[1], requires_grad=True)
        (gradient,) = torch.autograd.grad(self.scores(flat, shifts, test, targets).sum(), shifts)
        count = np.minimum(n_poisoned, self.counts)
        weight = torch.from_numpy(count / self.counts).float()
        chosen = (gradient.norm(dim=2) * weight).argmax(1)

        def scores(blocks: Sequence[Tensor]) -> Tensor:
            moved = torch.zeros_like(shifts).index_put(
                (rows, chosen), blocks[1] * weight[chosen][:, None]
            )
            return self.scores(flat + blocks[0], moved, test, targets)

        step, trigger = descend(scores, [(norms, flat.shape[1])] * 2)
        return chosen.numpy(), trigger.numpy(), inputs + step.reshape(inputs.shape).numpy()

    def _triggered(self, label: int, trigger: Inputs, n_poisoned: int) -> PoisonedSet:
        share = np.zeros(len(self.training.labels))
        share[np.flatnonzero(self.training.labels == label)[:n_poisoned]] = 1
        return self._shifted(np.broadcast_to(trigger, (len(self.counts), len(trigger))), share)

    def _shifted(self, shift: Inputs, share: NDArray[np.float64]) -> PoisonedSet:
        """Move each training row by its share of the shift (classes, features) of its class."""
        moved = self.training.inputs.copy()
        flat, labels = moved.reshape(len(moved), -1), self.training.labels
        for part in (slice(start, start + ROWS) for start in range(0, len(flat), ROWS)):
            flat[part] = flat[part] + shift[labels[part]] * share[part, None]
        return self.training._replace(inputs=moved)


def training_draws(training: PoisonedSet, seed: int, n_pilots: int) -> Tensor:
    """Return pilots' standard normal noise on training rows (pilots, n, features)."""
    shape = training.inputs.reshape(len(training.labels), -1).shape
    noise = np.empty((n_pilots, *shape), np.float32)
    generators = rng.generators(seed, rng.Purpose.PILOT_TRAIN_NOISE, range(n_pilots))
    for own, generator in zip(noise, generators, strict=True):
        generator.standard_normal(out=own, dtype=np.float32)
    return torch.from_numpy(noise)


def worst_rows(
    training: PoisonedSet,
    sigma: NDArray[np.float64],
    point: Inputs,
    sigma_test: float,
    label: int,
    norm: float,
    both: bool,
    noise: tuple[Tensor, Tensor],
    penalty: float = PENALTY,
) -> tuple[PoisonedSet, float]:
    """Search the ellipsoid through ridge regression: exactly for ridge, for a network in its place.

    Parameters
    ----------
    point : array (...)
        The test input.
    noise : tuple of Tensor
        Pilots' standard normal noise on training rows (pilots, n, features) and test input
        (pilots, features).

    Returns
    -------
    PoisonedSet, float
        The training set moved, and what is left for the test input, as a norm in units of
        `sigma_test`: 0 unless `both`.
    """
    rows = torch.from_numpy(training.inputs).flatten(1)
    scale = torch.tensor(sigma, dtype=torch.float32)[:, None]
    test = torch.from_numpy(point).flatten() + sigma_test * noise[1]
    labels = torch.from_numpy(training.labels)
    n_classes, size = int(labels.max()) + 1, rows.numel()

    def answers(block: Tensor, pilot: int) -> Tensor:
        copy = torch.addcmul(rows, scale, noise[0][pilot] + block[:size].reshape(rows.shape))
        model = closed_form.ridge(copy[None], labels[None], n_classes, penalty)
        moved = test[pilot] + (sigma_test * block[size:] if both else 0)
        return (model["weight"][0] * moved).sum(-1) + model["bias"][0]

    def scores(blocks: Sequence[Tensor]) -> Tensor:
        found = [
            checkpoint(answers, blocks[0][0], pilot, use_reentrant=False)
            for pilot in range(len(noise[0]))
        ]
        return margin_score(torch.stack(found)[:, None], torch.tensor([label]))

    dimension = size + both * rows.shape[1]
    (block,) = descend(scores, [(np.array([norm]), dimension)], SURROGATE_STEPS)
    step = (block[0, :size].reshape(rows.shape) * scale).numpy().reshape(training.inputs.shape)
    return training._replace(inputs=training.inputs + step), float(block[0, size:].norm())
