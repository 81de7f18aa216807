"""How noise on class sums is put to the test: rows replaced, and the streams of its noise."""

import numpy as np

from certbd.audit.claim_trials import claim_trials
from certbd.audit.rows import rows_sides
from certbd.audit.streams import Tables, most_numbers, normal_tables, normals, training_generators
from certbd.audit.worlds import Procedure

SIDES = (claim_trials, rows_sides)


def streams(procedure: Procedure, shape: tuple[int, ...], noisy: bool) -> Tables:
    """Check the noise on class sums, and on test inputs."""
    size = procedure.n_classes * (int(np.prod(shape[1:])) + 1)
    count = min(size, most_numbers(procedure))
    training = normals(training_generators(procedure), count, np.float64)
    yield from normal_tables(procedure, shape, noisy, training)
