"""N models trained as one batch, and their votes; equal to training them one by one.

An ensemble is a dictionary of a module's parameters, each with a leading axis over models. All
models of a block go through every step together (`torch.func.vmap` turns each layer into one
batched matrix product). A model is a function of its index alone: its noise, initial weights
and batch order come from streams of its own, and one thread with a fixed instruction path makes
the arithmetic the same in whichever block it is trained.
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, vmap

from certbd import models, rng
from certbd.io import PoisonedSet
from certbd.logs import progress
from certbd.schemas import ABSTAIN

# MKL otherwise picks code by memory alignment, which differs between the models of a block.
os.environ.setdefault("MKL_CBWR", "AVX2,STRICT")

Ensemble = dict[str, Tensor]
BLOCK_BYTES = 2**24
"""Memory for the inputs of one block of models: fits a processor's cache."""


def pick_device(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``; one CPU thread, as results need."""
    torch.set_num_threads(1)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def train(
    poisoned: PoisonedSet,
    sigma: float | NDArray[np.float64],
    learner: Mapping[str, Any],
    n_classes: int,
    seed: int,
    indices: range,
    streams: rng.TrainingStreams = rng.VOTERS,
    device: torch.device | None = None,
) -> Ensemble:
    """Train the models `indices`, each on its own noisy copy of the training set.

    Parameters
    ----------
    poisoned : PoisonedSet
        The training set as given.
    sigma : float or array (n,)
        Standard deviation of the noise on training inputs; 0 for none. Each model draws it once
        (``docs/theory.md``, section 2).
    learner : mapping
        An entry of the configuration's ``learners``.
    seed : int
        Root seed.
    indices : range
        Which models to train.
    streams : TrainingStreams
        Whose randomness: models that vote, pilots, or the undefended network.

    Returns
    -------
    Ensemble
        Parameters on `device`, stacked in the order of `indices`.
    """
    device = device or torch.device("cpu")
    module = models.build(learner, poisoned.inputs.shape[1:], n_classes)
    blocks = list(_blocks(indices, poisoned.inputs.nbytes))
    trained = []
    for block in progress(blocks, len(blocks), f"training {learner['kind']}", "block"):
        noise = rng.generators(seed, streams.noise, block)
        if learner["kind"] == "nearest_class_mean":
            means = noisy_class_means(poisoned.inputs, poisoned.labels, sigma, n_classes, noise)
            trained.append({"means": torch.from_numpy(means).to(device)})
        else:
            noisy = noisy_copies(poisoned.inputs, sigma, noise)
            trained.append(
                train_networks(
                    module,
                    torch.from_numpy(noisy).to(device),
                    torch.from_numpy(poisoned.labels).to(device),
                    learner,
                    rng.generators(seed, streams.weights, block),
                    rng.generators(seed, streams.batches, block),
                )
            )
    return {name: torch.cat([part[name] for part in trained]) for name in trained[0]}


def noisy_copies(
    inputs: NDArray[np.float32],
    sigma: float | NDArray[np.float64],
    generators: Sequence[np.random.Generator],
) -> NDArray[np.float32]:
    """Return one noisy copy of the inputs for each generator, (models, n, ...)."""
    scale = np.broadcast_to(np.asarray(sigma, np.float64), len(inputs))
    scale = scale.reshape(-1, *[1] * (inputs.ndim - 1))
    copies = np.empty((len(generators), *inputs.shape), np.float32)
    for copy, generator in zip(copies, generators, strict=True):
        generator.standard_normal(out=copy, dtype=np.float32)
        copy *= scale  # the product is taken in float64
        copy += inputs
    return copies


def noisy_class_means(
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    sigma: float | NDArray[np.float64],
    n_classes: int,
    generators: Sequence[np.random.Generator],
) -> NDArray[np.float32]:
    """Draw the class means of noisy copies directly, (models, classes, features).

    The mean of class c over inputs with independent noise ``N(0, sigma_i^2 I)`` is Gaussian
    around the clean mean with variance ``sum_{i in c} sigma_i^2 / n_c^2`` in each feature.
    """
    inputs = inputs.reshape(len(inputs), -1)
    variance = np.broadcast_to(np.square(sigma, dtype=np.float64), len(inputs))
    counts = np.bincount(labels, minlength=n_classes)
    spread = np.sqrt(np.bincount(labels, variance, n_classes)) / counts
    means = np.stack([inputs[labels == c].mean(0, dtype=np.float64) for c in range(n_classes)])
    draws = np.stack([generator.standard_normal(means.shape) for generator in generators])
    return (means + spread[:, None] * draws).astype(np.float32)


def train_networks(
    module: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    learner: Mapping[str, Any],
    weight_generators: Sequence[np.random.Generator],
    batch_generators: Sequence[np.random.Generator],
) -> Ensemble:
    """Train one network on each noisy copy: Adam, cross-entropy, batches in an order of its own.

    Parameters
    ----------
    inputs : Tensor (models, n, ...)
        Noisy copies: all that a network learns from, with the labels.
    labels : Tensor (n,)
    """
    initial = [models.initial_weights(module, generator) for generator in weight_generators]
    ensemble = {
        name: torch.from_numpy(np.stack([weights[name] for weights in initial])).to(inputs.device)
        for name in initial[0]
    }

    adam = Adam(ensemble, learner["learning_rate"])
    rows = torch.arange(len(inputs), device=inputs.device)[:, None]
    n_inputs, batch_size = inputs.shape[1], learner["batch_size"]
    for _ in range(learner["epochs"]):
        order = np.stack([generator.permutation(n_inputs) for generator in batch_generators])
        for batch in torch.from_numpy(order).to(inputs.device).split(batch_size, dim=1):
            # batch: (models, batch size) rows of the training set
            answers = logits(module, ensemble, inputs[rows, batch])
            loss = nn.functional.cross_entropy(
                answers.flatten(0, 1), labels[batch].flatten(), reduction="sum"
            )
            adam.step(loss / batch.shape[1])  # the sum over models of each model's mean loss
    return {name: parameter.detach() for name, parameter in ensemble.items()}


def logits(module: nn.Module, ensemble: Ensemble, inputs: Tensor) -> Tensor:
    """Return each model's logits on inputs of its own: (models, n, ...) -> (models, n, classes)."""
    return vmap(lambda parameters, batch: functional_call(module, parameters, (batch,)))(
        ensemble, inputs
    )


class Adam:
    """Adam (Kingma and Ba, arXiv 1412.6980, Algorithm 1), element by element over all models.

    The same steps as `torch.optim.Adam`, whose first use in a process imports the whole compiler:
    3 s for each short job.
    """

    def __init__(self, parameters: Ensemble, learning_rate: float) -> None:
        self.parameters = [parameter.requires_grad_() for parameter in parameters.values()]
        self.learning_rate = learning_rate
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.steps = 0

    def step(
        self, loss: Tensor, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        """Descend the gradient of a loss."""
        gradients = torch.autograd.grad(loss, self.parameters)
        self.steps += 1
        size = self.learning_rate / (1 - betas[0] ** self.steps)
        scale = math.sqrt(1 - betas[1] ** self.steps)
        with torch.no_grad():
            for parameter, gradient, mean, square in zip(
                self.parameters, gradients, self.means, self.squares, strict=True
            ):
                mean.lerp_(gradient, 1 - betas[0])
                square.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
                parameter.addcdiv_(mean, (square.sqrt() / scale).add_(eps), value=-size)


def vote(
    module: nn.Module,
    ensemble: Ensemble,
    inputs: NDArray[np.float32],
    sigma: float | NDArray[np.float64],
    generators: Sequence[np.random.Generator],
) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Let each model vote once on each input, under test noise.

    Model k sees ``x + sigma_x u_k`` with one ``u_k ~ N(0, I)`` from its own generator, the same
    for every input (``docs/theory.md``, section 5).

    Parameters
    ----------
    inputs : array (n, ...)
    sigma : float or array (n,)
        Standard deviation of the test noise; 0 for none.
    generators : sequence of Generator
        One for each model of the ensemble.

    Returns
    -------
    votes : array (models, n)
        Labels; `ABSTAIN` where a model has diverged and its logits are not finite.
    scores : array (models, n, classes)
        Softmax of the logits; 0 where a model has diverged.
    """
    device = next(iter(ensemble.values())).device
    clean = torch.from_numpy(inputs).to(device)
    scale = torch.tensor(sigma, dtype=torch.float64, device=device)
    scale = scale.expand(len(inputs)).reshape(-1, *[1] * (inputs.ndim - 1))
    votes, scores = [], []
    blocks = list(_blocks(range(len(generators)), inputs.nbytes))
    for block in progress(blocks, len(blocks), "voting", "block"):
        here = slice(block.start, block.stop)
        draws = [g.standard_normal(inputs.shape[1:], np.float32) for g in generators[here]]
        part = {name: parameter[here] for name, parameter in ensemble.items()}
        noise = torch.from_numpy(np.stack(draws)).to(device)[:, None]  # (models, 1, ...)
        answers = logits(module, part, clean + (scale * noise).float())
        diverged = ~answers.isfinite().all(-1)
        votes.append(answers.argmax(-1).masked_fill(diverged, ABSTAIN).to(torch.int16))
        scores.append(answers.softmax(-1).masked_fill(diverged[..., None], 0))
    return torch.cat(votes).cpu().numpy(), torch.cat(scores).cpu().numpy()


def _blocks(indices: range, bytes_each: int) -> Iterator[range]:
    """Cut a range of models into blocks whose inputs fit into `BLOCK_BYTES`."""
    width = max(1, math.floor(BLOCK_BYTES / max(1, bytes_each)))
    for start in range(indices.start, indices.stop, width):
        yield range(start, min(start + width, indices.stop))
