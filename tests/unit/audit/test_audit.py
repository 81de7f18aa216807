"""The audit: searches reach what they may, sound certificates pass, unsound ones are caught."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from certbd import rng
from certbd.artifacts import io, schemas
from certbd.audit import (
    attackers,
    audit,
    claim_trials,
    descent,
    moves,
    outcomes,
    replacements,
    rows,
    trials,
    worlds,
)
from certbd.config import entries
from certbd.config.threats import Threat
from certbd.data.domains import Replacement
from certbd.learners.kinds import KINDS
from certbd.learners.layers import LinearClassifier
from certbd.theory import bounds, certificates, discrete
from certbd.theory.claims import Claims
from certbd.training import ensembles
from certbd.training import side as sides
from certbd.training.bagging.guarantee import BaggedRows
from certbd.training.flips import audit as flips_audit
from certbd.training.gaussian import audit as gaussian_audit
from certbd.training.gaussian.draw import Gaussian
from certbd.training.statistic.guarantee import StatisticRows
from conftest import backdoor, learner_of, side_of

GENERATOR = np.random.default_rng(0)
N, ALPHA = 200, 0.001
ASKED = Threat(13, "replaced", "l2", 0.5)
MEANS = learner_of({"kind": "nearest_class_mean"})
MLP = {
    "kind": "mlp", "hidden": 8, "epochs": 4, "batch_size": 64, "learning_rate": 0.01,
}  # fmt: skip
SUMS = learner_of({"kind": "class_sums", "constant": 1.0})
RUNS = {  # training side, test noise, learner
    "decoupled": (side_of(kind="gaussian", sigma=1.0), 0.4, MEANS),
    "bagging": (side_of(kind="bagging", n_drawn=9), 0.3, MEANS),
    "statistic": (side_of(kind="statistic", sigma_statistic=0.05), 0.4, SUMS),
    "rab": (side_of(kind="gaussian", sigma=0.4), 0.4, learner_of(MLP)),
    "discrete": (side_of(kind="flips", beta=0.85), np.nan, learner_of(MLP, hidden=16)),
}
SEARCHING = (moves, rows, gaussian_audit, flips_audit)
"""Modules that search over scales."""


def scales(monkeypatch, *shares):
    for module in SEARCHING:
        monkeypatch.setattr(module, "SCALES", shares)


def case_of(defense, digits, poisoned, inflated=1.0, attacked=6):
    """Certify some test inputs, with margins times `inflated`, and put them on trial."""
    side, level, learner = RUNS[defense]
    noise = Replacement(0.85, 2) if defense == "discrete" else None
    if noise:
        digits = digits._replace(**{
            name: (getattr(digits, name) >= 0.5).astype(np.float32)
            for name in ("train_inputs", "test_inputs")
        })  # fmt: skip
        labels, indices = digits.train_labels.copy(), poisoned.indices[:1]
        labels[indices] = 1 - labels[indices]  # the least attack; certificates cover it
        poisoned = io.PoisonedSet(digits.train_inputs, labels, indices)
    n = len(poisoned.labels)
    sigma_train = np.full(n, side.sigma if side.has_sigma else 0.0)
    draw = sides.draw_of(side, 2, sigma_train)
    procedure = worlds.Procedure(learner, side, draw, 2, 5, N, False, torch.device("cpu"))
    inputs = digits.test_inputs[:30]
    trigger = backdoor("one_pixel", 0.5).make_trigger((1, 8, 8), rng.generator(0, 2))
    points = {schemas.BENIGN: inputs, schemas.TRIGGERED: inputs if noise else inputs + trigger}
    tables = []
    ensemble = procedure.train(poisoned, range(N))
    for split, given in points.items():
        sigma = np.full(len(given), level)
        votes = procedure.count(ensemble, given, noise or sigma, range(N))
        p = bounds.majority_lower(votes.max(1), N, ALPHA)
        margin = inflated * certificates.margin(p, 1 - p)
        p = stats.norm.cdf(margin)
        table = {"split": split, "sample": np.arange(len(given)), "sigma": sigma, "margin": margin}
        table["prediction"] = np.where(margin > 0, votes.argmax(1), schemas.ABSTAIN)
        if defense == "bagging":
            table |= BaggedRows(n, 9, ASKED, 0.5).columns(Claims(votes.argmax(1), p, 1 - p), sigma)
        elif defense == "statistic":
            table |= StatisticRows(n, 0.05, np.sqrt(0.5), ASKED, 0.5).columns(
                Claims(votes.argmax(1), p, 1 - p), sigma
            )
        elif defense == "discrete":
            table["radius_l0"] = discrete.certified_flips(p, 0.85, 2)
        else:
            variance = certificates.class_variance(poisoned.labels, sigma_train)
            table["radius_trigger"] = certificates.class_mean_trigger_radius(
                margin, sigma, variance, 13
            )
        tables.append(pd.DataFrame(table))
    clean = io.PoisonedSet(digits.train_inputs, digits.train_labels, poisoned.indices)
    return trials.Case(
        procedure, ALPHA, ASKED, 0.5, poisoned, clean, points,
        dict.fromkeys(points, inputs), pd.concat(tables, ignore_index=True), sigma_train, noise,
        trials.Budget(attacked, 60, 2),
    )  # fmt: skip


@pytest.mark.parametrize("defense", RUNS)
def test_no_sound_certificate_breaks_and_far_outside_predictions_do(
    defense, digits, poisoned, monkeypatch
):
    far = 10.0 if defense == "discrete" else 4.0  # of a radius of one or two changes
    scales(monkeypatch, 0.99, far)
    table = audit.audit(case_of(defense, digits, poisoned))
    inside = table[outcomes.inside(table)]
    assert {"claim", "test", "train"} <= set(inside["side"])
    assert not inside["broken"].any()
    assert table.loc[table["scale"] == far, "broken"].mean() > 0.3


@pytest.mark.parametrize("defense", ["decoupled", "bagging", "statistic"])
def test_an_inflated_certificate_is_caught(defense, digits, poisoned, monkeypatch):
    scales(monkeypatch, 0.99)
    table = audit.audit(case_of(defense, digits, poisoned, inflated=3.0, attacked=20))
    inside = table[outcomes.inside(table) & (table["side"] != "claim")]
    violations = int(inside["broken"].sum())
    assert violations > 5
    assert not outcomes.explained(violations, len(inside), ALPHA)
    assert "MORE THAN" in outcomes.describe((violations, len(inside)), ALPHA)


def test_a_claim_that_is_false_is_caught(digits, poisoned):
    """A trigger as long as the way between the classes, and radii that claim to cover it."""
    case = case_of("decoupled", digits, poisoned)
    means = [digits.train_inputs[digits.train_labels == c].mean(0) for c in (0, 1)]
    trigger = (means[0] - means[1]).astype(np.float32)
    moved = poisoned.inputs.copy()
    moved[poisoned.indices] = digits.train_inputs[poisoned.indices] + trigger
    given = poisoned._replace(inputs=moved)
    triggered = digits.test_inputs[:30] + trigger
    ensemble = case.procedure.train(given, range(N))
    table = case.table[case.table["split"] == schemas.TRIGGERED]
    votes = case.procedure.count(ensemble, triggered, table["sigma"].to_numpy(), range(N))
    table = table.assign(prediction=votes.argmax(1), radius_trigger=1e3, margin=1.0)
    points = case.points | {schemas.TRIGGERED: triggered}
    false = trials.Case(**vars(case) | {"given": given, "points": points, "table": table})
    (found,) = claim_trials.claim_trials(false)
    assert found["broken"].sum() > 5


def test_a_true_certificate_is_broken_with_probability_alpha_at_most():
    for n_models in (20, 100, 1000):
        votes = np.arange(n_models + 1)
        counts = np.stack([votes, n_models - votes], axis=1).astype(float)
        for alpha in (0.05, 0.001):
            found = outcomes.broken(counts, np.zeros(len(votes), int), n_models, alpha)
            probability = stats.binom.pmf(votes, n_models, 0.5)[found].sum()
            assert probability <= alpha
            assert stats.binom.pmf(votes, n_models, 0.5)[: found.sum() + 1].sum() > alpha


def test_one_of_many_labels_is_broken_if_another_is_ahead_beyond_chance():
    shares = np.array([[30.0, 40, 30], [40, 30, 30], [5, 80, 15], [30, 65, 5], [0, 0, 0]])
    found = outcomes.broken(shares, np.zeros(5, int), 100, 0.01)
    assert found.tolist() == [False, False, True, True, False]
    n_models, alpha = 30, 0.05  # the certified label is first, by a hair
    every = [(a, b, n_models - a - b) for a in range(31) for b in range(31 - a)]
    counts = np.array(every, float)
    found = outcomes.broken(counts, np.zeros(len(counts), int), n_models, alpha)
    for p in ([0.5, 0.5, 0.0], [0.4, 0.4, 0.2], [1 / 3, 1 / 3, 1 / 3]):
        probability = stats.multinomial.pmf(every, n_models, p)[found].sum()
        assert 0 < probability <= alpha


def test_scores_are_judged_by_their_bound():
    sums, labels = np.array([[49.0, 51.0], [10.0, 90.0], [40, 60]]), np.zeros(3, int)
    assert outcomes.broken(sums, labels, 100, 0.001, scored=True).tolist() == [False, True, False]


def test_whole_radii_are_not_left_inside_and_are_left_outside():
    radius = np.arange(12)
    for scale in (0.5, 0.9, 0.99, 1.0):
        assert (outcomes.changes(scale, radius) <= radius).all()
    assert (outcomes.changes(0.99, radius) == radius).all()
    for scale in (1.01, 1.5, 4.0):
        assert (outcomes.changes(scale, radius) > radius).all()


def test_rates_have_clopper_pearsons_bound_and_a_fixed_order():
    axes = {"dataset": "d", "attack": "a", "defense": "rab", "noise": "n"}
    part = pd.DataFrame({
        "certificate": "joint", "side": ["train"] * 2 + ["test"] * 8, "scale": 0.5,
        "voted": 20, "broken": [False] * 9 + [True],
    })  # fmt: skip
    table = outcomes.summarise([(axes, part), (axes | {"seed": 1}, part)])
    assert tuple(table.columns) == outcomes.AUDIT
    assert table["side"].tolist() == ["test", "train"]
    assert table["trials"].tolist() == [16, 4]
    assert table["violations"].tolist() == [2, 0]
    exact = [stats.beta.ppf(0.999, 3, 14), 1 - 0.001**0.25]
    np.testing.assert_allclose(table["violation_rate_upper"], exact, rtol=1e-9)
    again = outcomes.summarise([(axes, part.iloc[::-1]), (axes, part)])
    assert table.equals(again)
    assert outcomes.explained(0, 10, 0.001)
    assert outcomes.explained(1, 1000, 0.001)
    assert not outcomes.explained(2, 10, 0.001)


RUN = {"dataset": "d", "attack": "a", "defense": "rab", "noise": "n"}
NOTHING = pd.DataFrame(columns=outcomes.TRIALS.names)


def trials_of(*voted, broken=False, scale=0.5):
    rows = {"certificate": "joint", "side": "train", "scale": scale, "voted": list(voted)}
    return pd.DataFrame(rows | {"broken": broken})


@pytest.mark.parametrize("voted", [(0, 7), (7, 0, 0), (0, 0, 0, 1), (1, 0), (0, 3, 0)])
def test_a_trial_without_votes_is_neither_tried_nor_held_nor_broken(voted):
    trials = trials_of(*voted)
    (row,) = outcomes.summarise([(RUN, trials)]).to_dict("records")
    held = sum(v > 0 for v in voted)
    assert (row["trials"], row["without_votes"]) == (held, len(voted) - held)
    said = outcomes.describe_trials(trials, ALPHA)
    assert f"0 of {held} trials broken, within alpha; {len(voted) - held} without votes" in said


def test_where_nothing_could_be_tried_the_audit_says_so():
    none = trials_of(0, 0)
    assert outcomes.describe_trials(none, ALPHA) == (
        "inside the certificates: not tried; 2 without votes are no trials"
    )
    assert outcomes.describe_trials(NOTHING, ALPHA) == "inside the certificates: not tried"
    assert "not tried" in outcomes.describe_trials(trials_of(9, scale=2.0), ALPHA)
    other = RUN | {"noise": "other"}
    table = outcomes.summarise([(RUN, none), (other, NOTHING), (other, NOTHING)])
    assert table["violation_rate_upper"].isna().all()
    assert table["trials"].tolist() == [0, 0]
    assert table["without_votes"].tolist() == [2, 0]
    assert table["side"].tolist() == ["train", "not tried"]
    assert outcomes.untried(table) == ["d/a/rab/other"]
    assert outcomes.untried(outcomes.summarise([])) == []


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["training set", "test input", "models"])
def test_what_is_not_finite_gets_no_votes(wrong, where, digits, poisoned):
    case = case_of("decoupled", digits, poisoned)
    rows, world = case.certified()[:2], case.given
    points, procedure = case.inputs(rows), case.procedure
    if where == "training set":
        world = world._replace(inputs=world.inputs.copy())
        world.inputs[3, 0, 2, 2] = wrong
    elif where == "test input":
        points[1, 0, 2, 2] = wrong
    else:
        draw = Gaussian(np.full(len(world.labels), abs(wrong)))
        procedure = worlds.Procedure(**vars(procedure) | {"draw": draw})
    case = trials.Case(**vars(case) | {"procedure": procedure})
    for found in (
        case.compare(world, rows, points, ("joint", "both", 0.5)),
        case.compare_each([world] * 2, rows, points, ("joint", "both", 0.5)),
    ):
        assert (found["voted"] == 0).tolist() == [where != "test input", True]
        assert not found["broken"].any()


@pytest.mark.parametrize("name", ["bootstrap", "ridge ", ""])
def test_an_unknown_search_of_a_learner_is_refused(name, digits, poisoned, monkeypatch):
    case = case_of("decoupled", digits, poisoned)
    monkeypatch.setattr(type(MEANS), "searched_by", name)
    told = f"learner nearest_class_mean is searched by '{name}'; known: class_means, ridge"
    with pytest.raises(ValueError, match=told):
        audit.audit(case)


def test_a_learner_without_a_search_has_test_inputs_tried_alone(digits, poisoned, monkeypatch):
    scales(monkeypatch, 0.99)
    monkeypatch.setattr(type(MEANS), "searched_by", None)
    table = audit.audit(case_of("decoupled", digits, poisoned))
    assert set(table["side"]) == {"claim", "test"}
    summary = outcomes.summarise([(RUN | {"untried": ["joint"]}, table)])
    assert outcomes.untried(summary) == ["d/a/rab/n (joint, training)"]
    assert summary.loc[summary["side"] == "not tried", "trials"].tolist() == [0]


def test_every_training_side_and_learner_is_tried():
    for side in entries.names(entries.TRAINING):
        part = entries.module(entries.TRAINING, side, "audit")
        assert part.SIDES
        assert part.streams
    kinds = {name: entries.module(entries.LEARNERS, name).KIND for name in KINDS}
    noisy = {name: kind for name, kind in kinds.items() if "noisy" in kind.learns_from}
    assert {*noisy, "class_sums"} == set(kinds)  # no Gaussian noise with class sums
    assert {kind.searched_by for kind in noisy.values()} == set(gaussian_audit.SEARCHES)


def test_a_search_for_gaussian_noise_refuses_a_training_set_without(digits, poisoned):
    for sigma in (0.0, np.nan, np.inf, -1.0):
        with pytest.raises(ValueError, match="every training input needs Gaussian noise"):
            class_means_attacker(poisoned, np.full(len(poisoned.labels), sigma))
    case = vars(case_of("bagging", digits, poisoned)) | {"sigma_train": None}
    with pytest.raises(ValueError, match="bagging has no Gaussian noise on inputs"):
        trials.Case(**case).training_noise()


@pytest.mark.parametrize("defense", RUNS)
def test_memory_bounds_change_no_trial(defense, digits, poisoned, monkeypatch):
    """Models trained a few at a time; inputs, pilots, candidates and rows in parts."""
    scales(monkeypatch, 0.99, 2.0)
    case = case_of(defense, digits, poisoned, attacked=3)
    before = audit.audit(case)
    monkeypatch.setattr(worlds, "ENSEMBLE_BYTES", 20_000)
    for module in (descent, attackers, replacements, moves):
        monkeypatch.setattr(module, "EVALUATION_BYTES", 30_000)
    monkeypatch.setattr(attackers, "ROWS", 7)
    after = audit.audit(case)
    keys = ["certificate", "side", "scale", "split", "sample", "label", "voted", "broken"]
    assert before[keys].reset_index(drop=True).equals(after[keys].reset_index(drop=True))
    np.testing.assert_allclose(before["share"], after["share"], atol=0.03)


def test_a_linear_classifiers_worst_step_is_found_and_its_score_is_the_quantile():
    weights = torch.tensor(GENERATOR.normal(size=(2, 6)), dtype=torch.float32)
    pilots = {"weight": weights.expand(5000, 2, 6), "bias": torch.zeros(5000, 2)}
    draws = torch.randn((5000, 6), generator=torch.Generator().manual_seed(0))
    inputs, sigma = GENERATOR.normal(size=(4, 6)).astype(np.float32), np.full(4, 0.3)
    labels = (inputs @ weights.numpy().T).argmax(1)
    module = LinearClassifier(6, 2)
    norms = np.array([0.0, 0.1, 0.5, 2.0])
    moved = attackers.step_inputs(module, pilots, inputs, sigma, labels, norms, draws)
    np.testing.assert_allclose(np.linalg.norm(moved - inputs, axis=1), norms, rtol=1e-5)
    across = (weights[1] - weights[0]).numpy()
    across /= np.linalg.norm(across)
    cosine = ((moved - inputs)[1:] @ across) * np.where(labels[1:] == 0, 1, -1) / norms[1:]
    assert (cosine > 0.999).all()
    noisy = torch.from_numpy(inputs) + 0.3 * draws[:, None]
    found = attackers.margin_score(noisy @ weights.T, torch.tensor(labels))
    margin = np.abs(inputs @ (weights[1] - weights[0]).numpy())
    exact = margin / (0.3 * np.linalg.norm((weights[1] - weights[0]).numpy()))
    np.testing.assert_allclose(found, exact, rtol=0.05, atol=0.05)


def class_means_attacker(poisoned, sigma):
    side = side_of(kind="gaussian", sigma=1.0)
    procedure = worlds.Procedure(MEANS, side, Gaussian(sigma), 2, 0, 10, False, torch.device("cpu"))
    pilots = procedure.train(poisoned, range(32), rng.PILOTS)
    draws = torch.randn((32, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    return attackers.ClassMeans(poisoned, sigma, pilots, draws)


@pytest.mark.parametrize("both", [False, True])
def test_steps_stay_in_the_ellipsoid_of_unequal_noise(both, digits, poisoned):
    sigma = GENERATOR.uniform(0.2, 2, len(poisoned.labels))
    attacker, inputs = class_means_attacker(poisoned, sigma), digits.test_inputs[:3]
    test, labels, norms = np.array([0.2, 0.5, 1.0]), np.array([0, 1, 0]), np.array([0.5, 1.0, 2.0])
    sets, moved = attacker.worst(inputs, test, labels, norms, both)
    own = np.sum((moved - inputs).reshape(3, -1) ** 2, axis=1) / test**2
    assert ((own > 0) == both).all()
    for k, world in enumerate(sets):
        steps = (world.inputs - poisoned.inputs).reshape(len(sigma), -1)
        length = np.sum(np.sum(steps**2, axis=1) / sigma**2) + own[k]
        assert np.sqrt(length) == pytest.approx(norms[k], rel=1e-3)
        assert np.array_equal(world.labels, poisoned.labels)
    step, left = attackers.worst_rows(
        poisoned, sigma, inputs[0], 0.5, 0, 2.0, both,
        (torch.randn((2, len(sigma), 64)), torch.randn((2, 64))),
    )  # fmt: skip
    steps = (step.inputs - poisoned.inputs).reshape(len(sigma), -1)
    length = np.sum(np.sum(steps**2, axis=1) / sigma**2) + left**2
    assert np.sqrt(length) == pytest.approx(2.0, rel=1e-3)
    assert (left > 0) == both


def test_triggers_are_on_so_many_rows_of_one_class_and_of_their_norm(digits, poisoned):
    attacker = class_means_attacker(poisoned, np.full(len(poisoned.labels), 1.0))
    inputs, norms = digits.test_inputs[:2], np.array([0.4, 0.8])
    known = (inputs, np.full(2, 0.4), np.array([0, 1]), norms)
    sets, moved = attacker.worst_trigger(*known, 13)
    np.testing.assert_allclose(np.linalg.norm((moved - inputs).reshape(2, -1), axis=1), norms, 1e-4)
    for world, norm in zip(sets, norms, strict=True):
        steps = np.linalg.norm(
            (world.inputs - poisoned.inputs).reshape(len(world.labels), -1), axis=1
        )
        touched = np.flatnonzero(steps > 0)
        assert len(touched) == 13
        assert len(set(poisoned.labels[touched])) == 1
        np.testing.assert_allclose(steps[touched], norm, rtol=1e-4)


def test_replacements_change_as_much_as_they_may(digits, poisoned):
    point = digits.test_inputs[0]
    for by_means in (False, True):
        world = replacements.replace_rows(poisoned, point, 1, 0, 9, by_means)
        changed = (world.inputs != poisoned.inputs).any((1, 2, 3))
        assert np.sum(changed | (world.labels != poisoned.labels)) == 9
    world = replacements.flip_labels(poisoned, point, 1, 0, 5)
    assert np.sum(world.labels != poisoned.labels) == 5
    assert np.array_equal(world.inputs, poisoned.inputs)
    binary = (point >= 0.5).astype(np.float32)
    pilots = {"weight": torch.randn(3, 2, 64), "bias": torch.zeros(3, 2)}
    for flips in (0, 1, 4):
        moved = replacements.flip_features(
            LinearClassifier(64, 2), pilots, binary, 0, flips, lambda x: x.expand(3, *x.shape)
        )
        assert np.sum(moved != binary) == flips


@pytest.mark.parametrize("defense", RUNS)
def test_fresh_models_are_trained_as_stage_train_trains(defense, poisoned):
    side, _, learner = RUNS[defense]
    given = poisoned
    if defense == "discrete":
        given = poisoned._replace(inputs=(poisoned.inputs >= 0.5).astype(np.float32))
    draw = sides.draw_of(side, 2, 0.4)
    procedure = worlds.Procedure(learner, side, draw, 2, 3, 4, False, torch.device("cpu"))
    ours = procedure.train(given, procedure.fresh(3))
    assert procedure.fresh(3) == range(4, 7)
    direct = ensembles.train(given, draw, learner, 2, 3, range(4, 7))
    assert all(torch.equal(ours[name], direct[name]) for name in direct)
