"""Which guarantee a defence of constant noise has, and for which attack.

``docs/theory.md``, sections 2, 7 and 8.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certbd import certificates
from certbd.guarantees import GaussianTraining, Guarantee
from certbd.io import DataSplits, PoisonedSet, TriggeredInputs
from certbd.rows import BaggedRows, StatisticRows, class_sums_bound

LENGTH_SLACK = 1 + 1e-9
"""Relative, on roots of sums of up to a million squares in float64."""
TOGETHER = 64
"""Inputs whose triggers are measured together."""


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
        bound = class_sums_bound(n_classes, learner["features"])
        return StatisticRows(len(labels), noise["sigma_statistic"], bound, *attack)
    sigma = np.asarray(sigma_train, np.float64)
    by_means = learner["kind"] == "nearest_class_mean"
    variance = certificates.class_variance(labels, sigma) if by_means else None
    return GaussianTraining(sigma, variance, *attack)


def largest_norm(
    norm: float, data: DataSplits, poisoned: PoisonedSet, triggered: TriggeredInputs | None = None
) -> float:
    """Return the norm that a trigger radius must exceed: the attack's, or the longest trigger's.

    Triggers and their sums with inputs are rounded to float32, which makes some of them longer than
    the attack's `norm`. Without `triggered` only training inputs are looked at.
    """
    rows = poisoned.indices
    found = [norm, _longest(data.train_inputs[rows], poisoned.inputs[rows])]
    if triggered is not None:
        found.append(_longest(data.test_inputs, triggered.inputs))
    return max(found)


def _longest(clean: NDArray[np.float32], moved: NDArray[np.float32]) -> float:
    """Return the largest distance between inputs (n, ...) and what became of them, rounded up."""
    longest = 0.0
    for start in range(0, len(clean), TOGETHER):
        part = slice(start, start + TOGETHER)
        steps = moved[part].astype(np.float64) - clean[part]
        squares = np.square(steps).reshape(len(steps), -1).sum(1)
        longest = max(longest, float(np.sqrt(squares.max())) * LENGTH_SLACK)
    return longest
