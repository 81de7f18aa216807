"""The world of a run as its certificates need to know it, and what a guarantee makes of it."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from certbd.artifacts.io import DataSplits, PoisonedSet, TriggeredInputs
from certbd.attacks.attack import Attack
from certbd.config.axes import Certification
from certbd.config.fields import Entry
from certbd.config.threats import ROW_COLUMNS, How, Threat, counted_as
from certbd.data.dataset import Dataset
from certbd.theory.claims import Claims

Columns = dict[str, NDArray[np.generic] | float | None]
LENGTH_SLACK = 1 + 1e-9
"""Relative, on roots of sums of up to a million squares in float64."""
TOGETHER = 64
"""Inputs whose triggers are measured together."""


class World(NamedTuple):
    """A training set as given, and the threat that a certificate must cover."""

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
    threat: Threat | None
    """What a certificate must cover; None where nothing was asked, or cannot be covered."""
    norm: float | None
    """The norm that a trigger radius must exceed; None for a threat without a trigger."""
    data: DataSplits | None = None
    """The dataset before the attack."""
    triggered: TriggeredInputs | None = None

    @property
    def n_rows(self) -> int:
        """Number of training rows."""
        return len(self.training.labels)

    @property
    def n_poisoned(self) -> int:
        """Number of rows that are not to be trusted."""
        return 0 if self.threat is None else self.threat.rows


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


class Uncovered(NamedTuple):
    """A guarantee that says nothing of the threat that was asked: it cannot cover its kind."""

    guarantee: Guarantee

    def columns(self, claims: Claims, sigma: NDArray[np.float64]) -> Columns:
        """Return the guarantee's columns without a trigger radius and without coverage."""
        found = self.guarantee.columns(claims, sigma)
        triggers = {name: None for name in found if name.startswith("radius_trigger")}
        return {**found, **dict.fromkeys(triggers, np.nan), "covers_attack": None}


def row_columns(
    trigger: NDArray[np.float64] | None,
    rows: Mapping[How, NDArray[np.int32]],
    threat: Threat | None,
    norm: float | None,
) -> Columns:
    """Return the columns of a side that covers rows.

    Parameters
    ----------
    trigger : array (n,) or None
        Trigger radii at the threat's rows; None without test noise.
    rows : mapping
        What may have happened to rows -> how many are covered, test inputs untouched.
    threat, norm
        As in a `World`.
    """
    radius = np.full(len(rows["replaced"]), np.nan) if trigger is None else trigger
    counts = {ROW_COLUMNS[how]: covered for how, covered in rows.items()}
    covers: NDArray[np.bool_] | None = None
    if threat is not None and norm is not None:
        covers = radius > norm
    elif threat is not None:
        covers = rows[counted_as(threat.how)] >= threat.rows
    return {"radius_trigger": radius, **counts, "covers_attack": covers}


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
