"""Which guarantee a defence of constant noise has. ``docs/theory.md``, sections 2 and 7."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certbd.certify.guarantees import GaussianTraining, Guarantee
from certbd.certify.rows import BaggedRows, StatisticRows, class_sums_bound
from certbd.config import entries
from certbd.theory import certificates

GAUSSIAN = ("rab", "cert_ssb", "decoupled")
"""Defences with Gaussian noise on training inputs."""


def outline(learner: Mapping[str, Any]) -> dict[str, str | None]:
    """Return what certificates need to know of a learner: its kind and that of its features."""
    return {"kind": learner["kind"], "features": learner.get("features", {}).get("kind")}


def guarantee_of(
    defense: str,
    noise: Mapping[str, Any] | None,
    learner: Mapping[str, str | None],
    labels: NDArray[np.int64],
    n_classes: int,
    sigma_train: NDArray[np.float64] | None,
    attack: tuple[int, float | None],
) -> Guarantee:
    """Return what the certificates of a defence cover.

    Parameters
    ----------
    noise : mapping or None
        The configuration's ``noise_levels``.
    learner : mapping
        Its `outline`.
    labels : array (n,)
        Of the training set.
    sigma_train : array (n,) or None
        Noise on each training input; None for the defences that cover rows.
    attack : pair
        Number of poisoned inputs, and norm of the trigger (None without an attack).
    """
    if defense == "bagging" and noise:
        return BaggedRows(len(labels), noise["n_drawn"], *attack)
    if defense == "statistic" and noise:
        bound = class_sums_bound(n_classes, _never_negative(learner["features"]))
        return StatisticRows(len(labels), noise["sigma_statistic"], bound, *attack)
    if defense not in GAUSSIAN or sigma_train is None:
        raise ValueError(f"defense {defense!r} with noise {noise}: nobody has said what it covers")
    sigma = np.asarray(sigma_train, np.float64)
    by_means = entries.module(entries.LEARNERS, str(learner["kind"])).KIND.by_class_means
    variance = certificates.class_variance(labels, sigma) if by_means else None
    return GaussianTraining(sigma, variance, *attack)


def _never_negative(features: str | None) -> bool:
    """Return whether the features of a map of this kind are never negative; inputs may be."""
    if features is None:
        return False
    never_negative: bool = entries.module(entries.MAPS, features).KIND.never_negative
    return never_negative
