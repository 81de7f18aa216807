"""The worst perturbations of a certified set that can be found, to try a certificate with.

Searches see pilot models, never those whose votes decide. They minimise, for each test input, the
**score** of its label: the pilots' margin over the next label, mean over standard deviation, which
for a linear classifier under Gaussian noise is ``ppf(p_A)`` itself. Steps follow Frank and Wolfe
(Naval Research Logistics Quarterly 3, 1956), pushed out to the sphere.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from certbd import closed_form
from certbd.io import PoisonedSet
from certbd.models import LinearClassifier
from certbd.networks import Ensemble, logits, saved_bytes

STEPS = 10
SURROGATE_STEPS = 5
EVALUATION_BYTES = 2**27
"""Memory for what pilots keep of their evaluations: inputs x pilots."""
PENALTY = 0.01
"""Of the ridge regression that stands for a network."""

Inputs = NDArray[np.float32]


def score(answers: Tensor, labels: Tensor) -> Tensor:
    """Return the score (n,) of labels (n,) from the pilots' logits (pilots, n, classes)."""
    own = torch.nn.functional.one_hot(labels, answers.shape[-1]).bool()
    rest = answers.masked_fill(own, -torch.inf).amax(-1)
    margins = answers.masked_fill(~own, 0).sum(-1) - rest  # (pilots, n)
    return margins.mean(0) / margins.std(0).clamp(min=1e-6 * (1 + margins.abs().mean().item()))


def descend(
    scores: Callable[[Sequence[Tensor]], Tensor],
    sizes: Sequence[tuple[NDArray[np.float64], int]],
    steps: int = STEPS,
) -> list[Tensor]:
    """Minimise scores (n,) over blocks (n, d) of given norms (n,), one pair (norms, d) a block."""
    radii = [torch.tensor(norms, dtype=torch.float32)[:, None] for norms, _ in sizes]
    blocks = [torch.zeros(len(norms), d) for norms, d in sizes]
    best, lowest = blocks, torch.full((len(blocks[0]),), torch.inf)
    for step in range(steps + 1):
        blocks = [block.detach().requires_grad_() for block in blocks]
        values = scores(blocks)
        if step:
            better = values.detach() < lowest
            lowest = torch.where(better, values.detach(), lowest)
            pairs = zip(blocks, best, strict=True)
            best = [torch.where(better[:, None], new.detach(), old) for new, old in pairs]
        gradients = torch.autograd.grad(values.sum(), blocks)
        weight = 2 / (step + 2)
        blocks = [
            _to_norm((1 - weight) * block.detach() - weight * radius * _to_norm(gradient), radius)
            for block, gradient, radius in zip(blocks, gradients, radii, strict=True)
        ]
    return best


def _to_norm(vectors: Tensor, norms: Tensor | float = 1.0) -> Tensor:
    return norms * torch.nn.functional.normalize(vectors, dim=1, eps=1e-30)


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
    width = max(1, EVALUATION_BYTES // (len(draws) * each))
    return np.concatenate(
        [
            _step_part(module, pilots, inputs[part], sigma[part], labels[part], norms[part], draws)
            for part in (slice(k, k + width) for k in range(0, len(inputs), width))
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
) -> Inputs:
    clean, targets = torch.from_numpy(inputs), torch.tensor(labels)
    scale = torch.tensor(sigma, dtype=torch.float32).reshape(-1, *[1] * (clean.ndim - 1))

    def scores(blocks: Sequence[Tensor]) -> Tensor:
        noisy = clean + blocks[0].reshape(clean.shape) + scale * draws[:, None]
        return score(logits(module, pilots, noisy), targets)

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
        return score(answers, labels)

    def worst(
        self,
        inputs: Inputs,
        sigma: NDArray[np.float64],
        labels: NDArray[np.int64],
        norms: NDArray[np.float64],
        both: bool,
    ) -> tuple[list[PoisonedSet], Inputs]:
        """Search the ellipsoid ``|delta_0|^2/sigma_0^2 + sum_i |delta_i|^2/sigma_i^2 = norms^2``.

        Returns a training set for each input, and the inputs, moved if `both`.
        """
        flat, test = torch.from_numpy(inputs).flatten(1), torch.tensor(sigma, dtype=torch.float32)
        features, n_classes = flat.shape[1], len(self.counts)

        def parts(block: Tensor) -> tuple[Tensor, Tensor]:
            step = block[:, :features] * test[:, None] if both else torch.zeros_like(flat)
            shifts = block[:, -n_classes * features :].unflatten(1, (n_classes, features))
            return step, shifts * self.unit[:, None]

        def scores(blocks: Sequence[Tensor]) -> Tensor:
            step, shifts = parts(blocks[0])
            return self.scores(flat + step, shifts, test, torch.tensor(labels))

        size = (n_classes + int(both)) * features
        step, shifts = parts(descend(scores, [(norms, size)])[0])
        share = self.counts * np.square(self.sigma)[:, None] / self.variance
        share = share[np.arange(len(share)), self.training.labels]  # of its class's shift, per row
        sets = [self._shifted(shift[self.training.labels].numpy() * share[:, None])
                for shift in shifts]  # fmt: skip
        return sets, inputs + step.reshape(inputs.shape).numpy()

    def worst_trigger(
        self,
        inputs: Inputs,
        sigma: NDArray[np.float64],
        labels: NDArray[np.int64],
        norms: NDArray[np.float64],
        n_poisoned: int,
    ) -> tuple[list[PoisonedSet], Inputs]:
        """Search triggers of given norms on the test input and on `n_poisoned` rows of one class.

        The class is the one whose shift lowers the score most.
        """
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
        sets = []
        for label, direction in zip(chosen.tolist(), trigger.numpy(), strict=True):
            moved = np.zeros((len(self.training.labels), flat.shape[1]))
            moved[np.flatnonzero(self.training.labels == label)[: count[label]]] = direction
            sets.append(self._shifted(moved))
        return sets, inputs + step.reshape(inputs.shape).numpy()

    def _shifted(self, steps: NDArray[np.float64]) -> PoisonedSet:
        clean = self.training.inputs
        moved = (clean + steps.reshape(clean.shape)).astype(np.float32)
        return self.training._replace(inputs=moved)


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
    copies, test = (
        rows + scale * noise[0],
        torch.from_numpy(point).flatten() + sigma_test * noise[1],
    )
    labels = torch.from_numpy(training.labels)
    n_classes, size = int(labels.max()) + 1, rows.numel()

    def scores(blocks: Sequence[Tensor]) -> Tensor:
        step = blocks[0][0, :size].reshape(rows.shape) * scale
        models = closed_form.ridge(
            copies + step, labels.expand(len(copies), -1), n_classes, penalty
        )
        moved = test + (sigma_test * blocks[0][0, size:] if both else 0)
        answers = (models["weight"] * moved[:, None]).sum(-1) + models["bias"]
        return score(answers[:, None], torch.tensor([label]))

    dimension = size + both * rows.shape[1]
    (block,) = descend(scores, [(np.array([norm]), dimension)], SURROGATE_STEPS)
    step = (block[0, :size].reshape(rows.shape) * scale).numpy().reshape(training.inputs.shape)
    return training._replace(inputs=training.inputs + step), float(block[0, size:].norm())
