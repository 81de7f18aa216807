"""A run's procedure, repeated in other worlds: on another training set, for other test inputs.

A certificate compares the world as given with every other one in its set (``docs/theory.md``,
section 1). The models that vote here are others of the same streams, so what is known of the
given world's votes says nothing of theirs.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from certbd import rng
from certbd.artifacts.io import PoisonedSet
from certbd.artifacts.logs import LOGGER
from certbd.data.domains import Replacement
from certbd.learners.learner import Learner
from certbd.learners.networks import Ensemble
from certbd.testing.votes import vote
from certbd.training import ensembles
from certbd.training.draws import Draw, NoisyStatistic

Noise = float | NDArray[np.float64] | Replacement
Inputs = NDArray[np.float32]
ENSEMBLE_BYTES = 2**28
"""Memory for the parameters of models that vote together; others are trained after them."""


@dataclass(frozen=True)
class Procedure:
    """Everything of a run but its training set and its test inputs.

    `n_models` have voted; models of higher numbers have not. `scored`: labels win by their mean
    score (softmax), not by votes.
    """

    learner: Learner
    draw: Draw | NoisyStatistic
    n_classes: int
    seed: int
    n_models: int
    scored: bool
    device: torch.device

    def module(self, shape: tuple[int, ...]) -> nn.Module:
        """Return the shape of a model for inputs of this shape."""
        return self.learner.module(shape, self.n_classes)

    def fresh(self, n_models: int | None = None) -> range:
        """Return so many models that have not voted, as many as have if left out."""
        return range(self.n_models, self.n_models + (n_models or self.n_models))

    def train(
        self, training: PoisonedSet, indices: range, streams: rng.TrainingStreams = rng.VOTERS
    ) -> Ensemble:
        """Train models on a training set."""
        with quiet():
            return ensembles.train(
                training, self.draw, self.learner, self.n_classes, self.seed, indices, streams,
                self.device,
            )  # fmt: skip

    def votes(
        self, training: PoisonedSet, indices: range, polls: Sequence[tuple[Inputs, Noise]]
    ) -> list[NDArray[np.float64]]:
        """Train models on a training set, and let them vote in each poll, as `count` does.

        A few models at a time are kept. In a world that is not finite nobody votes.
        """
        shape = training.inputs.shape[1:]
        totals = [np.zeros((len(inputs), self.n_classes)) for inputs, _ in polls]
        if not np.isfinite(training.inputs).all():
            return totals
        each = sum(tensor.nbytes for tensor in self.module(shape).state_dict().values())
        width = max(1, ENSEMBLE_BYTES // max(1, each))
        for start in range(indices.start, indices.stop, width):
            some = range(start, min(start + width, indices.stop))
            ensemble = self.train(training, some)
            for total, (inputs, noise) in zip(totals, polls, strict=True):
                total += self.count(ensemble, inputs, noise, some)
        for total, (inputs, _) in zip(totals, polls, strict=True):
            total[~np.isfinite(inputs.reshape(len(inputs), -1)).all(1)] = 0
        return totals

    def count(
        self, ensemble: Ensemble, inputs: Inputs, noise: Noise, indices: range
    ) -> NDArray[np.float64]:
        """Let models vote; return votes, or sums of scores, (inputs, classes)."""
        generators = rng.generators(self.seed, rng.Purpose.TEST_NOISE, indices)
        module = self.module(inputs.shape[1:])
        with quiet():
            votes, scores = vote(module, ensemble, inputs, noise, generators, self.scored)
        if scores is not None:
            return scores.sum(0, dtype=np.float64)
        return np.stack([(votes == c).sum(0) for c in range(self.n_classes)], 1).astype(float)


def without_trigger(
    given: PoisonedSet, inputs: Inputs, labels: NDArray[np.int64] | None, share: float = 1.0
) -> PoisonedSet:
    """Take a share of the trigger off the poisoned rows.

    Parameters
    ----------
    inputs : array (n, ...)
        The training inputs before the attack.
    labels : array (n,) or None
        Labels before the attack; None leaves them as they are.
    """
    moved = given.inputs + np.float32(share) * (inputs - given.inputs)
    if share == 1:
        moved = inputs
    return given._replace(inputs=moved, labels=given.labels if labels is None else labels)


@contextmanager
def quiet() -> Iterator[None]:
    """Leave the progress of single trials out of the log."""
    level = LOGGER.level
    LOGGER.setLevel(logging.WARNING)
    try:
        yield
    finally:
        LOGGER.setLevel(level)
