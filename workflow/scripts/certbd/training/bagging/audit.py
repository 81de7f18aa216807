"""How bagging is put to the test: rows replaced, and the rows that its models drew."""

import numpy as np
from numpy.typing import NDArray

from certbd.artifacts.io import PoisonedSet
from certbd.audit.claim_trials import claim_trials
from certbd.audit.randomness import check_normal, check_rows, table
from certbd.audit.rows import rows_sides
from certbd.audit.streams import MOST_NUMBERS, Tables, test_normals, training_generators
from certbd.audit.worlds import Procedure

SIDES = (claim_trials, rows_sides)


def streams(procedure: Procedure, shape: tuple[int, ...], noisy: bool) -> Tables:
    """Check the rows drawn, and the noise on test inputs."""
    rows = rows_drawn(procedure, shape[0])
    yield table("train", rows, check_rows(rows, shape[0]))
    if noisy:
        own = test_normals(procedure, shape)
        yield table("test", own, check_normal(own))


def rows_drawn(procedure: Procedure, n_rows: int) -> NDArray[np.int64]:
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
    return procedure.draw(training, generators, procedure.device)[1].cpu().numpy()
