"""N models trained as one batch; equal to training them one by one.

A model is a function of its index alone: its noise, initial weights and batch order come from
streams of its own, and one thread with a fixed instruction path makes the arithmetic the same in
whichever block it is trained.
"""

import math
import os
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from certbd import rng
from certbd.artifacts.io import PoisonedSet
from certbd.artifacts.logs import LOGGER, progress_bar
from certbd.learners import closed_form
from certbd.learners.learner import Learner
from certbd.learners.networks import (
    CACHE_BYTES,
    MEMORY_SHARE,
    Ensemble,
    allow_tf32,
    saved_bytes,
)
from certbd.training.draws import Bagging, Draw, Gaussian, NoisyStatistic

# MKL otherwise picks code by memory alignment, which differs between the models of a block.
os.environ.setdefault("MKL_CBWR", "AVX2,STRICT")

SMALL_WIDTH = 1024
"""Most models in a block where each sees little: a class mean, a few rows, a statistic."""


def pick_device(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``; one CPU thread, as results need.

    Float32 is float32 on it: no TF32.
    """
    torch.set_num_threads(1)
    allow_tf32(False)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def draws_means(draw: Draw | NoisyStatistic, learner: Learner) -> bool:
    """Return whether class means are drawn directly, rather than noisy copies of the inputs."""
    return learner.by_class_means and isinstance(draw, Gaussian)


def train(
    poisoned: PoisonedSet,
    draw: Draw | NoisyStatistic,
    learner: Learner,
    n_classes: int,
    seed: int,
    indices: range,
    streams: rng.TrainingStreams = rng.VOTERS,
    device: torch.device | None = None,
) -> Ensemble:
    """Train the models `indices`, each on its own draw of the training set.

    Parameters
    ----------
    poisoned : PoisonedSet
        The training set as given.
    draw : Draw or NoisyStatistic
        The defence's randomness on the training side; a statistic is for class sums alone.
    learner : Learner
    seed : int
        Root seed.
    indices : range
        Which models to train.
    streams : TrainingStreams
        Whose randomness: models that vote, pilots, or the undefended network.
    device : torch.device
        The CPU if left out.

    Returns
    -------
    Ensemble
        Parameters and buffers on `device`, stacked in the order of `indices`.
    """
    allow_tf32(False)
    device = device or torch.device("cpu")
    inputs, labels = poisoned.inputs, poisoned.labels
    module = learner.module(inputs.shape[1:], n_classes)
    if isinstance(draw, NoisyStatistic):
        sums = learner.sums(inputs, labels, n_classes)

    def train_block(block: range) -> Ensemble:
        noise = rng.generators(seed, streams.noise, block)
        if isinstance(draw, Gaussian) and draws_means(draw, learner):
            means = closed_form.noisy_class_means(inputs, labels, draw.sigma, n_classes, noise)
            parameters = learner.from_means(means)
            return {name: parameter.to(device) for name, parameter in parameters.items()}
        if isinstance(draw, NoisyStatistic):
            parameters = learner.from_sums(sums, draw.sigma, noise)
            return {name: parameter.to(device) for name, parameter in parameters.items()}
        copies, targets = draw(poisoned, noise, device)
        return learner.train(
            module, copies, targets, n_classes,
            weights=lambda: rng.generators(seed, streams.weights, block),
            batches=lambda: rng.generators(seed, streams.batches, block),
        )  # fmt: skip

    if isinstance(draw, Bagging | NoisyStatistic):
        seen = inputs[: draw.n_drawn if isinstance(draw, Bagging) else n_classes]
        width = max(1, min(SMALL_WIDTH, CACHE_BYTES // seen.nbytes))
    else:
        width = block_width(module, inputs, learner, device)
    parts = in_blocks(train_block, indices, width, f"training {learner.kind}")
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def in_blocks(
    train_block: Callable[[range], Ensemble], indices: range, width: int, description: str
) -> list[Ensemble]:
    """Train blocks of equal width, at most `width`; of half as many from where memory runs out."""
    parts, start = [], indices.start
    width = math.ceil(len(indices) / math.ceil(len(indices) / width))
    with progress_bar(len(indices), description, "model") as advance:
        while start < indices.stop:
            block = range(start, min(start + width, indices.stop))
            try:
                parts.append(train_block(block))
            except torch.OutOfMemoryError:
                if len(block) == 1:
                    raise
                width = len(block) // 2
                LOGGER.warning("out of memory with %d models at a time; now %d", len(block), width)
                torch.cuda.empty_cache()
                continue
            start = block.stop
            advance(len(block))
    return parts


def block_width(
    module: nn.Module, inputs: NDArray[np.float32], learner: Learner, device: torch.device
) -> int:
    """Choose how many models go through each step together.

    On a GPU as many as its free memory holds; on a CPU as many as keep their noisy copies in its
    cache. Class means have no noisy copies.
    """
    if learner.by_class_means:
        return SMALL_WIDTH
    if device.type == "cpu":
        return max(1, CACHE_BYTES // inputs.nbytes)
    needed = 2 * inputs.nbytes  # the noisy copy, and its noise while it is made
    if batch_size := learner.batch_rows(len(inputs)):
        state = sum(parameter.nbytes for parameter in module.parameters())
        needed += 6 * state + 2 * saved_bytes(module, (batch_size, *inputs.shape[1:]))
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, int(MEMORY_SHARE * free / needed))
