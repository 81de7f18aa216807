"""The model zoo: networks, and learners with a closed form, as modules.

Every module takes inputs (batch, *input shape) and returns one logit a class, (batch, classes).
It is only the shape of a model: `certbd.ensembles` holds the parameters of many at once.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class MLP(nn.Module):
    """One hidden layer of rectified linear units."""

    def __init__(self, n_features: int, hidden: int, n_classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(n_features, hidden)
        self.output = nn.Linear(hidden, n_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        return self.output(self.hidden(inputs.flatten(1)).relu())


class NearestClassMean(nn.Module):
    """The class whose mean is nearest: logit ``x . mean - |mean|^2 / 2``, closest mean largest."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.means = nn.Parameter(torch.empty(n_classes, n_features))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        return inputs.flatten(1) @ self.means.T - self.means.square().sum(1) / 2


def build(learner: Mapping[str, Any], input_shape: tuple[int, ...], n_classes: int) -> nn.Module:
    """Return a module without parameter storage (on the meta device).

    Parameters
    ----------
    learner : mapping
        An entry of the configuration's ``learners``.
    input_shape : tuple of int
        Shape of one input.
    """
    n_features = math.prod(input_shape)
    with torch.device("meta"):
        if learner["kind"] == "nearest_class_mean":
            return NearestClassMean(n_features, n_classes)
        return MLP(n_features, learner["hidden"], n_classes)


def initial_weights(
    module: nn.Module, generator: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """Draw PyTorch's default initial weights from a generator of our own.

    Weights and biases of a layer with `k` inputs to a unit are uniform between -1/sqrt(k) and
    1/sqrt(k), as ``nn.Linear.reset_parameters`` draws them.
    """
    weights: dict[str, NDArray[np.float32]] = {}
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear):
            for part, parameter in layer.named_parameters():
                unit = generator.random(tuple(parameter.shape), dtype=np.float32)
                weights[f"{name}.{part}"] = (2 * unit - 1) / np.float32(
                    math.sqrt(layer.in_features)
                )
    return weights
