"""Models x inputs -> votes, under test noise."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from certbd.artifacts.logs import progress_bar
from certbd.artifacts.schemas import ABSTAIN
from certbd.data.domains import Replacement, numbers_of, shifts
from certbd.learners.layers import LinearClassifier
from certbd.learners.networks import (
    CACHE_BYTES,
    MEMORY_SHARE,
    Ensemble,
    allow_tf32,
    logits,
    saved_bytes,
)

NOISY_BYTES = 2**28
"""Memory for the noisy inputs of one model, where it sees them through an encoder."""
SLOTS = 16
"""Inputs that are encoded together where each is computed by itself."""
LINEAR_WIDTH = 64
"""Linear classifiers in one matrix product; always as many, so that none depends on the others."""


@torch.no_grad()
def vote(
    module: nn.Module,
    ensemble: Ensemble,
    inputs: NDArray[np.float32],
    noise: float | NDArray[np.float64] | Replacement,
    generators: Sequence[np.random.Generator],
    scored: bool = False,
    encode: Callable[[Tensor], Tensor] | None = None,
) -> tuple[NDArray[np.int16], NDArray[np.float32] | None]:
    """Let each model vote once on each input, under test noise.

    Model k sees ``x + sigma_x u_k`` with one ``u_k ~ N(0, I)`` from its own generator, the same
    for every input (``docs/theory.md``, section 5). Discrete noise is likewise one shift of a
    model's own for every input (section 6).

    Parameters
    ----------
    inputs : array (n, ...)
    noise : float, array (n,) or Replacement
        Standard deviation of Gaussian noise, 0 for none; or discrete noise.
    generators : sequence of Generator
        One for each model of the ensemble.
    scored : bool
        Return the scores, too.
    encode : callable, optional
        Maps noisy inputs (n, ...) to the features that models see.

    Returns
    -------
    votes : array (models, n)
        Labels; `ABSTAIN` where a model has diverged and its logits are not finite.
    scores : array (models, n, classes) or None
        Softmax of the logits; 0 where a model has diverged.
    """
    allow_tf32(False)
    device = next(iter(ensemble.values())).device
    clean = torch.from_numpy(inputs).to(device)
    replacement = noise if isinstance(noise, Replacement) else None
    if replacement is not None:
        numbers = numbers_of(inputs, replacement.values, "test inputs")
        clean = torch.from_numpy(numbers.astype(np.float32)).to(device)
    sigma = noise if replacement is None else 0.0
    scale = torch.tensor(sigma, dtype=torch.float64, device=device).expand(len(inputs))
    if encode is not None:
        n_inputs, width = max(1, NOISY_BYTES // (4 * math.prod(inputs.shape[1:]))), 1
    else:
        n_inputs, width = _sizes(module, inputs, device)
    pieces = list(zip(clean.split(n_inputs), scale.split(n_inputs), strict=True))
    votes, scores = [], []
    with progress_bar(len(generators), "voting", "model") as advance:
        for start in range(0, len(generators), width):
            here = slice(start, start + width)
            part = {name: parameter[here] for name, parameter in ensemble.items()}
            draws = _draws(generators[here], inputs.shape[1:], replacement).to(device)
            answers = torch.cat(
                [_logits(module, part, *piece, draws, replacement, encode) for piece in pieces], 1
            )
            diverged = ~answers.isfinite().all(-1)
            votes.append(answers.argmax(-1).masked_fill_(diverged, ABSTAIN).to(torch.int16))
            if scored:
                scores.append(answers.softmax(-1).masked_fill_(diverged[..., None], 0))
            advance(len(draws))
    return torch.cat(votes).cpu().numpy(), torch.cat(scores).cpu().numpy() if scored else None


@torch.no_grad()
def vote_alone(
    module: nn.Module,
    ensemble: Ensemble,
    inputs: NDArray[np.float32],
    noise: float | NDArray[np.float64] | Replacement,
    generator_of: Callable[[int, bytes], np.random.Generator],
    indices: range,
    scored: bool = False,
    encode: Callable[[Tensor], Tensor] | None = None,
) -> tuple[NDArray[np.int16], NDArray[np.float32] | None]:
    """Let each model vote once on each input, whatever other inputs there are.

    Model k sees ``x + sigma_x u``, ``u`` from a generator that the model's index and the input's
    bytes name, and every input is computed by itself: so votes on one input are the same bit for
    bit in every file that holds it.

    Parameters
    ----------
    generator_of : callable
        From a model's index and an input's bytes to a generator.
    indices : range
        Of the ensemble's models.
    others
        As for `vote`, and so is what is returned.
    """
    allow_tf32(False)
    device = next(iter(ensemble.values())).device
    replacement = noise if isinstance(noise, Replacement) else None
    sigma = np.broadcast_to(0.0 if replacement else np.asarray(noise, np.float64), len(inputs))
    clean = inputs
    if replacement is not None:
        clean = numbers_of(inputs, replacement.values, "new inputs").astype(np.float32)
    answers = []
    with progress_bar(len(inputs), "voting", "input") as advance:
        for x, own, level in zip(inputs, clean, sigma, strict=True):
            generators = [generator_of(index, x.tobytes()) for index in indices]
            seen = torch.from_numpy(own).to(device).expand(len(indices), *own.shape)
            if level > 0:
                draws = _draws(generators, own.shape, None).to(device)
                seen = seen + (torch.tensor(level, dtype=torch.float64) * draws).float()
            elif replacement is not None:
                draws = _draws(generators, own.shape, replacement).to(device)
                seen = _shifted(seen, draws, replacement.values)
            if encode is not None:
                seen = _in_slots(encode, seen, indices)
            answers.append(_each_logits(module, ensemble, seen))
            advance(1)
    every = torch.stack(answers, 1)  # (models, n, classes)
    diverged = ~every.isfinite().all(-1)
    votes = every.argmax(-1).masked_fill_(diverged, ABSTAIN).to(torch.int16).cpu().numpy()
    if not scored:
        return votes, None
    return votes, every.softmax(-1).masked_fill_(diverged[..., None], 0).cpu().numpy()


def _each_logits(module: nn.Module, ensemble: Ensemble, inputs: Tensor) -> Tensor:
    """Return each model's logits (models, classes) on an input of its own (models, ...)."""
    if isinstance(module, LinearClassifier):
        flat = inputs.flatten(1)[:, None]
        return (ensemble["weight"] * flat).sum(-1) + ensemble["bias"]
    return logits(module, ensemble, inputs[:, None])[:, 0]


def _in_slots(encode: Callable[[Tensor], Tensor], inputs: Tensor, indices: range) -> Tensor:
    """Encode inputs, one per model, in batches of one size with a slot for each index.

    A model's result then does not depend on the chunk that it is in.
    """
    first, last = indices.start // SLOTS, (indices.stop - 1) // SLOTS
    start = indices.start - first * SLOTS
    padded = inputs.new_zeros((last - first + 1) * SLOTS, *inputs.shape[1:])
    padded[start : start + len(inputs)] = inputs
    return torch.cat([encode(part) for part in padded.split(SLOTS)])[start : start + len(inputs)]


def _draws(
    generators: Sequence[np.random.Generator],
    shape: tuple[int, ...],
    replacement: Replacement | None,
) -> Tensor:
    """Return each model's noise (models, ...): standard normal, or shifts."""
    if replacement is None:
        noise = [generator.standard_normal(shape, np.float32) for generator in generators]
    else:
        noise = [shifts(g, shape, *replacement).astype(np.float32) for g in generators]
    return torch.from_numpy(np.stack(noise))


def _sizes(module: nn.Module, inputs: NDArray[np.float32], device: torch.device) -> tuple[int, int]:
    """Choose how many inputs and how many models are computed together."""
    if isinstance(module, LinearClassifier):
        return max(1, len(inputs)), LINEAR_WIDTH
    memory = CACHE_BYTES
    if device.type == "cuda":
        memory = int(MEMORY_SHARE * torch.cuda.mem_get_info(device)[0])
    shape = (1, *inputs.shape[1:])
    each = 4 * math.prod(shape) + saved_bytes(module, shape)
    n_inputs = max(1, min(memory // each, len(inputs)))
    return n_inputs, max(1, memory // (each * n_inputs))


def _logits(
    module: nn.Module,
    ensemble: Ensemble,
    clean: Tensor,
    sigma: Tensor,
    draws: Tensor,
    replacement: Replacement | None,
    encode: Callable[[Tensor], Tensor] | None,
) -> Tensor:
    """Return logits (models, n, classes) on ``clean + sigma * draws``, or on shifted numbers."""
    if replacement is None and encode is None and isinstance(module, LinearClassifier):
        return _linear_logits(ensemble, clean.flatten(1), sigma.float(), draws.flatten(1))
    if replacement is None:
        scale = sigma.reshape(-1, *[1] * (clean.ndim - 1))
        noisy = clean + (scale * draws[:, None]).float()
    else:
        noisy = _shifted(clean, draws[:, None], replacement.values)
    if encode is not None:
        noisy = torch.stack([encode(own) for own in noisy])
    return logits(module, ensemble, noisy)


def _shifted(numbers: Tensor, draws: Tensor, size: int) -> Tensor:
    """Return the values of numbers that `draws` shift modulo the domain's size."""
    if size == 2:
        return (numbers - draws).abs_()
    return (numbers + draws).remainder_(size).div_(size - 1)


def _linear_logits(ensemble: Ensemble, clean: Tensor, sigma: Tensor, draws: Tensor) -> Tensor:
    """Return the same for linear classifiers: ``x . w + sigma (u . w) + b``, one product for all.

    The product always has `LINEAR_WIDTH` models, zeros among them if need be, so that a model's
    logits do not depend on how many share its chunk.
    """
    weight, bias = ensemble["weight"], ensemble["bias"]
    n_models, n_classes, n_features = weight.shape
    padded = weight.new_zeros(LINEAR_WIDTH, n_classes, n_features)
    padded[:n_models] = weight
    products = (padded.flatten(0, 1) @ clean.T).unflatten(0, padded.shape[:2])[:n_models]
    noise = (weight * draws[:, None]).sum(-1)  # (models, classes)
    answers = products + noise[..., None] * sigma + bias[..., None]  # (models, classes, n)
    return answers.transpose(1, 2)
