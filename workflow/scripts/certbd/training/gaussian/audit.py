"""How Gaussian noise on training inputs is put to the test: its ellipsoid, its streams."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from certbd.artifacts.io import PoisonedSet
from certbd.audit import attackers
from certbd.audit.claim_trials import Parts, claim_trials
from certbd.audit.moves import stepped, test_side
from certbd.audit.outcomes import SCALES
from certbd.audit.randomness import Array
from certbd.audit.streams import Tables, most_numbers, normal_tables, normals, training_generators
from certbd.audit.trials import Case
from certbd.audit.worlds import Procedure
from certbd.training.gaussian.draw import Gaussian

SURROGATES = 4
"""Pilots of the ridge regression that stands for a network."""


def gaussian_sides(case: Case) -> Parts:
    """Search the ellipsoid of the joint certificate, and triggers of the trigger radius."""
    rows = case.attacked(case.certified())
    if not len(rows):
        return
    yield from test_side(case, rows, (rows["sigma"] * rows["margin"]).to_numpy(), "joint")
    yield from _by_learner(case, case.retrained(rows))


def _by_learner(case: Case, rows: pd.DataFrame) -> Parts:
    """Search training sets as the learner says; where it says nothing, none is tried."""
    learner = case.procedure.learner
    if learner.searched_by is None:
        return iter(())
    if learner.searched_by not in SEARCHES:
        raise ValueError(
            f"audit: learner {learner.kind} is searched by {learner.searched_by!r}; known: "
            f"{', '.join(SEARCHES)}"
        )
    return SEARCHES[learner.searched_by](case, rows)


def _class_mean_sides(case: Case, rows: pd.DataFrame) -> Parts:
    pilots, draws = case.pilots(case.given), case.pilot_noise()
    attacker = attackers.ClassMeans(case.given, case.training_noise(), pilots, draws)
    known = (case.inputs(rows), rows["sigma"].to_numpy(), rows["prediction"].to_numpy(np.int64))
    n_poisoned = case.threat_rows
    for scale in SCALES:
        norms = scale * rows["margin"].to_numpy()
        for side in ("train", "both"):
            worlds, moved = attacker.worst(*known, norms, both=side == "both")
            yield case.compare_each(worlds, rows, moved, ("joint", side, scale))
        if n_poisoned:
            norms = scale * rows["radius_trigger"].to_numpy()
            worlds, moved = attacker.worst_trigger(*known, norms, n_poisoned)
            yield case.compare_each(worlds, rows, moved, ("trigger", "both", scale))


def _ridge_sides(case: Case, rows: pd.DataFrame) -> Parts:
    """Search training sets through ridge regression; test inputs through the run's own pilots."""
    pilots, draws = case.pilots(case.given), case.pilot_noise()
    seed, learner = case.procedure.seed, case.procedure.learner
    noise = (attackers.training_draws(case.given, seed, SURROGATES), draws[:SURROGATES].flatten(1))
    penalty = learner.ridge_penalty() or attackers.PENALTY
    for scale in SCALES:
        for side in ("train", "both"):
            for k in range(len(rows)):
                row = rows.iloc[k : k + 1]
                (point,), (margin,) = case.inputs(row), row["margin"]
                world, left = attackers.worst_rows(
                    case.given, case.training_noise(), point, row["sigma"].item(),
                    row["prediction"].item(), scale * margin, side == "both", noise, penalty,
                )  # fmt: skip
                moved = case.inputs(row)
                if side == "both":
                    norms = left * row["sigma"].to_numpy()
                    moved = stepped(case, pilots, draws, row, moved, norms)
                yield case.compare_each([world], row, moved, ("joint", side, scale))


SEARCHES: Mapping[str, Callable[[Case, pd.DataFrame], Parts]] = {
    "class_means": _class_mean_sides,
    "ridge": _ridge_sides,
}
"""How training sets are searched, by what a learner says (`Learner.searched_by`)."""
SIDES = (claim_trials, gaussian_sides)


def streams(procedure: Procedure, shape: tuple[int, ...], noisy: bool) -> Tables:
    """Check the noise on training inputs, or on class means, and on test inputs."""
    generators, features = training_generators(procedure), int(np.prod(shape[1:]))
    if procedure.learner.by_class_means:
        count = min(procedure.n_classes * features, most_numbers(procedure))
        training = normals(generators, count, np.float64)
    elif procedure.device.type == "cpu":
        training = normals(
            generators, min(int(np.prod(shape)), most_numbers(procedure)), np.float32
        )
    else:
        training = _device_normals(procedure, shape)
    yield from normal_tables(procedure, shape, noisy, training)


def _device_normals(procedure: Procedure, shape: tuple[int, ...]) -> Array:
    """Draw each model's noise on its device, whole: its first numbers depend on how many follow."""
    nothing = PoisonedSet(np.zeros(shape, np.float32), *np.zeros((2, shape[0]), np.int64))
    drawn = [
        Gaussian(1.0)(nothing, [generator], procedure.device)[0].flatten()[
            : most_numbers(procedure)
        ]
        for generator in training_generators(procedure)
    ]
    return np.stack([numbers.cpu().numpy() for numbers in drawn]).astype(np.float64)
