"""The library for notebooks and other programs: votes to certificates, and all before, on arrays.

``docs/library.md`` shows it. Names are found by ``from certbd import ...``, which loads what they
need and no more.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from certbd import rng
from certbd.artifacts.io import PoisonedSet
from certbd.artifacts.seals import file_sum
from certbd.certify.claims import claim
from certbd.certify.tally import Tally
from certbd.config.axes import Certification
from certbd.theory.checks import is_whole, require
from certbd.training.gaussian.guarantee import GaussianTraining

if TYPE_CHECKING:
    from certbd.learners.learner import Learner
    from certbd.learners.networks import Ensemble
    from certbd.training.side import TrainingSide

ABSTAIN = -1
"""The prediction where nothing is certified."""


def certify_votes(
    votes_or_counts: ArrayLike,
    *,
    n_models: int,
    alpha: float,
    n_classes: int | None = None,
    bound: str = "majority",
    sigma_test: ArrayLike | None = None,
    sigma_train: ArrayLike | None = None,
    n_poisoned: int | None = None,
) -> pd.DataFrame:
    """Certify the predictions of smoothed models from their votes.

    Parameters
    ----------
    votes_or_counts : array_like
        With `n_classes`: the label that each model votes for, (inputs, models), -1 where it casts
        no vote. Without: how many models vote for each class, (inputs, classes).
    n_models : int
        Number N of models that were planned. It must not depend on the votes.
    alpha : float
        Error probability of each certificate, from 1e-100 to below 1.
    n_classes : int, optional
        Number of classes, where labels are given.
    bound : str
        ``majority``, ``clopper_pearson`` or ``runner_up``.
    sigma_test : float or array (inputs,), optional
        Standard deviation of the Gaussian noise that each vote was cast under.
    sigma_train : float or array (n,), optional
        That of the noise on training inputs; with `sigma_test` it gives ``radius_joint``.
    n_poisoned : int, optional
        Training inputs that may bear the trigger; with both it gives ``radius_trigger``.

    Returns
    -------
    DataFrame
        One row per input: prediction (-1: abstained), votes, p_lower, margin (in standard
        deviations), and ``radius_joint`` and ``radius_trigger`` (l2), NaN where they are not given.

    Raises
    ------
    ValueError
        If a count or label is out of range, there are more votes than models, there are as many
        columns as models without `n_classes` (labels would be taken for counts), or as
        `theory.bounds.clopper_pearson_lower`.
    """
    counts = _counts(votes_or_counts, n_models, n_classes)
    certification = Certification(n_models, bound, alpha, "per_input")
    claims = claim(Tally(counts, None), certification, len(counts))
    certified = claims.margin > 0
    table = pd.DataFrame(
        {
            "prediction": np.where(certified, claims.predicted, ABSTAIN),
            "votes": counts[np.arange(len(counts)), claims.predicted],
            "p_lower": claims.p_lower,
            "margin": claims.margin,
            "radius_joint": np.nan,
            "radius_trigger": np.nan,
        }
    )
    if sigma_test is None or sigma_train is None:
        return table
    training = GaussianTraining(np.asarray(sigma_train, np.float64), None, n_poisoned, None)
    noise = np.broadcast_to(np.asarray(sigma_test, np.float64), len(counts))
    columns = training.columns(claims, noise)
    return table.assign(**{name: columns[name] for name in ("radius_joint", "radius_trigger")})


def _counts(given: ArrayLike, n_models: int, n_classes: int | None) -> NDArray[np.int64]:
    """Return votes for each class, (inputs, classes)."""
    array = np.asarray(given)
    if array.ndim != 2:
        raise ValueError(f"votes_or_counts must have two axes, not shape {array.shape}")
    if n_classes is None:
        if array.shape[1] == n_models:
            raise ValueError(
                f"votes_or_counts has {n_models} columns, as many as n_models, and no n_classes; "
                "allowed: n_classes with labels of models, or counts for another number of classes"
            )
        fine = is_whole(array) & (array >= 0)
        require(fine, "votes_or_counts", array, "whole numbers, 0 or more: votes for each class")
        require(array.sum(1) <= n_models, "votes of an input", array.sum(1), f"at most {n_models}")
        return array.astype(np.int64)
    if array.shape[1] != n_models:
        raise ValueError(f"votes_or_counts must have {n_models} votes per input, not {array.shape}")
    fine = is_whole(array) & (array >= ABSTAIN) & (array < n_classes)
    require(fine, "votes_or_counts", array, f"labels from -1 (no vote) to {n_classes - 1}")
    return np.stack([(array == label).sum(1) for label in range(n_classes)], axis=1)


def poison(
    inputs: NDArray[np.float32], labels: NDArray[np.int64], attack: Mapping[str, Any]
) -> PoisonedSet:
    """Put an attack's trigger on training inputs drawn at random, and relabel them.

    Parameters
    ----------
    inputs, labels : arrays
        The clean training set, (n, ...) in [0, 1] and (n,).
    attack : mapping
        An entry of the configuration's ``attacks``: kind, norm, rate, target, seed.

    Raises
    ------
    ValueError
        If the attack does not fit the training set, or as pydantic says.
    """
    from certbd.attacks.attack import read, simulated
    from certbd.attacks.poison import simulate

    entry = simulated(read(attack))
    if entry is None:
        raise ValueError(f"attack of kind {attack['kind']}: it has no trigger")
    poisoned, _ = simulate(inputs, labels, entry)
    return poisoned


class Models(NamedTuple):
    """Trained models: their parameters, stacked, and what they were trained by."""

    learner: "Learner"
    ensemble: "Ensemble"
    n_models: int
    n_classes: int
    seed: int


def train(
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    learner: Mapping[str, Any],
    training: Mapping[str, Any],
    n_classes: int,
    n_models: int,
    seed: int = 0,
) -> Models:
    """Train models 0 to ``n_models - 1``, each on its own random view of the training set.

    Parameters
    ----------
    inputs, labels : arrays
        The training set as given, (n, ...) in [0, 1] and (n,).
    learner : mapping
        An entry of the configuration's ``learners``.
        Weights of its own are a file (``pretrained``, ``features.weights``).
    training : mapping
        A training side: ``{"kind": "gaussian", "sigma": 1.0}``, ``{"kind": "bagging", "n_drawn":
        12}``, ``{"kind": "statistic", "sigma_statistic": 0.04}`` or ``{"kind": "flips", "beta":
        0.85}``.

    Raises
    ------
    ValueError
        If learner and training side do not fit each other or the data, or as pydantic says.
    """
    _torch()
    from certbd.learners import features
    from certbd.learners import learner as learners
    from certbd.training import ensembles
    from certbd.training import side as sides

    entry, side = _trainable(learners.read(_held(learner)), learner, sides.read(dict(training)))
    side.check_fit(len(labels))
    seen = features.apply(entry.feature_map, inputs)
    given = PoisonedSet(seen, labels, np.arange(0))
    draw = sides.draw_of(side, n_classes, sides.noise_of(side, len(labels), None, None))
    ensemble = ensembles.train(given, draw, entry, n_classes, seed, range(n_models))
    return Models(entry, ensemble, n_models, n_classes, seed)


def _held(learner: Mapping[str, Any]) -> dict[str, Any]:
    """Return a learner's settings with the SHA-256 of its weights in the place of their path."""
    held = dict(learner)
    if (path := held.get("pretrained", "none")) != "none":
        held["pretrained"] = file_sum(path)
    if path := held.get("features", {}).get("weights"):
        held["features"] = {**held["features"], "weights": file_sum(path)}
    return held


def _trainable(
    entry: "Learner", learner: Mapping[str, Any], side: "TrainingSide"
) -> tuple["Learner", "TrainingSide"]:
    """Return a learner with its weights and a training side, which must fit each other."""
    if side.optimises:
        raise ValueError(f"training side {side.kind}: its noise is optimised by the workflow alone")
    if side.shows not in entry.learns_from:
        raise ValueError(f"learner of kind {entry.kind} does not learn from what {side.kind} shows")
    seen = entry.feature_map
    if side.has_sigma and seen is not None and not seen.lipschitz:
        raise ValueError(
            f"features of kind {seen.kind}, whose Lipschitz constant is not known, with training "
            f"side {side.kind}: noise on such features certifies nothing of the inputs"
        )
    features = learner.get("features", {})
    path = features.get("weights", "") if features else learner.get("pretrained", "none")
    return entry.with_weights("" if path == "none" else path), side


def vote(
    models: Models, inputs: NDArray[np.float32], testing: Mapping[str, Any]
) -> NDArray[np.int16]:
    """Let each model vote once on each input, (inputs, models): `certify_votes` takes that.

    Parameters
    ----------
    inputs : array (n, ...)
        In [0, 1].
    testing : mapping
        A test side: ``{"kind": "noise", "level": 0.4}`` or ``{"kind": "flips", "beta": 0.85}``.
    """
    torch = _torch()
    from certbd.learners import features
    from certbd.testing import side as sides
    from certbd.testing import votes

    side, cpu = sides.read(dict(testing)), torch.device("cpu")
    seen, encode = features.before_noise(models.learner.feature_map, inputs, side.is_noisy, cpu)
    one = torch.from_numpy(seen[:1])
    shape = tuple((encode(one) if encode else one).shape[1:])
    module = models.learner.module(shape, models.n_classes)
    noise = side.noise(side.sigma("benign", len(inputs), None, None))
    generators = rng.generators(models.seed, rng.Purpose.TEST_NOISE, range(models.n_models))
    cast, _ = votes.vote(module, models.ensemble, seen, noise, generators, encode=encode)
    return cast.T


def _torch() -> Any:
    """Return the module torch; without it say which extra brings it."""
    try:
        import torch
    except ModuleNotFoundError as error:
        told = "train and vote need PyTorch, which the extra train brings: pip install '.[train]'"
        raise ModuleNotFoundError(f"{told} in a clone of certbd") from error
    return torch
