"""How flips are put to the test: the claim, features and labels changed, the streams of shifts."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from certbd import rng
from certbd.artifacts.io import PoisonedSet
from certbd.artifacts.logs import LOGGER
from certbd.audit import replacements
from certbd.audit.claim_trials import Parts
from certbd.audit.moves import runners_up
from certbd.audit.outcomes import SCALES, changes
from certbd.audit.randomness import check_shifts, table
from certbd.audit.streams import Tables, most_numbers, training_generators
from certbd.audit.trials import Case
from certbd.audit.worlds import Inputs, Procedure
from certbd.data.domains import shifts
from certbd.learners.networks import Ensemble
from certbd.training.flips.draw import Replaced


def discrete_claims(case: Case) -> Parts:
    """Restore training set and test input, or that one of them which certificates cover."""
    if not len(case.given.indices):
        return
    rows = case.certified()
    points, twins = case.inputs(rows), case.inputs(rows, twins=True)
    own = (points != twins).reshape(len(rows), -1).sum(1)
    training = sum(int(np.sum(a != b)) for a, b in zip(case.given[:2], case.clean[:2], strict=True))
    for train, test in ((True, True), (True, False), (False, True)):
        cost = training * train + own * test
        covered = (rows["radius_l0"].to_numpy() >= cost) & (cost > 0)
        if covered.any():
            LOGGER.info("claim: training set restored: %s, test input restored: %s", train, test)
            world = case.clean if train else case.given
            moved = (twins if test else points)[covered]
            yield case.compare(world, rows[covered], moved, ("l0", "claim", 1.0))
            return


def discrete_sides(case: Case) -> Parts:
    """Change features of the test input, labels of the training set, or both by halves."""
    rows = case.attacked(case.certified())
    if not len(rows):
        return
    few = case.retrained(rows)
    pilots, draws, others = case.pilots(case.given), case.pilot_noise(), runners_up(case, few)
    polls = []
    for scale in SCALES:
        flips = changes(scale, rows["radius_l0"].to_numpy())
        if (tried := flips > 0).any():
            moved = _flipped(case, pilots, draws, rows[tried], flips[tried])
            polls.append((rows[tried], moved, ("l0", "test", scale)))
    yield from case.compare_all(case.given, polls)
    for scale in SCALES:
        flips = changes(scale, few["radius_l0"].to_numpy())
        for side in ("train", "both"):
            on_test = flips // 2 if side == "both" else np.zeros_like(flips)
            tried = (flips > 0) if side == "train" else (on_test > 0)
            if tried.any():
                moved = _flipped(case, pilots, draws, few, on_test)
                worlds = _relabelled(case, few, others, flips - on_test, tried)
                kind = ("l0", side, scale)
                yield case.compare_each(worlds, few[tried], moved[tried], kind)


def _flipped(
    case: Case, pilots: Ensemble, draws: Tensor, rows: pd.DataFrame, flips: NDArray[np.int64]
) -> Inputs:
    points = case.inputs(rows)
    module = case.procedure.module(points.shape[1:])
    if case.noise is None:
        raise ValueError("the audit of changed features needs discrete noise")
    size = case.noise.values

    def noisy(inputs: Tensor) -> Tensor:
        return ((inputs * (size - 1)).round() + draws[:, None]).remainder(size) / (size - 1)

    moved = [
        replacements.flip_features(module, pilots, point, label, count, noisy)
        for point, label, count in zip(points, rows["prediction"], flips, strict=True)
    ]
    return np.stack(moved)


def _relabelled(
    case: Case, rows: pd.DataFrame, others: NDArray[np.int64], flips: NDArray[np.int64],
    tried: NDArray[np.bool_],
) -> Iterator[PoisonedSet]:  # fmt: skip
    labels = rows["prediction"].to_numpy()
    for k, point in enumerate(case.inputs(rows)):
        if tried[k]:
            yield replacements.flip_labels(case.given, point, labels[k], others[k], flips[k])


SIDES = (discrete_claims, discrete_sides)


def streams(procedure: Procedure, shape: tuple[int, ...], noisy: bool) -> Tables:
    """Check the shifts of training features, and of test inputs."""
    draw = procedure.draw
    if not isinstance(draw, Replaced):
        raise ValueError(f"the draw {type(draw).__name__} replaces no values")
    test = rng.generators(procedure.seed, rng.Purpose.TEST_NOISE, range(procedure.n_models))
    streams = [("train", training_generators(procedure), int(np.prod(shape)))]
    streams += [("test", test, int(np.prod(shape[1:])))] if noisy else []
    for name, generators, total in streams:
        count = min(total, most_numbers(procedure))
        # of more than two values, those that replace are drawn after all that are kept
        each = count if draw.features.values == 2 else total
        drawn = np.stack([shifts(g, (each,), *draw.features)[:count] for g in generators])
        yield table(name, drawn, check_shifts(drawn, *draw.features))
