"""A run put on trial: its certificates, its worlds, and the votes of fresh models in them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from certbd import rng
from certbd.artifacts.io import PoisonedSet
from certbd.artifacts.schemas import ABSTAIN
from certbd.audit.outcomes import broken
from certbd.audit.worlds import Inputs, Procedure
from certbd.config.threats import Threat
from certbd.data.domains import Replacement, shifts
from certbd.learners.networks import Ensemble
from certbd.testing.side import Noise
from certbd.training.side import TrainingSide

PILOTS = 64
"""Models that searches see."""


class Budget(NamedTuple):
    """The configuration's ``audit``: inputs attacked, models trained on each attacked training set.

    `network_inputs` of the inputs get training sets of their own where training takes long.
    """

    inputs: int
    models: int
    network_inputs: int


@dataclass(frozen=True)
class Case:
    """A run with its certificates, and what is known of the threat and of the attack.

    Training sets and test inputs are features where the learner has any. `given` and `clean` are
    the training set with and without the attack; `points` and `twins` each split's test inputs.
    `sigma_train` is the noise on training inputs, None for a side that has none; `noise` is
    discrete noise, None for Gaussian.
    """

    procedure: Procedure
    alpha: float
    threat: Threat | None
    attack_norm: float
    given: PoisonedSet
    clean: PoisonedSet
    points: Mapping[str, Inputs]
    twins: Mapping[str, Inputs]
    table: pd.DataFrame
    sigma_train: NDArray[np.float64] | None
    noise: Replacement | None
    budget: Budget

    @property
    def side(self) -> TrainingSide:
        """The training side of the run."""
        return self.procedure.side

    @property
    def threat_rows(self) -> int:
        """Number of rows that trigger radii are for: replaced or triggered ones."""
        asked = self.threat
        return asked.rows if asked is not None and asked.how in ("replaced", "triggered") else 0

    def certified(self, radius: str = "margin") -> pd.DataFrame:
        """Return the rows that did not abstain and have a positive radius."""
        return self.table[(self.table["prediction"] != ABSTAIN) & (self.table[radius] > 0)]

    def attacked(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Pick the rows whose test inputs are attacked."""
        return self._pick(self.budget.inputs, rows)

    def retrained(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Pick the rows that get training sets of their own."""
        quick = self.side.trains_quickly or self.procedure.learner.by_class_means
        return self._pick(self.budget.inputs if quick else self.budget.network_inputs, rows)

    def _pick(self, most: int, rows: pd.DataFrame) -> pd.DataFrame:
        """Pick rows evenly in the order of their margins, the least and the greatest among them."""
        order = rows.sort_values(["margin", "split", "sample"], kind="stable")
        return order.iloc[
            np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int))
        ]

    def inputs(self, rows: pd.DataFrame, twins: bool = False) -> Inputs:
        """Return the test inputs of rows, or their twins without a trigger."""
        source = self.twins if twins else self.points
        return np.stack([source[row.split][row.sample] for row in rows.itertuples()])

    def training_noise(self) -> NDArray[np.float64]:
        """Return the Gaussian noise on each training input; raise ValueError if there is none."""
        if self.sigma_train is None:
            raise ValueError(f"training side {self.side.kind} has no Gaussian noise on inputs")
        return self.sigma_train

    def test_noise(self, rows: pd.DataFrame) -> Noise:
        """Return the noise under which rows vote."""
        return self.noise or rows["sigma"].to_numpy(np.float64)

    def pilots(self, training: PoisonedSet) -> Ensemble:
        """Train pilot models, on the CPU for searches."""
        pilots = self.procedure.train(training, range(PILOTS), rng.PILOTS)
        return {name: parameter.cpu() for name, parameter in pilots.items()}

    def pilot_noise(self) -> Tensor:
        """Return each pilot's test noise: standard normal, or shifts."""
        shape = self.given.inputs.shape[1:]
        generators = rng.generators(
            self.procedure.seed, rng.Purpose.PILOT_TEST_NOISE, range(PILOTS)
        )
        if self.noise is None:
            draws = [generator.standard_normal(shape, np.float32) for generator in generators]
        else:
            draws = [shifts(g, shape, *self.noise).astype(np.float32) for g in generators]
        return torch.from_numpy(np.stack(draws))

    def outcome(
        self,
        rows: pd.DataFrame,
        votes: NDArray[np.float64],
        n_models: int,
        kind: tuple[str, str, float],
        label: str = "prediction",
    ) -> pd.DataFrame:
        """Compare votes (n, classes) in another world with certified labels.

        Parameters
        ----------
        kind : tuple
            Certificate, side and scale.
        label : str
            The column of the certified label.
        """
        labels = rows[label].to_numpy()
        certificate, side, scale = kind
        columns = {
            "certificate": certificate,
            "side": side,
            "scale": scale,
            "label": labels,
            "share": votes[np.arange(len(rows)), labels] / n_models,
            "voted": np.rint(votes.sum(1)).astype(np.int32),
            "broken": broken(votes, labels, n_models, self.alpha, self.procedure.scored),
        }
        return rows[["split", "sample"]].assign(**columns)

    def compare(
        self, world: PoisonedSet, rows: pd.DataFrame, points: Inputs, kind: tuple[str, str, float]
    ) -> pd.DataFrame:
        """Let as many fresh models as have voted vote on all rows in one world."""
        (part,) = self.compare_all(world, [(rows, points, kind)])
        return part

    def compare_all(
        self,
        world: PoisonedSet,
        polls: Sequence[tuple[pd.DataFrame, Inputs, tuple[str, str, float]]],
    ) -> list[pd.DataFrame]:
        """Do so for several sets of rows and points; the models are trained once."""
        fresh = self.procedure.fresh()
        asked = [(points, self.test_noise(rows)) for rows, points, _ in polls]
        votes = self.procedure.votes(world, fresh, asked)
        return [
            self.outcome(rows, own, len(fresh), kind)
            for own, (rows, _, kind) in zip(votes, polls, strict=True)
        ]

    def compare_each(
        self,
        worlds: Iterable[PoisonedSet],
        rows: pd.DataFrame,
        points: Inputs,
        kind: tuple[str, str, float],
    ) -> pd.DataFrame:
        """Let the budget's models vote on each row in a world of its own."""
        fresh = self.procedure.fresh(self.budget.models)
        votes = []
        for k, world in enumerate(worlds):
            own = slice(k, k + 1)
            poll = (points[own], self.test_noise(rows.iloc[own]))
            votes += self.procedure.votes(world, fresh, [poll])
        return self.outcome(rows, np.concatenate(votes), len(fresh), kind)
