"""Networks trained as one batch: every model of a block goes through each step together.

An ensemble is a dictionary of a module's parameters and buffers, each with a leading axis over
models. `torch.func.vmap` turns each layer into one batched matrix product. Convolutional networks
go side by side as one wide network in groups; on a CPU, which one model fills, one by one.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, vmap

from certbd.learners.layers import convolutional, initial_state

Ensemble = dict[str, Tensor]

CACHE_BYTES = 2**24
"""Memory for a block of models on a CPU: fits its cache."""
MEMORY_SHARE = 0.8
"""Share of a GPU's free memory that a block of models may plan with."""
COMPILED_FROM = 200_000
"""Models times steps from which compiling pays: it takes 20 to 30 s and saves 40 us a step."""


class Recipe(NamedTuple):
    """How gradient steps are taken; `precision` as in `precision`."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    precision: str = "float32"


def allow_tf32(on: bool) -> None:
    """Let a GPU round the factors of float32 products and convolutions to 10 bits, or not.

    PyTorch lets it for convolutions unless told otherwise. Whatever computes features, models or
    votes tells it not to; `precision` alone allows it, for the training that asks for it.
    """
    torch.set_float32_matmul_precision("high" if on else "highest")
    torch.backends.cudnn.allow_tf32 = on


allow_tf32(False)


def logits(module: nn.Module, ensemble: Ensemble, inputs: Tensor) -> Tensor:
    """Return each model's logits on inputs of its own: (models, n, ...) -> (models, n, classes)."""
    width = _width(module, inputs)
    parts = [
        _logits(
            module, {name: t[k : k + width] for name, t in ensemble.items()}, inputs[k : k + width]
        )
        for k in range(0, len(inputs), width)
    ]
    return torch.cat(parts)


def _width(module: nn.Module, inputs: Tensor) -> int:
    """Return how many of the models are computed at once."""
    return 1 if inputs.device.type == "cpu" and convolutional(module) else len(inputs)


def _logits(module: nn.Module, ensemble: Ensemble, inputs: Tensor) -> Tensor:
    if convolutional(module):
        return _side_by_side_logits(module, ensemble, inputs)
    return _stacked_logits(module, ensemble, inputs)


def _stacked_logits(module: nn.Module, ensemble: Ensemble, inputs: Tensor) -> Tensor:
    """Add an axis over models to each layer."""
    return vmap(lambda state, batch: functional_call(module, state, (batch,)))(ensemble, inputs)


def _side_by_side_logits(module: nn.Module, ensemble: Ensemble, inputs: Tensor) -> Tensor:
    """Compute convolutional networks as one, each on channels of its own."""
    state = {name: tensor.flatten(0, 1) for name, tensor in ensemble.items()}
    wide = inputs.transpose(0, 1).flatten(1, 2).to(memory_format=torch.channels_last)
    answers = functional_call(module, state, (wide,))
    return answers.unflatten(1, (len(inputs), -1)).transpose(0, 1)


def train_networks(
    module: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    recipe: Recipe,
    weight_generators: Sequence[np.random.Generator],
    batch_generators: Sequence[np.random.Generator],
    given: Mapping[str, NDArray[np.float32]] | None = None,
) -> Ensemble:
    """Train one network on each noisy copy: Adam, cross-entropy, batches in an order of its own.

    Parameters
    ----------
    module : Module
        On the meta device.
    inputs : Tensor (models, n, ...)
        Noisy copies: all that a network learns from, with the labels.
    labels : Tensor (models, n)
    recipe : Recipe
    weight_generators, batch_generators : sequence of Generator
        One for each model.
    given : mapping, optional
        Initial weights that are not drawn.
    """
    kept = given or {}
    initial = [{**initial_state(module, own), **kept} for own in weight_generators]
    ensemble = {
        name: _kernels_channels_last(torch.from_numpy(np.stack([state[name] for state in initial])))
        for name in initial[0]
    }
    ensemble = {name: tensor.to(inputs.device) for name, tensor in ensemble.items()}
    width = _width(module, inputs)
    for first in range(0, len(inputs), width):
        part = slice(first, first + width)
        state = {name: tensor[part] for name, tensor in ensemble.items()}
        _descend(module, state, inputs[part], labels[part], recipe, batch_generators[part])
    return {name: tensor.contiguous() for name, tensor in ensemble.items()}


def _kernels_channels_last(tensor: Tensor) -> Tensor:
    """Lay out kernels (models, out, in, height, width) as convolutions of such images read them."""
    if tensor.ndim != 5:
        return tensor
    return tensor.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)


def _descend(
    module: nn.Module,
    ensemble: Ensemble,
    inputs: Tensor,
    labels: Tensor,
    recipe: Recipe,
    batch_generators: Sequence[np.random.Generator],
) -> None:
    """Take every step of the training, in place."""
    module.train()
    device, names = inputs.device, dict(module.named_parameters())
    parameters = [ensemble[name].requires_grad_() for name in names]
    adam = _adam(module, parameters, recipe, device)
    compiles = _pays_to_compile(module, inputs, recipe)
    with precision(device, recipe.precision) as rounded:
        for own_inputs, own_labels in _batches(inputs, labels, recipe, batch_generators):
            full = own_labels.shape[1] == recipe.batch_size  # other shapes compile again
            loss_of = _compiled_loss if compiles and full else _loss
            with rounded():
                loss = loss_of(module, ensemble, own_inputs, own_labels)
            adam.zero_grad()
            loss.backward()
            adam.step()
    for parameter in parameters:
        parameter.requires_grad_(False).grad = None
    module.eval()


def _adam(
    module: nn.Module, parameters: list[Tensor], recipe: Recipe, device: torch.device
) -> "Adam | torch.optim.Adam":
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if device.type == "cpu" and not convolutional(module):
        return Adam(parameters, rate, decay)
    return torch.optim.Adam(parameters, rate, weight_decay=decay, fused=True)


def _loss(module: nn.Module, ensemble: Ensemble, inputs: Tensor, labels: Tensor) -> Tensor:
    """Return the sum over models of each model's mean loss."""
    answers = _logits(module, ensemble, inputs).float()
    loss = nn.functional.cross_entropy(answers.flatten(0, 1), labels.flatten(), reduction="sum")
    return loss / labels.shape[1]


def _compiled_loss(module: nn.Module, ensemble: Ensemble, inputs: Tensor, labels: Tensor) -> Tensor:
    return _compiler()(module, ensemble, inputs, labels)


@cache
def _compiler() -> Callable[..., Tensor]:
    """Fuse the steps between convolutions; without a C compiler, leave them as they are."""
    torch._dynamo.config.suppress_errors = True
    return torch.compile(_loss, dynamic=False)


def _pays_to_compile(module: nn.Module, inputs: Tensor, recipe: Recipe) -> bool:
    """Return whether training takes so long that compiling it first is worth the wait."""
    n_models, n_inputs = inputs.shape[:2]
    steps = recipe.epochs * math.ceil(n_inputs / recipe.batch_size)
    gpu = inputs.device.type == "cuda" and convolutional(module)
    return gpu and n_models * steps >= COMPILED_FROM


def _batches(
    inputs: Tensor,
    labels: Tensor,
    recipe: Recipe,
    generators: Sequence[np.random.Generator],
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each step's inputs (models, batch size, ...) and labels (models, batch size)."""
    n_models, n_inputs = inputs.shape[:2]
    batch_size = recipe.batch_size
    rows = torch.arange(n_models, device=inputs.device)[:, None]
    for _ in range(recipe.epochs):
        if batch_size >= n_inputs:  # all of them, in whatever order
            yield inputs, labels
            continue
        order = np.stack([generator.permutation(n_inputs) for generator in generators])
        for batch in torch.from_numpy(order).to(inputs.device).split(batch_size, dim=1):
            yield inputs[rows, batch], labels[rows, batch]


@contextmanager
def precision(device: torch.device, name: str) -> Iterator[Callable[[], torch.autocast]]:
    """Train in ``float32``, ``tf32`` (products on a GPU; float32 elsewhere) or ``bfloat16``.

    Yields a context for forward passes: gradients take the precision of these by themselves.
    """
    allow_tf32(name == "tf32")
    try:
        yield lambda: torch.autocast(device.type, torch.bfloat16, enabled=name == "bfloat16")
    finally:
        allow_tf32(False)


class Adam:
    """Adam (Kingma and Ba, arXiv 1412.6980, Algorithm 1), element by element over all models.

    Weight decay is added to the gradient. The same steps as `torch.optim.Adam`, whose first use
    in a process imports the whole compiler, 3 s for each short job, and whose fused form rounds
    an element by its place among the models.
    """

    def __init__(self, parameters: Sequence[Tensor], lr: float, weight_decay: float) -> None:
        self.parameters = parameters
        self.lr = lr
        self.weight_decay = weight_decay
        self.means = [torch.zeros_like(parameter) for parameter in parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in parameters]
        self.steps = 0

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> None:
        """Descend along the gradients."""
        self.steps += 1
        size = self.lr / (1 - betas[0] ** self.steps)
        scale = math.sqrt(1 - betas[1] ** self.steps)
        for parameter, mean, square in zip(self.parameters, self.means, self.squares, strict=True):
            if parameter.grad is None:
                continue
            gradient = parameter.grad
            if self.weight_decay:
                gradient = gradient.add(parameter, alpha=self.weight_decay)
            mean.lerp_(gradient, 1 - betas[0])
            square.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
            parameter.addcdiv_(mean, (square.sqrt() / scale).add_(eps), value=-size)


def saved_bytes(module: nn.Module, batch_shape: tuple[int, ...]) -> int:
    """Return what one model keeps for its backward pass on one batch, without computing it."""
    kept = 0

    def count(tensor: Tensor) -> Tensor:
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    state = {
        name: torch.empty_like(parameter, device="meta").requires_grad_()
        for name, parameter in module.named_parameters()
    }
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(count, lambda kept: kept):
        functional_call(module, state, (torch.empty(batch_shape, device="meta"),))
    return kept
