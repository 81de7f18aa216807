"""Every random number of the project: one generator for each (seed, purpose, index).

The certificates need training noise, initial weights, batch order and test noise to be
independent (``docs/theory.md``, section 2), and a model to be the same in whichever chunk it
is trained. Both follow from giving each its own child of one seed sequence.
"""

import hashlib
from enum import IntEnum, unique
from typing import NamedTuple

import numpy as np


@unique
class Purpose(IntEnum):
    """What a stream is for. The numbers are part of every result: append, never renumber or reuse.

    0 and 15 drew splits and subsets, which `selection` hashes now.
    """

    POISON = 1
    PATTERN = 2
    TRAIN_NOISE = 3
    WEIGHTS = 4
    BATCHES = 5
    TEST_NOISE = 6
    PILOT_TRAIN_NOISE = 7
    PILOT_WEIGHTS = 8
    PILOT_BATCHES = 9
    SIGMA_DRAWS = 10
    UNDEFENDED_NOISE = 11
    UNDEFENDED_WEIGHTS = 12
    UNDEFENDED_BATCHES = 13
    QUERY_ORDERS = 14
    HOLD_OUT = 16
    PILOT_TEST_NOISE = 17
    FEATURES = 20
    NEW_TEST_NOISE = 21


class TrainingStreams(NamedTuple):
    """The three independent streams that a model is trained from."""

    noise: Purpose
    weights: Purpose
    batches: Purpose


VOTERS = TrainingStreams(Purpose.TRAIN_NOISE, Purpose.WEIGHTS, Purpose.BATCHES)
PILOTS = TrainingStreams(Purpose.PILOT_TRAIN_NOISE, Purpose.PILOT_WEIGHTS, Purpose.PILOT_BATCHES)
UNDEFENDED = TrainingStreams(
    Purpose.UNDEFENDED_NOISE, Purpose.UNDEFENDED_WEIGHTS, Purpose.UNDEFENDED_BATCHES
)


def generator(seed: int, purpose: Purpose, index: int = 0) -> np.random.Generator:
    """Return the generator of one purpose and index (a model, a class, a step) under a root seed.

    Generators of different (purpose, index) are independent children of the root seed:
    ``SeedSequence(seed, spawn_key=(purpose, index))`` is what ``SeedSequence.spawn`` makes.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(int(purpose), index))
    return np.random.Generator(np.random.PCG64DXSM(sequence))


def input_generator(seed: int, index: int, content: bytes) -> np.random.Generator:
    """Return the generator of a model's noise on a new input: one that the input's bytes name.

    So the votes on an input do not depend on which others come with it.
    """
    words = np.frombuffer(hashlib.blake2b(content, digest_size=16).digest(), "<u4")
    key = (int(Purpose.NEW_TEST_NOISE), index, *words.tolist())
    return np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence(seed, spawn_key=key)))


def generators(seed: int, purpose: Purpose, indices: range) -> list[np.random.Generator]:
    """Return one generator for each index."""
    return [generator(seed, purpose, index) for index in indices]
