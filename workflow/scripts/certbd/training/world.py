"""The world of a run as its certificates need to know it, and what a guarantee makes of it."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from certbd.artifacts.io import DataSplits, PoisonedSet, TriggeredInputs
from certbd.attacks.attack import Attack
from certbd.config.axes import Certification
from certbd.config.fields import Entry
from certbd.data.dataset import Dataset
from certbd.theory.claims import Claims

Columns = dict[str, NDArray[np.generic] | float | None]
LENGTH_SLACK = 1 + 1e-9
"""Relative, on roots of sums of up to a million squares in float64."""
TOGETHER = 64
"""Inputs whose triggers are measured together."""


class World(NamedTuple):
    """A training set as given, and the attack that a certificate must cover."""

    training: PoisonedSet
    test: Entry
    """The test side (`testing.side`): what votes were cast on."""
    n_classes: int
    by_class_means: bool
    """Whether the learner sees training inputs through class means alone."""
    sums_bound: float | None
    """B of the learner's class sums (`Learner.sums_bound`); None for others."""
    sigma_train: NDArray[np.float64] | None
    """Gaussian noise on each training input (n,), for sides that have it."""
    attack_norm: float | None
    """The norm that a trigger radius must exceed; None without an attack."""
    data: DataSplits | None = None
    """The dataset before the attack."""
    triggered: TriggeredInputs | None = None

    @property
    def n_rows(self) -> int:
        """Number of training rows."""
        return len(self.training.labels)

    @property
    def n_poisoned(self) -> int:
        """Number of rows that the attack poisoned."""
        return len(self.training.indices)


class Asked(NamedTuple):
    """What a run asks for, as it is known before any job."""

    dataset: Dataset
    attack: Attack
    test: Entry
    certification: Certification
    n_training: int
    n_test: int
    n_classes: int


class Guarantee(Protocol):
    """The training side of a run, as certificates need it."""

    def columns(self, claims: Claims, sigma: NDArray[np.float64]) -> Columns:
        """Return the radii of each input (n,) and ``covers_attack``.

        `sigma` is the noise on each test input. What is not given stays empty.
        """


def row_columns(
    trigger: NDArray[np.float64] | None, rows: NDArray[np.int32], norm: float | None
) -> Columns:
    """Return the columns of a side that covers rows.

    Without test noise there is no trigger radius, and no attack is covered.
    """
    radius = np.full(len(rows), np.nan) if trigger is None else trigger
    covers = None if norm is None else radius > norm
    return {"radius_trigger": radius, "radius_rows": rows, "covers_attack": covers}


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
