"""Sample-specific noise: each input's radius maximised by stochastic gradient ascent.

Source: Qiao et al. (Cert-SSB), arXiv 2504.21730; the reparameterised gradient through both
factors of the radius is that of Alfarra et al., arXiv 2012.04351. ``docs/theory.md``, section 4.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from certbd import rng
from certbd.artifacts.logs import LOGGER, progress
from certbd.learners.networks import Ensemble, allow_tf32, logits, saved_bytes
from certbd.training.per_sample.entry import Search

PROBABILITY_BOUNDS = (0.02, 0.98)
EVALUATION_BYTES = 2**27
"""Memory for what pilots keep of their evaluations: inputs x draws x pilots."""


class SigmaSearch(NamedTuple):
    """Optimised noise (n,), the last estimate of the radius (n,), the mean radius of each step."""

    sigma: NDArray[np.float64]
    radius: NDArray[np.float64]
    trajectory: NDArray[np.float64]


def optimise_sigma(
    module: nn.Module,
    pilots: Ensemble,
    inputs: NDArray[np.float32],
    start: float,
    search: Search,
    seed: int,
) -> SigmaSearch:
    """Maximise ``R(sigma) = sigma/2 (ppf(p_A(sigma)) - ppf(p_B(sigma)))`` for each input.

    ``p(sigma)`` is the mean softmax of the pilots on ``x + sigma eps`` over the step's draws,
    clamped to `PROBABILITY_BOUNDS`. All inputs share the draws of a step, so that an input's
    sigma depends on no other input.

    Parameters
    ----------
    module, pilots
        Pilot models, whose seeds must be apart from those of the models that vote.
    inputs : array (n, ...)
    start : float
        Where sigma starts; `search.bounds` are multiples of it.
    search : Search
        The key ``search`` of the configuration's ``noises``. Its objective ``released`` is that of
        the code published with Cert-SSB, for comparison: it takes p for a constant, so that the
        gradient is never negative and sigma only grows.
    seed : int
        Root seed of the draws.
    """
    allow_tf32(False)
    estimate = {"released": _released_gradient, "radius": _radius_and_gradient}[search.objective]
    device = next(iter(pilots.values())).device
    n_pilots = len(next(iter(pilots.values())))
    low, high = (start * bound for bound in search.bounds)
    sigma = torch.full((len(inputs),), start, device=device)
    radius = torch.zeros_like(sigma)
    trajectory = np.empty(search.steps)
    draws_shape = (search.draws, *inputs.shape[1:])
    each = n_pilots * saved_bytes(module, draws_shape)
    parts = torch.from_numpy(inputs).to(device).split(max(1, EVALUATION_BYTES // each))
    for step in progress(range(search.steps), search.steps, "optimising sigma", "step"):
        generator = rng.generator(seed, rng.Purpose.SIGMA_DRAWS, step)
        draws = torch.from_numpy(generator.standard_normal(draws_shape, np.float32)).to(device)
        results = [
            estimate(module, pilots, part, sigmas, draws)
            for part, sigmas in zip(parts, sigma.split(len(parts[0])), strict=True)
        ]
        radius = torch.cat([result[0] for result in results])
        gradient = torch.cat([result[1] for result in results])
        sigma = (sigma + search.learning_rate * gradient).clamp(low, high)
        trajectory[step] = radius.mean().item()
        if step % max(1, search.steps // 20) == 0 or step == search.steps - 1:
            LOGGER.info(
                "step %d: mean radius %.4f, mean sigma %.4f",
                step + 1, trajectory[step], sigma.mean().item(),
            )  # fmt: skip
    return SigmaSearch(sigma.cpu().double().numpy(), radius.cpu().double().numpy(), trajectory)


def _radius_and_gradient(
    module: nn.Module, pilots: Ensemble, inputs: Tensor, sigma: Tensor, draws: Tensor
) -> tuple[Tensor, Tensor]:
    """Estimate R (n,) and dR/dsigma (n,) for inputs (n, ...), sigma (n,), draws (draws, ...)."""
    sigma = sigma.clone().requires_grad_()
    radius = sigma * _margin(module, pilots, inputs, sigma, draws)
    (gradient,) = torch.autograd.grad(radius.sum(), sigma)
    return radius.detach(), gradient


@torch.no_grad()
def _released_gradient(
    module: nn.Module, pilots: Ensemble, inputs: Tensor, sigma: Tensor, draws: Tensor
) -> tuple[Tensor, Tensor]:
    """Estimate R (n,) and its derivative through the factor sigma alone (n,)."""
    margin = _margin(module, pilots, inputs, sigma, draws)
    return sigma * margin, margin


def _margin(
    module: nn.Module, pilots: Ensemble, inputs: Tensor, sigma: Tensor, draws: Tensor
) -> Tensor:
    """Return ``(ppf(p_A) - ppf(p_B)) / 2`` (n,) of the pilots' mean softmax."""
    scale = sigma.reshape(-1, 1, *[1] * (inputs.ndim - 1))
    noisy = inputs[:, None] + scale * draws  # (n, draws, ...)
    n_pilots = len(next(iter(pilots.values())))
    answers = logits(module, pilots, noisy.flatten(0, 1).expand(n_pilots, -1, *inputs.shape[1:]))
    # answers: (pilots, n * draws, classes) -> p: (n, classes)
    p = answers.softmax(-1).unflatten(1, noisy.shape[:2]).mean((0, 2))
    quantiles = torch.special.ndtri(p.clamp(*PROBABILITY_BOUNDS).topk(2).values)
    return (quantiles[:, 0] - quantiles[:, 1]) / 2
