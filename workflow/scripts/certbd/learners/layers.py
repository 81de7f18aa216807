"""Layers that hold one network or several side by side, linear classifiers, and weights.

Every module takes inputs (batch, *input shape) and returns one logit per class, (batch, classes).
It is only the shape of a model: ensembles hold the parameters and buffers of many at once.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from certbd.learners.weights import read_weights

ALIGNED = 8
"""Rows of half-precision matrices that are multiples of 16 bytes meet fast kernels on GPUs."""


class LinearClassifier(nn.Module):
    """Logits ``x . weight + bias``: nearest class mean, ridge regression, class sums."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_classes, n_features))
        self.bias = nn.Parameter(torch.empty(n_classes))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        return inputs.flatten(1) @ self.weight.T + self.bias


class Conv2d(nn.Conv2d):
    """A convolution of one network, or of several side by side, each on channels of its own.

    The kernels of M networks, stacked along the output channels, meet inputs of M times as many
    channels: one grouped convolution. Groups of a single channel are the exception: GPUs run them
    ten times slower than the product of all patches with the kernels.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Convolve (batch, networks * channels, height, width)."""
        n_networks = inputs.shape[1] // self.in_channels
        if n_networks > 1 and self.in_channels == 1 and not self.padding[0]:
            return self._product(inputs)
        return F.conv2d(
            inputs, self.weight, self.bias, self.stride, self.padding, groups=n_networks
        )

    def _product(self, inputs: Tensor) -> Tensor:
        """Multiply patches (networks, places, pixels) with kernels (networks, pixels, out)."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        n_pixels = kernel * kernel
        patches = inputs.unfold(2, kernel, stride).unfold(3, kernel, stride).transpose(0, 1)
        patches = F.pad(patches.flatten(4), (0, -n_pixels % ALIGNED))
        kernels = self.weight.reshape(len(patches), -1, n_pixels)
        kernels = F.pad(kernels, (0, -n_pixels % ALIGNED))
        products = torch.bmm(patches.flatten(1, 3), kernels.mT)
        if self.bias is not None:
            products = products + self.bias.view(len(patches), 1, -1).to(products.dtype)
        places = products.unflatten(1, patches.shape[1:4])  # (networks, batch, height, width, out)
        return places.permute(1, 0, 4, 2, 3).flatten(1, 2)


class Linear(nn.Linear):
    """A linear layer of one network, or of several side by side: one batched product."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (batch, networks * in_features) to (batch, networks * out_features)."""
        n_networks = inputs.shape[1] // self.in_features
        if n_networks == 1:
            return super().forward(inputs)
        own = inputs.unflatten(1, (n_networks, -1)).transpose(0, 1)
        weight = self.weight.unflatten(0, (n_networks, -1))
        answers = torch.bmm(own, weight.mT).transpose(0, 1).flatten(1)
        return answers + self.bias.to(answers.dtype)


class Head(Linear):
    """The last layer. Two classes have one logit, the published networks' own; class 0 has 0."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__(n_features, 1 if n_classes == 2 else n_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (batch, networks * classes); those of two classes are (0, z).

        Cross-entropy on (0, z) is binary cross-entropy on z.
        """
        answers = super().forward(inputs)
        return F.pad(answers[..., None], (1, 0)).flatten(1) if self.out_features == 1 else answers


def convolutional(module: nn.Module) -> bool:
    """Return whether a module convolves, and so takes networks side by side along its channels."""
    return any(isinstance(layer, Conv2d) for layer in module.modules())


def body_state(module: nn.Module, path: str) -> dict[str, NDArray[np.float32]]:
    """Read the weights of a network but for its head from a safetensors file.

    Raises
    ------
    DataError
        As `read_weights`.
    """
    heads = tuple(f"{name}." for name, part in module.named_modules() if isinstance(part, Head))
    wanted = {
        name: tuple(tensor.shape)
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]
        if not name.startswith(heads) and not name.endswith("num_batches_tracked")
    }
    return read_weights(path, wanted)


def initial_state(
    module: nn.Module, generator: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """Draw initial weights from a generator of our own, distributed as the published code's.

    Weights and biases of a layer with `k` inputs to a unit are uniform between -1/sqrt(k) and
    1/sqrt(k), as ``reset_parameters`` of ``nn.Linear`` and ``nn.Conv2d`` draws them; kernels of
    residual networks are normal with variance 2 / (outputs of a pixel), He et al., arXiv
    1502.01852. Batch normalisation starts as the identity.
    """
    state: dict[str, NDArray[np.float32]] = {}
    residual = any(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            bound = np.float32(1 / math.sqrt(layer.weight[0].numel()))
            for part, parameter in layer.named_parameters():
                shape = tuple(parameter.shape)
                if residual and len(shape) == 4:
                    spread = np.float32(math.sqrt(2 / (shape[0] * math.prod(shape[2:]))))
                    state[f"{name}.{part}"] = generator.standard_normal(shape, np.float32) * spread
                else:
                    unit = generator.random(shape, dtype=np.float32)
                    state[f"{name}.{part}"] = (2 * unit - 1) * bound
        elif isinstance(layer, nn.BatchNorm2d):
            for part in ("weight", "bias", "running_mean", "running_var"):
                value = float(part in ("weight", "running_var"))
                state[f"{name}.{part}"] = np.full(layer.num_features, value, np.float32)
    return state
