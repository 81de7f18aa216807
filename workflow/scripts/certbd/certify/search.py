"""A defence's training side and test noise, searched on a validation part of the training set.

It suggests; the configuration decides. The theorems need parameters that do not depend on the data
under attack (``docs/theory.md``, section 2): search on data that you trust, or before the attack.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from certbd import rng
from certbd.artifacts.io import DataError, PoisonedSet
from certbd.artifacts.schemas import BENIGN
from certbd.certify import unanimous
from certbd.certify.claims import claim, is_scored
from certbd.certify.tally import Tally
from certbd.config import defences, entries
from certbd.config.axes import Certification
from certbd.config.defences import Defence
from certbd.config.threats import Threat
from certbd.learners import features
from certbd.learners.learner import Learner
from certbd.testing.votes import vote
from certbd.training import ensembles
from certbd.training import side as sides
from certbd.training.gaussian.draw import Gaussian
from certbd.training.per_sample.entry import PerSample
from certbd.training.side import TrainingSide
from certbd.training.sigma import optimise_sigma
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
    *,
    given: PoisonedSet | None = None,
) -> pd.DataFrame:
    """Certify held-out inputs at every pair of a training parameter and test noise.

    Pilot models train on two thirds of a training set. The radius is that of the whole set that is
    to be certified: its rows, its class sizes and the threat's own number of rows.

    Parameters
    ----------
    training : PoisonedSet
        What is searched on.
    threat : Threat or None
        What must be covered.
    norm : float or None
        Of its trigger; None without one.
    search : mapping
        An entry of the configuration's ``searches``.
    given : PoisonedSet, optional
        The set that is to be certified, where another one is searched on.

    Returns
    -------
    DataFrame
        The columns of `schemas.SEARCH`, best pair first.

    Raises
    ------
    DataError
        If more rows are to be drawn than are left to train on.
    """
    seed, defence = search["seed"], defences.read(search["defense"])
    fit, rows = hold_out(training, search["n_inputs"], rng.generator(seed, rng.Purpose.HOLD_OUT))
    world = World(
        training=training if given is None else given,
        test=defence.test_side(_noise_entry(defence, search, 0)),
        n_classes=n_classes,
        by_class_means=learner.by_class_means,
        sums_bound=learner.sums_bound(n_classes),
        sigma_train=None,
        threat=threat,
        norm=norm,
    )
    held = _Held(fit, training.inputs[rows], training.labels[rows], learner, n_classes, device)
    points = [
        point
        for place in range(len(search[str(defence.searched)]))
        for point in _points(held, world, defence, search, place)
    ]
    grid = pd.DataFrame(points).sort_values(
        ["unpredicted", "worst_class", "certified"], ascending=[True, False, False], kind="stable"
    )
    grid = grid.reset_index(drop=True)
    return grid.assign(best=(grid.index == 0) & ~grid["unpredicted"] & (grid["certified"] > 0))


class _Held(NamedTuple):
    """What pilots train on, and the inputs and labels held out of it."""

    fit: PoisonedSet
    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    learner: Learner
    n_classes: int
    device: torch.device


def _noise_entry(defence: Defence, search: Mapping[str, Any], place: int) -> dict[str, Any]:
    """Return the entry of `noises` of one value, without a level of test noise of its own."""
    defaults = entries.module(entries.TRAINING, defence.training, "entry").Noise().settings()
    noise: dict[str, Any] = defaults | {defence.searched: search[str(defence.searched)][place]}
    return noise | ({"sigma_test": 0.0} if defence.has_levels else {})


def _points(
    held: _Held, world: World, defence: Defence, search: Mapping[str, Any], place: int
) -> Iterator[dict[str, Any]]:
    """Train pilots at one value, and certify under every level of test noise."""
    noise, seed, indices = (
        _noise_entry(defence, search, place),
        search["seed"],
        range(search["n_models"]),
    )
    side, value = defence.training_side(noise), float(noise[str(defence.searched)])
    _check_fit(side, len(held.fit.labels))
    ascent = _Ascent(held, side, seed, len(indices)) if side.optimises else None
    feature_map, device = held.learner.feature_map, held.device
    fit = held.fit._replace(inputs=features.apply(feature_map, held.fit.inputs, device))
    module = held.learner.module(fit.inputs.shape[1:], held.n_classes)
    sigma_train = (
        sides.noise_of(side, len(fit.labels), None, None)
        if ascent is None
        else ascent.of(fit.inputs)
    )
    draw = sides.draw_of(side, held.n_classes, sigma_train)
    pilots = ensembles.train(
        fit, draw, held.learner, held.n_classes, seed, indices, rng.PILOTS, device
    )
    scored = is_scored(search["bound"])
    for level in search["sigma_test"] if defence.has_levels else [None]:
        test = defence.test_side(noise | ({} if level is None else {"sigma_test": level}))
        inputs, encode = features.before_noise(feature_map, held.inputs, test.is_noisy, device)
        if ascent is None:
            sigma = test.sigma(BENIGN, len(inputs), None, None)
            whole = sides.noise_of(side, world.n_rows, None, None)
        else:
            sigma, whole = ascent.of(inputs), ascent.of(world.training.inputs)
        generators = rng.generators(seed, rng.Purpose.PILOT_TEST_NOISE, indices)
        votes, scores = vote(module, pilots, inputs, test.noise(sigma), generators, scored, encode)
        guarantee = sides.guarantee_of(side, world._replace(test=test, sigma_train=whole))
        tally = Tally(
            np.stack([(votes == label).sum(0) for label in range(held.n_classes)], axis=1),
            None if scores is None else scores.sum(0, dtype=np.float64),
        )
        pair = {"parameter": defence.searched, "value": value, "sigma_test": level}
        pair["possible"] = unanimous.covers(
            guarantee, float(sigma.mean()), _certification(search), held.n_classes
        )
        yield pair | _shares(tally, held.labels, sigma, guarantee, search)


class _Ascent:
    """Noise of its own for each input, by pilots apart from those that vote."""

    def __init__(self, held: _Held, side: TrainingSide, seed: int, n_voters: int) -> None:
        if not isinstance(side, PerSample):
            raise ValueError(f"training side {side.kind}: how its noise is optimised is not known")
        self._side, self._seed = side, seed
        self._module = held.learner.module(held.fit.inputs.shape[1:], held.n_classes)
        indices = range(n_voters, n_voters + side.search.pilots)
        self._pilots = ensembles.train(
            held.fit, Gaussian(side.sigma), held.learner, held.n_classes, seed, indices,
            rng.PILOTS, held.device,
        )  # fmt: skip

    def of(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the noise of each input (n,)."""
        side = self._side
        found = optimise_sigma(
            self._module, self._pilots, inputs, side.sigma, side.search, self._seed
        )
        return found.sigma


def _check_fit(side: TrainingSide, n_rows: int) -> None:
    try:
        side.check_fit(n_rows)
    except ValueError as error:
        raise DataError(f"searches: {error} that are not held out; allowed: fewer") from error


def _certification(search: Mapping[str, Any]) -> Certification:
    return Certification(search["n_models"], search["bound"], search["alpha"], "per_input")


def _shares(
    tally: Tally,
    labels: NDArray[np.int64],
    sigma: NDArray[np.float64],
    guarantee: Guarantee,
    search: Mapping[str, Any],
) -> dict[str, Any]:
    """Return shares of inputs predicted right, and certified right under the threat."""
    claims = claim(tally, _certification(search), len(labels))
    covers = np.asarray(guarantee.columns(claims, sigma)["covers_attack"], dtype=bool)
    claimed = claims.margin > 0
    right = (claims.predicted == labels) & claimed
    classes = np.unique(labels)
    counts = np.bincount(claims.predicted[claimed], minlength=int(classes.max()) + 1)
    return {
        "accuracy": right.mean(),
        "certified": (right & covers).mean(),
        "worst_class": min((right & covers)[labels == label].mean() for label in classes),
        "unpredicted": bool((counts[classes] == 0).any()),
        "agreement": float(np.median(claims.p_lower)),
    }
