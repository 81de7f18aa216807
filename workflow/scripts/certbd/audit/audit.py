"""The audit of a run: its claim, and the worst of its certified sets. ``docs/audit.md``.

Sides: ``claim``, the world without the attack; ``test``, ``train`` and ``both``, searches on the
test input, the training set, or the two; ``order``, an attacked input that comes before its twin.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from certbd import rng
from certbd.artifacts.io import PoisonedSet
from certbd.audit import attackers, replacements
from certbd.audit.claim_trials import Parts, claim_trials, discrete_claims
from certbd.audit.descent import EVALUATION_BYTES
from certbd.audit.outcomes import SCALES, TRIALS, changes
from certbd.audit.trials import PILOTS, Case
from certbd.audit.worlds import Inputs, quiet
from certbd.learners.networks import Ensemble, logits, saved_bytes
from certbd.training import sigma
from certbd.training.draws import Bagging, Gaussian

T = TypeVar("T")
SURROGATES = 4
"""Pilots of the ridge regression that stands for a network."""


def audit(case: Case) -> pd.DataFrame:
    """Try the certificates of a run; return one row a trial, the columns of `outcomes.TRIALS`.

    Raises
    ------
    ValueError
        If nobody has said how the run's defence or learner is tried.
    """
    sides = _known(SIDES, case.defense, "defence", "SIDES")
    found = [part for side in sides for part in side(case) if len(part)]
    if not found:
        return pd.DataFrame(columns=TRIALS.names)
    keys = ["certificate", "side", "scale", "split", "sample"]
    return pd.concat(found, ignore_index=True).sort_values(keys)


def _test_side(
    case: Case, rows: pd.DataFrame, norms: NDArray[np.float64], certificate: str
) -> Parts:
    """Move test inputs by shares of `norms`; training set as given."""
    pilots, draws, points = case.pilots(case.given), case.pilot_noise(), case.inputs(rows)
    polls = [
        (
            rows,
            _stepped(case, pilots, draws, rows, points, scale * norms),
            (certificate, "test", scale),
        )
        for scale in SCALES
    ]
    yield from case.compare_all(case.given, polls)


def _stepped(
    case: Case, pilots: Ensemble, draws: Tensor, rows: pd.DataFrame, points: Inputs,
    norms: NDArray[np.float64],
) -> Inputs:  # fmt: skip
    module = case.procedure.module(points.shape[1:])
    levels, labels = rows["sigma"].to_numpy(), rows["prediction"].to_numpy(np.int64)
    return attackers.step_inputs(module, pilots, points, levels, labels, norms, draws)


def _gaussian_sides(case: Case) -> Parts:
    """Search the ellipsoid of the joint certificate, and triggers of the trigger radius."""
    rows = case.attacked(case.certified())
    if not len(rows):
        return
    yield from _test_side(case, rows, (rows["sigma"] * rows["margin"]).to_numpy(), "joint")
    yield from _by_learner(case, case.retrained(rows))


def _by_learner(case: Case, rows: pd.DataFrame) -> Parts:
    learner = case.procedure.learner
    search = SEARCHES.get(str(learner.searched_by))
    if search is None:
        raise ValueError(
            f"audit: nobody has said how learner {learner.kind} is tried, only searches by "
            f"{', '.join(SEARCHES)}; set its searched_by, or add to audit.SEARCHES "
            "(docs/extending.md)"
        )
    return search(case, rows)


def _class_mean_sides(case: Case, rows: pd.DataFrame) -> Parts:
    pilots, draws = case.pilots(case.given), case.pilot_noise()
    attacker = attackers.ClassMeans(case.given, case.training_noise(), pilots, draws)
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
    seed, own = case.procedure.seed, case.procedure.learner.ridge_penalty()
    noise = (attackers.training_draws(case.given, seed, SURROGATES), draws[:SURROGATES].flatten(1))
    penalty = attackers.PENALTY if own is None else own
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
                    moved = _stepped(case, pilots, draws, row, moved, norms)
                yield case.compare_each([world], row, moved, ("joint", side, scale))


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
    n_poisoned, draws = len(case.given.indices), case.pilot_noise()
    worlds = _replaced(case, rows, _runners_up(case, rows), np.full(len(rows), n_poisoned))
    for k, world in enumerate(worlds):
        row = rows.iloc[k : k + 1]
        points, norms = case.inputs(row), row["radius_trigger"].to_numpy()
        polls = [
            (
                row,
                _stepped(case, pilots, draws, row, points, scale * norms),
                ("trigger", "both", scale),
            )
            for scale in SCALES
        ]
        yield from case.compare_all(world, polls)


def _replaced(
    case: Case, rows: pd.DataFrame, others: NDArray[np.int64], counts: NDArray[np.int64]
) -> Iterator[PoisonedSet]:
    drawn = isinstance(case.procedure.draw, Bagging)
    by_means = drawn and case.procedure.learner.by_class_means
    labels = rows["prediction"]
    for point, label, other, count in zip(case.inputs(rows), labels, others, counts, strict=True):
        yield replacements.replace_rows(case.given, point, label, other, count, by_means)


def _runners_up(case: Case, rows: pd.DataFrame) -> NDArray[np.int64]:
    """Return the label that pilots like best after the certified one."""
    points = torch.from_numpy(case.inputs(rows))
    module = case.procedure.module(points.shape[1:])
    pilots, each = case.pilots(case.given), saved_bytes(module, (1, *points.shape[1:]))
    few = points.split(max(1, EVALUATION_BYTES // each))
    answers = torch.cat(
        [logits(module, pilots, some.expand(PILOTS, *some.shape)).mean(0) for some in few]
    )
    own = torch.tensor(rows["prediction"].to_numpy(np.int64))[:, None]
    return answers.scatter(1, own, -torch.inf).argmax(1).numpy()


def _discrete_sides(case: Case) -> Parts:
    """Change features of the test input, labels of the training set, or both by halves."""
    rows = case.attacked(case.certified())
    if not len(rows):
        return
    few = case.retrained(rows)
    pilots, draws, others = case.pilots(case.given), case.pilot_noise(), _runners_up(case, few)
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
    labelled = rows.assign(prediction=rows["prediction_storage"])
    polls = []
    for scale in SCALES:
        norms = scale * rows["radius_paper"].to_numpy()
        moved = _stepped(case, pilots, draws, labelled, case.inputs(rows), norms)
        module = procedure.module(moved.shape[1:])
        with quiet():
            found = sigma.optimise_sigma(module, optimisers, moved, start, search, procedure.seed)
        polls.append((moved, found.sigma))
    every_vote = procedure.votes(case.given, fresh, polls)
    for scale, votes in zip(SCALES, every_vote, strict=True):
        yield case.outcome(labelled, votes, len(fresh), ("paper", "order", scale))


Side = Callable[[Case], Parts]
SIDES: Mapping[str, tuple[Side, ...]] = {
    "rab": (claim_trials, _gaussian_sides),
    "cert_ssb": (claim_trials, _gaussian_sides, _order_side),
    "decoupled": (claim_trials, _gaussian_sides),
    "discrete": (discrete_claims, _discrete_sides),
    "bagging": (claim_trials, _rows_sides),
    "statistic": (claim_trials, _rows_sides),
}
"""How the certificates of each defence are tried."""
SEARCHES: Mapping[str, Callable[[Case, pd.DataFrame], Parts]] = {
    "class_means": _class_mean_sides,
    "ridge": _ridge_sides,
}
"""How training sets with Gaussian noise are searched, by a learner's `searched_by`."""


def _known(table: Mapping[str, T], kind: str, what: str, name: str) -> T:
    if kind not in table:
        raise ValueError(
            f"audit: nobody has said how {what} {kind} is tried, only {', '.join(table)}; add it "
            f"to audit.{name} (docs/extending.md)"
        )
    return table[kind]
