"""Learners with a closed form, as the parameters of linear classifiers."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ROWS = 4000
"""Rows whose sums are taken together."""
ABSENT = -1e30
"""Bias of a class without a row: it is never predicted, and the logits stay finite."""


def nearest_class_mean(means: NDArray[np.float64]) -> dict[str, Tensor]:
    """Turn class means (models, classes, features) into logits ``x . mean - |mean|^2 / 2``.

    The largest logit is that of the nearest mean.
    """
    bias = -np.square(means).sum(-1) / 2
    return {
        "weight": torch.from_numpy(means.astype(np.float32)),
        "bias": torch.from_numpy(bias.astype(np.float32)),
    }


def noisy_class_means(
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    sigma: float | NDArray[np.float64],
    n_classes: int,
    generators: Sequence[np.random.Generator],
) -> NDArray[np.float64]:
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
    return means + spread[:, None] * draws


def ridge(inputs: Tensor, labels: Tensor, n_classes: int, penalty: float) -> dict[str, Tensor]:
    """Fit ridge regression on one-hot labels to each noisy copy.

    Minimises ``mean_i |y_i - W x_i - b|^2 + penalty |W|^2``, the intercept not penalised.

    Parameters
    ----------
    inputs : Tensor (models, n, ...)
    labels : Tensor (models, n)
    penalty : float
        In units of squared pixels.
    """
    weights, biases = [], []
    for copy, own_labels in zip(inputs.flatten(2), labels, strict=True):
        targets = torch.nn.functional.one_hot(own_labels, n_classes).to(inputs.dtype)
        mean, mean_target = copy.mean(0), targets.mean(0)
        centred = copy - mean  # (n, features)
        gram = centred.T @ centred / len(copy)
        gram.diagonal().add_(penalty)
        cross = centred.T @ (targets - mean_target) / len(copy)
        weight = torch.cholesky_solve(cross, torch.linalg.cholesky(gram)).T
        weights.append(weight)
        biases.append(mean_target - weight @ mean)
    return {"weight": torch.stack(weights), "bias": torch.stack(biases)}


def drawn_class_means(inputs: Tensor, labels: Tensor, n_classes: int) -> dict[str, Tensor]:
    """Return the nearest class mean of each model's rows (models, m, ...) and labels (models, m).

    A class without a row is never predicted.
    """
    members = torch.nn.functional.one_hot(labels, n_classes).to(inputs.dtype)
    counts = members.sum(1)  # (models, classes)
    means = members.transpose(1, 2) @ inputs.flatten(2) / counts.clamp(min=1)[..., None]
    bias = means.square().sum(-1) / -2
    return {"weight": means, "bias": bias.masked_fill(counts == 0, ABSENT)}


def drawn_class_sums(
    inputs: Tensor, labels: Tensor, n_classes: int, constant: float
) -> dict[str, Tensor]:
    """Return the class sums of each model's rows, as `class_sums` takes them of all."""
    rows = _unit_rows(inputs.flatten(2), constant)
    members = torch.nn.functional.one_hot(labels, n_classes).to(rows.dtype)
    parameters = _linear(members.transpose(1, 2) @ rows, constant)
    absent = members.sum(1) == 0
    return parameters | {"bias": parameters["bias"].masked_fill(absent, ABSENT)}


def class_sums(
    inputs: NDArray[np.float32], labels: NDArray[np.int64], n_classes: int, constant: float
) -> NDArray[np.float64]:
    """Return the statistic ``T = (1/n) sum_i e_{y_i} (x) phi(x_i)``, (classes, features + 1).

    `phi` is the input with `constant` as one more coordinate, scaled to unit norm; 0 stays 0.
    ``docs/theory.md``, section 7.
    """
    sums = np.zeros((n_classes, math.prod(inputs.shape[1:]) + 1))
    for start in range(0, len(inputs), ROWS):
        part = slice(start, start + ROWS)
        rows = _unit_rows(torch.from_numpy(inputs[part]).flatten(1).double(), constant).numpy()
        sums += np.eye(n_classes)[labels[part]].T @ rows
    return sums / len(inputs)


def noisy_class_sums(
    statistic: NDArray[np.float64],
    sigma: float,
    constant: float,
    generators: Sequence[np.random.Generator],
) -> dict[str, Tensor]:
    """Return a linear classifier from the statistic (classes, features + 1) and each one's noise.

    Its logits ``(T + s G)_c . (x, constant)`` are those of the unit-norm features up to a positive
    factor, the same for all classes.
    """
    noisy = [statistic + sigma * g.standard_normal(statistic.shape) for g in generators]
    return _linear(torch.from_numpy(np.stack(noisy)), constant)


def _linear(sums: Tensor, constant: float) -> dict[str, Tensor]:
    """Turn sums (models, classes, features + 1) into weights and biases."""
    sums = sums.float()
    return {"weight": sums[..., :-1].contiguous(), "bias": constant * sums[..., -1]}


def _unit_rows(inputs: Tensor, constant: float) -> Tensor:
    """Append `constant` to inputs (..., features) and scale each row to norm 1."""
    rows = torch.nn.functional.pad(inputs, (0, 1), value=constant)
    return torch.nn.functional.normalize(rows, dim=-1)
