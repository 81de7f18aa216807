"""Constant noise for `decoupled`, searched on a validation part of the training set.

It suggests; the configuration decides. The theorem needs noise that does not depend on the data
under attack (``docs/theory.md``, section 2): search on data that you trust, or before the attack.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from certbd import bounds, certificates, ensembles, models, rng
from certbd.draws import Gaussian
from certbd.guarantees import GaussianTraining
from certbd.io import PoisonedSet
from certbd.votes import vote

VALIDATION_SHARE = 3
"""One in three training inputs of each class is held out."""


class Attack(NamedTuple):
    """What must be covered: a trigger of this norm on this many of the training inputs."""

    norm: float
    n_poisoned: int


def hold_out(
    training: PoisonedSet, most: int, generator: np.random.Generator
) -> tuple[PoisonedSet, NDArray[np.intp]]:
    """Split a training set into a part to fit on, and rows of at most `most` to validate on."""
    held: list[NDArray[np.intp]] = []
    for label in np.unique(training.labels):
        rows = generator.permutation(np.flatnonzero(training.labels == label))
        held.append(rows[: len(rows) // VALIDATION_SHARE])
    validation = np.concatenate(held)
    fit = np.setdiff1d(np.arange(len(training.labels)), validation)
    kept = PoisonedSet(training.inputs[fit], training.labels[fit], np.arange(0))
    return kept, np.sort(generator.permutation(validation)[:most])


def search_noise(
    training: PoisonedSet,
    attack: Attack,
    learner: Mapping[str, Any],
    n_classes: int,
    search: Mapping[str, Any],
    device: torch.device,
) -> pd.DataFrame:
    """Certify held-out training inputs at every pair of noise levels.

    Pilot models train on two thirds of the training set. The radius is that of the whole set: its
    class sizes and the attack's own number of poisoned inputs.

    Parameters
    ----------
    search : mapping
        An entry of the configuration's ``searches``.

    Returns
    -------
    DataFrame
        sigma_train, sigma_test, accuracy, certified (at the attack), worst_class, best.
    """
    seed, indices = search["seed"], range(search["n_models"])
    fit, rows = hold_out(training, search["n_inputs"], rng.generator(seed, rng.Purpose.HOLD_OUT))
    inputs, labels = training.inputs[rows], training.labels[rows]
    module = models.build(learner, inputs.shape[1:], n_classes)
    points = []
    for sigma_train in search["sigma_train"]:
        draw = Gaussian(sigma_train)
        pilots = ensembles.train(fit, draw, learner, n_classes, seed, indices, rng.PILOTS, device)
        guarantee = guarantee_of(training.labels, sigma_train, learner, attack)
        for sigma_test in search["sigma_test"]:
            noise = rng.generators(seed, rng.Purpose.PILOT_TEST_NOISE, indices)
            votes, _ = vote(module, pilots, inputs, sigma_test, noise)
            point = _certified(votes, labels, n_classes, sigma_test, guarantee, search["alpha"])
            points.append({"sigma_train": sigma_train, "sigma_test": sigma_test, **point})
    grid = pd.DataFrame(points)
    return grid.assign(best=grid.index == best(grid).name)


def guarantee_of(
    labels: NDArray[np.int64], sigma_train: float, learner: Mapping[str, Any], attack: Attack
) -> GaussianTraining:
    """Return what constant training noise guarantees against an attack."""
    sigma = np.full(len(labels), sigma_train)
    by_means = learner["kind"] == "nearest_class_mean"
    variance = certificates.class_variance(labels, sigma) if by_means else None
    return GaussianTraining(sigma, variance, attack.n_poisoned, attack.norm)


def _certified(
    votes: NDArray[np.int16],
    labels: NDArray[np.int64],
    n_classes: int,
    sigma_test: float,
    guarantee: GaussianTraining,
    alpha: float,
) -> dict[str, float]:
    """Return shares of inputs predicted right, and certified right at the attack."""
    counts = np.stack([(votes == label).sum(0) for label in range(n_classes)], axis=1)
    p_lower = bounds.majority_lower(counts.max(1), len(votes), alpha)
    margin = certificates.margin(p_lower, 1 - p_lower)
    columns = guarantee.columns(p_lower, margin, np.full(len(labels), sigma_test))
    right = (counts.argmax(1) == labels) & (margin > 0)
    certified = right & np.asarray(columns["covers_attack"], dtype=bool)
    worst = min(certified[labels == label].mean() for label in np.unique(labels))
    return {"accuracy": right.mean(), "certified": certified.mean(), "worst_class": worst}


def best(points: pd.DataFrame) -> pd.Series:
    """Return the pair whose worst class is certified most, ties by the mean, then the first."""
    order = points.sort_values(["worst_class", "certified"], ascending=False, kind="stable")
    return order.iloc[0]


def describe(point: pd.Series) -> str:
    """Say in a line what a pair gives."""
    return (
        f"best pair: sigma_train {point['sigma_train']:g}, sigma_test {point['sigma_test']:g}: "
        f"certified at the attack {100 * point['certified']:.1f} %, worst class "
        f"{100 * point['worst_class']:.1f} %, accuracy {100 * point['accuracy']:.1f} %"
    )
