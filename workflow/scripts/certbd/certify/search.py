"""A defence's training side and test noise, searched on a validation part of the training set.

It suggests; the configuration decides. The theorems need parameters that do not depend on the data
under attack (``docs/theory.md``, section 2): search on data that you trust, or before the attack.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from certbd import rng
from certbd.artifacts.io import DataError, PoisonedSet
from certbd.artifacts.schemas import BENIGN
from certbd.certify.claims import claim
from certbd.certify.tally import Tally
from certbd.config import defences
from certbd.config.axes import SEARCH_BOUND, Certification
from certbd.config.threats import Threat
from certbd.learners import features
from certbd.learners.learner import Learner
from certbd.testing.side import TestSide
from certbd.testing.votes import vote
from certbd.training import ensembles
from certbd.training import side as sides
from certbd.training.side import TrainingSide
from certbd.training.world import Guarantee, World

VALIDATION_SHARE = 3
"""One in three training inputs of each class is held out."""


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


def search_pairs(
    training: PoisonedSet,
    threat: Threat | None,
    norm: float | None,
    learner: Learner,
    n_classes: int,
    search: Mapping[str, Any],
    device: torch.device,
) -> pd.DataFrame:
    """Certify held-out training inputs at every pair of a training parameter and test noise.

    Pilot models train on two thirds of the training set. The radius is that of the whole set: its
    rows, its class sizes and the threat's own number of rows.

    Parameters
    ----------
    threat : Threat or None
        What must be covered.
    norm : float or None
        Of its trigger; None without one.
    search : mapping
        An entry of the configuration's ``searches``.

    Returns
    -------
    DataFrame
        The columns of `schemas.SEARCH`.

    Raises
    ------
    DataError
        If more rows are to be drawn than are left to train on.
    """
    seed, indices, defence = (
        search["seed"],
        range(search["n_models"]),
        defences.read(search["defense"]),
    )
    fit, rows = hold_out(training, search["n_inputs"], rng.generator(seed, rng.Purpose.HOLD_OUT))
    labels, parameter = training.labels[rows], str(defence.searched)
    inputs, encode = features.before_noise(learner.feature_map, training.inputs[rows], True, device)
    fit = fit._replace(inputs=features.apply(learner.feature_map, fit.inputs, device))
    module = learner.module(fit.inputs.shape[1:], n_classes)
    points = []
    for value in search[parameter]:
        side = defence.training_side({parameter: value})
        _check_fit(side, len(fit.labels))
        draw = sides.draw_of(side, n_classes, sides.noise_of(side, len(fit.labels), None, None))
        pilots = ensembles.train(fit, draw, learner, n_classes, seed, indices, rng.PILOTS, device)
        for level in search["sigma_test"]:
            test = defence.test_side({"sigma_test": level})
            sigma = test.sigma(BENIGN, len(rows), None, None)
            generators = rng.generators(seed, rng.Purpose.PILOT_TEST_NOISE, indices)
            noise = test.noise(sigma)
            votes, _ = vote(module, pilots, inputs, noise, generators, encode=encode)
            world = _world(side, test, training, threat, norm, learner, n_classes)
            guarantee = sides.guarantee_of(side, world)
            point = _certified(votes, labels, n_classes, sigma, guarantee, search["alpha"])
            pair = {"parameter": parameter, "value": value, "sigma_test": level}
            points.append(pair | point)
    grid = pd.DataFrame(points)
    return grid.assign(best=grid.index == best(grid).name)


def _world(
    side: TrainingSide,
    test: TestSide,
    training: PoisonedSet,
    threat: Threat | None,
    norm: float | None,
    learner: Learner,
    n_classes: int,
) -> World:
    return World(
        training=training,
        test=test,
        n_classes=n_classes,
        by_class_means=learner.by_class_means,
        sums_bound=learner.sums_bound(n_classes),
        sigma_train=sides.noise_of(side, len(training.labels), None, None),
        threat=threat,
        norm=norm,
    )


def _check_fit(side: TrainingSide, n_rows: int) -> None:
    try:
        side.check_fit(n_rows)
    except ValueError as error:
        raise DataError(f"searches: {error} that are not held out; allowed: fewer") from error


def _certified(
    votes: NDArray[np.int16],
    labels: NDArray[np.int64],
    n_classes: int,
    sigma: NDArray[np.float64],
    guarantee: Guarantee,
    alpha: float,
) -> dict[str, float]:
    """Return shares of inputs predicted right, and certified right at the attack."""
    counts = np.stack([(votes == label).sum(0) for label in range(n_classes)], axis=1)
    certification = Certification(len(votes), SEARCH_BOUND, alpha, "per_input")
    claims = claim(Tally(counts, None), certification, len(labels))
    columns = guarantee.columns(claims, sigma)
    right = (claims.predicted == labels) & (claims.margin > 0)
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
        f"best pair: {point['parameter']} {point['value']:g}, sigma_test "
        f"{point['sigma_test']:g}: certified at the attack {_percent(point['certified'])}, "
        f"worst class {_percent(point['worst_class'])}, accuracy {_percent(point['accuracy'])}"
    )


def _percent(share: float) -> str:
    """Return a share in percent, rounded down."""
    return f"{math.floor(1000 * share + 1e-9) / 10:.1f} %"
