"""Learners with a closed form, as the parameters of linear classifiers."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


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
