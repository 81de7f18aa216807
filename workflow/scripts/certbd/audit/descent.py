"""The margin score of a label among pilot models, and its descent within given norms.

It is the pilots' margin over the next label, mean over standard deviation, which for a linear
classifier under Gaussian noise is ``ppf(p_A)`` itself. Steps follow Frank and Wolfe (Naval
Research Logistics Quarterly 3, 1956), pushed out to the sphere.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

STEPS = 10
EVALUATION_BYTES = 2**27
"""Memory for what pilots keep of their evaluations: inputs x pilots."""


def margin_score(answers: Tensor, labels: Tensor) -> Tensor:
    """Return the margin score (n,) of labels (n,) from the pilots' logits (pilots, n, classes)."""
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
    best, lowest = [block.clone() for block in blocks], torch.full((len(blocks[0]),), torch.inf)
    for step in range(steps + 1):
        blocks = [block.detach().requires_grad_() for block in blocks]
        values = scores(blocks)
        gradients = torch.autograd.grad(values.sum(), blocks)
        better = (values.detach() < lowest) & (step > 0)
        lowest = torch.where(better, values.detach(), lowest)
        weight = 2 / (step + 2)
        for block, kept, gradient, radius in zip(blocks, best, gradients, radii, strict=True):
            own = block.detach()
            kept[better] = own[better]
            own.mul_(1 - weight).sub_(_to_norm(gradient, weight * radius))
            _to_norm(own, radius)
    return best


def _to_norm(vectors: Tensor, norms: Tensor) -> Tensor:
    """Scale vectors (n, d) to given norms (n, 1) in place; 0 stays 0."""
    return vectors.mul_(norms / vectors.norm(dim=1, keepdim=True).clamp(min=1e-30))


def parts(n: int, each: int) -> list[slice]:
    """Part n inputs, of each of which pilots keep `each` bytes, so that memory stays bounded."""
    width = max(1, EVALUATION_BYTES // max(1, each))
    return [slice(start, start + width) for start in range(0, n, width)]
