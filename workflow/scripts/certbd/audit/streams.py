"""The random numbers of a run, drawn again from its streams as its own code draws them.

A stream's first numbers stand for it where it is long. What a training side takes from its streams
is in its ``audit.py``, so that no numbers are checked that nobody drew.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from certbd import rng
from certbd.audit.randomness import Array, check_normal, check_pairs, table
from certbd.audit.worlds import Procedure
from certbd.config import entries
from certbd.training import side as sides

MOST_NUMBERS = 4_000_000
"""Of a stream that are looked at, over all models."""
Tables = Iterator[pd.DataFrame]


def check_run(procedure: Procedure, shape: tuple[int, ...], noisy: bool) -> pd.DataFrame:
    """Check training noise, test noise, and the one against the other.

    Parameters
    ----------
    procedure : Procedure
        Of the run: the ``audit.py`` of its training side says which streams there are.
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
        If the draw is not that of the training side.
    """
    side = procedure.side
    own = sides.draw_of(side, procedure.n_classes, 1.0)
    if type(procedure.draw) is not type(own):
        raise ValueError(
            f"noise audit: the draw {type(procedure.draw).__name__} is not that of training side "
            f"{side.kind}, so nobody has said which random numbers it takes"
        )
    part = entries.module(entries.TRAINING, side.kind, "audit")
    return pd.concat(part.streams(procedure, shape, noisy))


def training_generators(procedure: Procedure) -> list[np.random.Generator]:
    """Return the generators that a run's training noise came from."""
    return rng.generators(procedure.seed, rng.Purpose.TRAIN_NOISE, range(procedure.n_models))


def test_normals(procedure: Procedure, shape: tuple[int, ...]) -> Array:
    """Draw the standard normal noise of test inputs, (models, numbers)."""
    test = rng.generators(procedure.seed, rng.Purpose.TEST_NOISE, range(procedure.n_models))
    return normals(test, min(int(np.prod(shape[1:])), most_numbers(procedure)), np.float32)


def most_numbers(procedure: Procedure) -> int:
    """Return how many numbers of each model are looked at."""
    return max(64, MOST_NUMBERS // procedure.n_models)


def normals(generators: list[np.random.Generator], count: int, precision: type) -> Array:
    """Draw the first standard normal numbers of each stream, (models, count)."""
    drawn = np.stack([g.standard_normal(count, precision) for g in generators])
    return drawn.astype(np.float64)


def normal_tables(
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
