"""The random numbers of a run, drawn again from its streams as its own code draws them.

A stream's first numbers stand for it where it is long. What a draw takes from its stream is known
for the kinds in `KINDS` alone; another kind of draw raises, rather than have numbers checked that
nobody drew.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from certbd import rng
from certbd.artifacts.io import PoisonedSet
from certbd.audit.randomness import (
    Array,
    check_normal,
    check_pairs,
    check_rows,
    check_shifts,
    table,
)
from certbd.audit.worlds import Procedure
from certbd.data.domains import shifts
from certbd.training.draws import Bagging, Gaussian, NoisyStatistic, Replaced
from certbd.training.ensembles import draws_means

MOST_NUMBERS = 4_000_000
"""Of a stream that are looked at, over all models."""
Tables = Iterator[pd.DataFrame]


def check_run(procedure: Procedure, shape: tuple[int, ...], noisy: bool) -> pd.DataFrame:
    """Check training noise, test noise, and the one against the other.

    Parameters
    ----------
    procedure : Procedure
        Of the run: its draw says which streams there are.
    shape : tuple of int
        Of the training inputs as models see them, (n, ...).
    noisy : bool
        Whether there is noise on test inputs.

    Returns
    -------
    DataFrame
        The columns of `randomness.NOISE_AUDIT` from stream to p_value.

    Raises
    ------
    ValueError
        If nobody has said what the run's draw takes from its streams.
    """
    kind = type(procedure.draw)
    if kind not in KINDS:
        known = ", ".join(each.__name__ for each in KINDS)
        raise ValueError(
            f"noise audit: nobody has said which random numbers the draw {kind.__name__} takes, "
            f"only {known}; add it to streams.KINDS (docs/extending.md)"
        )
    return pd.concat(KINDS[kind](procedure, shape, noisy))


def training_generators(procedure: Procedure) -> list[np.random.Generator]:
    """Return the generators that a run's training noise came from."""
    return rng.generators(procedure.seed, rng.Purpose.TRAIN_NOISE, range(procedure.n_models))


def test_normals(procedure: Procedure, shape: tuple[int, ...]) -> Array:
    """Draw the standard normal noise of test inputs, (models, numbers)."""
    test = rng.generators(procedure.seed, rng.Purpose.TEST_NOISE, range(procedure.n_models))
    return _normals(test, min(int(np.prod(shape[1:])), _most(procedure)), np.float32)


def _most(procedure: Procedure) -> int:
    """Return how many numbers of each model are looked at."""
    return max(64, MOST_NUMBERS // procedure.n_models)


def _normals(generators: list[np.random.Generator], count: int, precision: type) -> Array:
    drawn = np.stack([g.standard_normal(count, precision) for g in generators])
    return drawn.astype(np.float64)


def _normal_tables(
    procedure: Procedure, shape: tuple[int, ...], noisy: bool, training: Array
) -> Tables:
    """Check training noise and test noise, and the one against the other."""
    yield table("train", training, check_normal(training))
    if noisy:
        own = test_normals(procedure, shape)
        yield table("test", own, check_normal(own))
        width = min(training.shape[1], own.shape[1])
        paired = training[:, :width]
        yield table("train and test", paired, check_pairs(paired, own[:, :width]))


def _gaussian(procedure: Procedure, shape: tuple[int, ...], noisy: bool) -> Tables:
    generators, features = training_generators(procedure), int(np.prod(shape[1:]))
    if draws_means(procedure.draw, procedure.learner):
        count = min(procedure.n_classes * features, _most(procedure))
        training = _normals(generators, count, np.float64)
    elif procedure.device.type == "cpu":
        training = _normals(generators, min(int(np.prod(shape)), _most(procedure)), np.float32)
    else:
        training = _device_normals(procedure, shape)
    yield from _normal_tables(procedure, shape, noisy, training)


def _device_normals(procedure: Procedure, shape: tuple[int, ...]) -> Array:
    """Draw each model's noise on its device, whole: its first numbers depend on how many follow."""
    nothing = PoisonedSet(np.zeros(shape, np.float32), *np.zeros((2, shape[0]), np.int64))
    drawn = [
        Gaussian(1.0)(nothing, [generator], procedure.device)[0].flatten()[: _most(procedure)]
        for generator in training_generators(procedure)
    ]
    return np.stack([numbers.cpu().numpy() for numbers in drawn]).astype(np.float64)


def _statistic(procedure: Procedure, shape: tuple[int, ...], noisy: bool) -> Tables:
    size = procedure.n_classes * (int(np.prod(shape[1:])) + 1)
    count = min(size, _most(procedure))
    training = _normals(training_generators(procedure), count, np.float64)
    yield from _normal_tables(procedure, shape, noisy, training)


def _bagging(procedure: Procedure, shape: tuple[int, ...], noisy: bool) -> Tables:
    rows = _rows_drawn(procedure, shape[0])
    yield table("train", rows, check_rows(rows, shape[0]))
    if noisy:
        own = test_normals(procedure, shape)
        yield table("test", own, check_normal(own))


def _rows_drawn(procedure: Procedure, n_rows: int) -> NDArray[np.int64]:
    """Let the run's draw choose among rows whose labels are their numbers: (models, rows drawn)."""
    numbered = PoisonedSet(np.zeros((n_rows, 1), np.float32), *np.tile(np.arange(n_rows), (2, 1)))
    generators = training_generators(procedure)
    (first,) = _labels_drawn(procedure, numbered, generators[:1])
    width = max(2, MOST_NUMBERS // max(1, len(first)))
    generators = training_generators(procedure)[:width]
    return _labels_drawn(procedure, numbered, generators)


def _labels_drawn(
    procedure: Procedure, training: PoisonedSet, generators: list[np.random.Generator]
) -> NDArray[np.int64]:
    if isinstance(procedure.draw, NoisyStatistic):
        raise ValueError("a statistic draws no rows")
    return procedure.draw(training, generators, procedure.device)[1].cpu().numpy()


def _replaced(procedure: Procedure, shape: tuple[int, ...], noisy: bool) -> Tables:
    draw = procedure.draw
    if not isinstance(draw, Replaced):
        raise ValueError(f"the draw {type(draw).__name__} replaces no values")
    test = rng.generators(procedure.seed, rng.Purpose.TEST_NOISE, range(procedure.n_models))
    streams = [("train", training_generators(procedure), int(np.prod(shape)))]
    streams += [("test", test, int(np.prod(shape[1:])))] if noisy else []
    for name, generators, total in streams:
        count = min(total, _most(procedure))
        # of more than two values, those that replace are drawn after all that are kept
        each = count if draw.features.values == 2 else total
        drawn = np.stack([shifts(g, (each,), *draw.features)[:count] for g in generators])
        yield table(name, drawn, check_shifts(drawn, *draw.features))


KINDS: Mapping[type, Callable[[Procedure, tuple[int, ...], bool], Tables]] = {
    Gaussian: _gaussian,
    NoisyStatistic: _statistic,
    Bagging: _bagging,
    Replaced: _replaced,
}
"""The streams of each kind of draw; a kind derived from another one has its own entry."""
