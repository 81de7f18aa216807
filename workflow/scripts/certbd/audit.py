"""The audit of a run: its claim, and the worst of its certified sets. ``docs/audit.md``.

Sides: ``claim``, the world without the attack; ``test``, ``train`` and ``both``, searches on the
test input, the training set, or the two; ``order``, an attacked input that comes before its twin.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from certbd import attackers, models, replacements, rng, sigma
from certbd.claim_trials import Parts, claim_trials
from certbd.draws import Bagging, Gaussian
from certbd.io import PoisonedSet
from certbd.networks import Ensemble, logits
from certbd.outcomes import SCALES, TRIALS, changes
from certbd.trials import PILOTS, Case
from certbd.worlds import Inputs, quiet

SURROGATES = 4
"""Pilots of the ridge regression that stands for a network."""


def audit(case: Case) -> pd.DataFrame:
    """Try the certificates of a run; return one row a trial, the columns of `outcomes.TRIALS`."""
    sides: dict[str, Callable[[Case], Parts]] = {
        "discrete": _discrete_sides,
        "bagging": _rows_sides,
        "statistic": _rows_sides,
    }
    parts = [*claim_trials(case), *sides.get(case.defense, _gaussian_sides)(case)]
    if case.defense == "cert_ssb":
        parts += _order_side(case)
    found = [part for part in parts if len(part)]
    if not found:
        return pd.DataFrame(columns=TRIALS.names)
    keys = ["certificate", "side", "scale", "split", "sample"]
    return pd.concat(found, ignore_index=True).sort_values(keys)


def _test_side(
    case: Case, rows: pd.DataFrame, norms: NDArray[np.float64], certificate: str
) -> Parts:
    """Move test inputs by shares of `norms`; training set as given."""
    pilots, draws = case.pilots(case.given), case.pilot_noise()
    fresh = case.procedure.fresh()
    ensemble = case.procedure.train(case.given, fresh)
    for scale in SCALES:
        moved = _stepped(case, pilots, draws, rows, case.inputs(rows), scale * norms)
        votes = case.procedure.count(ensemble, moved, case.test_noise(rows), fresh)
        yield case.outcome(rows, votes, len(fresh), (certificate, "test", scale))


def _stepped(
    case: Case, pilots: Ensemble, draws: Tensor, rows: pd.DataFrame, points: Inputs,
    norms: NDArray[np.float64],
) -> Inputs:  # fmt: skip
    module = models.build(case.procedure.learner, points.shape[1:], case.procedure.n_classes)
    levels, labels = rows["sigma"].to_numpy(), rows["prediction"].to_numpy(np.int64)
    return attackers.step_inputs(module, pilots, points, levels, labels, norms, draws)


def _gaussian_sides(case: Case) -> Parts:
    """Search the ellipsoid of the joint certificate, and triggers of the trigger radius."""
    rows = case.attacked(case.certified())
    if not len(rows):
        return
    yield from _test_side(case, rows, (rows["sigma"] * rows["margin"]).to_numpy(), "joint")
    rows = case.retrained(rows)
    if case.procedure.learner["kind"] == "nearest_class_mean":
        yield from _class_mean_sides(case, rows)
    else:
        yield from _ridge_sides(case, rows)


def _class_mean_sides(case: Case, rows: pd.DataFrame) -> Parts:
    pilots, draws = case.pilots(case.given), case.pilot_noise()
    attacker = attackers.ClassMeans(case.given, case.sigma_train, pilots, draws)
    known = (case.inputs(rows), rows["sigma"].to_numpy(), rows["prediction"].to_numpy(np.int64))
    n_poisoned = len(case.given.indices)
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
    shape = case.given.inputs.reshape(len(case.given.labels), -1).shape
    seed, learner = case.procedure.seed, case.procedure.learner
    generators = rng.generators(seed, rng.Purpose.PILOT_TRAIN_NOISE, range(SURROGATES))
    drawn = np.stack([g.standard_normal(shape, np.float32) for g in generators])
    noise = (torch.from_numpy(drawn), draws[:SURROGATES].flatten(1))
    penalty = learner.get("penalty", attackers.PENALTY)
    points = case.inputs(rows)
    for scale in SCALES:
        for side in ("train", "both"):
            found = [
                attackers.worst_rows(
                    case.given, case.sigma_train, point, row.sigma, row.prediction,
                    scale * row.margin, side == "both", noise, penalty,
                )
                for point, row in zip(points, rows.itertuples(), strict=True)
            ]  # fmt: skip
            moved = points
            if side == "both":
                left = np.array([left for _, left in found]) * rows["sigma"].to_numpy()
                moved = _stepped(case, pilots, draws, rows, points, left)
            yield case.compare_each(
                (world for world, _ in found), rows, moved, ("joint", side, scale)
            )


def _rows_sides(case: Case) -> Parts:
    """Replace rows; move test inputs; and both, by the trigger radius at the attack's rows."""
    rows = case.attacked(case.certified())
    if not len(rows):
        return
    moves = bool((rows["sigma"] > 0).all())
    if moves:
        yield from _test_side(case, rows, (rows["sigma"] * rows["margin"]).to_numpy(), "trigger")
    few = case.retrained(rows)
    others = _runners_up(case, few)
    for scale in SCALES:
        counts = changes(scale, few["radius_rows"].to_numpy()).clip(0, len(case.given.labels))
        tried = counts > 0
        if tried.any():
            worlds = _replaced(case, few[tried], others[tried], counts[tried])
            points = case.inputs(few[tried])
            yield case.compare_each(worlds, few[tried], points, ("rows", "train", scale))
    reached = case.certified("radius_trigger") if moves else few[:0]
    if len(case.given.indices) and len(reached):
        yield from _rows_and_trigger(case, case.retrained(reached))


def _rows_and_trigger(case: Case, rows: pd.DataFrame) -> Parts:
    """Move test inputs against pilots of the given world: rows far away tell no direction."""
    pilots = case.pilots(case.given)
    n_poisoned, draws, fresh = len(case.given.indices), case.pilot_noise(), case.procedure.fresh()
    worlds = _replaced(case, rows, _runners_up(case, rows), np.full(len(rows), n_poisoned))
    for k, world in enumerate(worlds):
        row, ensemble = rows.iloc[k : k + 1], case.procedure.train(world, fresh)
        for scale in SCALES:
            norms = scale * row["radius_trigger"].to_numpy()
            moved = _stepped(case, pilots, draws, row, case.inputs(row), norms)
            votes = case.procedure.count(ensemble, moved, case.test_noise(row), fresh)
            yield case.outcome(row, votes, len(fresh), ("trigger", "both", scale))


def _replaced(
    case: Case, rows: pd.DataFrame, others: NDArray[np.int64], counts: NDArray[np.int64]
) -> Iterator[PoisonedSet]:
    kind, drawn = case.procedure.learner["kind"], isinstance(case.procedure.draw, Bagging)
    by_means = drawn and kind == "nearest_class_mean"
    labels = rows["prediction"]
    for point, label, other, count in zip(case.inputs(rows), labels, others, counts, strict=True):
        yield replacements.replace_rows(case.given, point, label, other, count, by_means)


def _runners_up(case: Case, rows: pd.DataFrame) -> NDArray[np.int64]:
    """Return the label that pilots like best after the certified one."""
    points = torch.from_numpy(case.inputs(rows))
    module = models.build(case.procedure.learner, points.shape[1:], case.procedure.n_classes)
    answers = logits(module, case.pilots(case.given), points.expand(PILOTS, *points.shape)).mean(0)
    own = torch.tensor(rows["prediction"].to_numpy(np.int64))[:, None]
    return answers.scatter(1, own, -torch.inf).argmax(1).numpy()


def _discrete_sides(case: Case) -> Parts:
    """Change features of the test input, labels of the training set, or both by halves."""
    rows = case.attacked(case.certified())
    if not len(rows):
        return
    few = case.retrained(rows)
    pilots, draws, fresh = case.pilots(case.given), case.pilot_noise(), case.procedure.fresh()
    ensemble, others = case.procedure.train(case.given, fresh), _runners_up(case, few)
    for scale in SCALES:
        flips = changes(scale, rows["radius_l0"].to_numpy())
        moved = _flipped(case, pilots, draws, rows, flips)
        tried = flips > 0
        if tried.any():
            votes = case.procedure.count(
                ensemble, moved[tried], case.test_noise(rows[tried]), fresh
            )
            yield case.outcome(rows[tried], votes, len(fresh), ("l0", "test", scale))
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
    module = models.build(case.procedure.learner, points.shape[1:], case.procedure.n_classes)
    size = case.noise.values if case.noise else 2

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


def _order_side(case: Case) -> Parts:
    """Query inputs attacked within the stored ball of their twin, before the twin is stored.

    Their noise is optimised anew, as a defender does who has not seen the twin.
    """
    rows = case.table[case.table["radius_paper"] > 0]
    rows = case.attacked(rows)
    if not len(rows) or case.search is None:
        return
    start, search, procedure = case.search["sigma"], case.search["search"], case.procedure
    every = replace(procedure, draw=Gaussian(start))
    optimisers = every.train(case.given, range(search["pilots"]), rng.PILOTS)
    pilots, draws, fresh = case.pilots(case.given), case.pilot_noise(), procedure.fresh()
    ensemble = procedure.train(case.given, fresh)
    labelled = rows.assign(prediction=rows["prediction_storage"])
    for scale in SCALES:
        norms = scale * rows["radius_paper"].to_numpy()
        moved = _stepped(case, pilots, draws, labelled, case.inputs(rows), norms)
        module = models.build(procedure.learner, moved.shape[1:], procedure.n_classes)
        with quiet():
            found = sigma.optimise_sigma(module, optimisers, moved, start, search, procedure.seed)
        votes = procedure.count(ensemble, moved, found.sigma, fresh)
        yield case.outcome(labelled, votes, len(fresh), ("paper", "order", scale))
