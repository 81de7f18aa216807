"""Bagging and statistic: draws, certificates against enumeration, and both attacked."""

from itertools import combinations
from math import comb, sqrt

import numpy as np
import pytest
import torch
from scipy import stats

from certbd import rng
from certbd.artifacts import io
from certbd.certify.certify import Paper, VotedSplit, certify_split
from certbd.certify.tally import Tally
from certbd.config.axes import Certification
from certbd.config.threats import Threat
from certbd.data import datasets, selection
from certbd.learners import closed_form, features
from certbd.testing.votes import vote
from certbd.theory import bounds, certificates
from certbd.theory.claims import Claims
from certbd.training import ensembles
from certbd.training import side as sides
from certbd.training.bagging.draw import Bagging
from certbd.training.bagging.guarantee import BaggedRows
from certbd.training.statistic.draw import NoisyStatistic
from certbd.training.statistic.guarantee import StatisticRows
from certbd.training.world import World
from conftest import learner_of, map_of, side_of, vote_side_of

CPU = ensembles.pick_device("cpu")
MAPS = {
    "pixels": {"kind": "pixels", "pixel_mean": 0.3},
    "dct": {"kind": "dct", "size": 4, "pixel_mean": 0.3},
    "random_conv": {"kind": "random_conv", "filters": 6, "width": 3, "pool": 2, "seed": 0},
    "sphere": {"kind": "dct", "size": 8, "sphere": 1.5, "pixel_mean": 0.3},
}
SUMS = {"kind": "class_sums", "constant": 1.0}
LEARNERS = {
    "nearest_class_mean": {"kind": "nearest_class_mean"},
    "class_sums": SUMS,
    "ridge": {"kind": "ridge", "penalty": 0.01},
    "mlp": {
        "kind": "mlp", "hidden": 8, "epochs": 3, "batch_size": 16, "learning_rate": 0.01,
    },
}  # fmt: skip


def test_every_subset_is_drawn_equally_often():
    tiny = io.PoisonedSet(np.arange(5, dtype=np.float32)[:, None], np.arange(5) % 2, np.array([]))
    inputs, labels = Bagging(2)(tiny, rng.generators(0, 3, range(20_000)), CPU)
    drawn = inputs.numpy()[..., 0].astype(int)
    assert np.array_equal(labels, drawn % 2)
    subsets = [tuple(pair) for pair in np.sort(drawn, axis=1).tolist()]
    counts = [subsets.count(pair) for pair in combinations(range(5), 2)]
    assert sum(counts) == 20_000  # rows differ
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize(("n", "m"), [(7, 1), (7, 3), (8, 8), (9, 2)])
def test_bagging_covers_rows_as_an_enumeration_of_all_draws_says(n, m):
    """The worst attacker turns every draw that holds a row of his: none of r rows wins."""
    draws, generator = list(combinations(range(n), m)), np.random.default_rng(n)
    for _ in range(20):
        wins = generator.random(len(draws)) < generator.uniform(0.5, 1)
        p = wins.mean()
        covered = int(certificates.bagging_rows(p, n, m))
        assert (covered == -1) == (p <= 0.5)
        for r in range(max(covered, 0) + 1):
            for theirs in combinations(range(n), r):
                clean = [win for win, draw in zip(wins, draws, strict=True)
                         if not set(draw) & set(theirs)]  # fmt: skip
                assert p <= 0.5 or sum(clean) / len(draws) > 0.5
        beyond = comb(n - covered - 1, m) / comb(n, m)
        assert p - (1 - beyond) <= 0.5 + 1e-9  # a learner that wins on clean draws alone loses


def test_rows_and_trigger_radius_agree():
    p = np.linspace(0.3, 0.9999, 200)
    rows = certificates.bagging_rows(p, 500, 6)
    margin = certificates.margin(p, 1 - p)
    noisy = certificates.statistic_rows(margin, 0.05, 500, 0.7)
    for r in range(60):
        assert np.array_equal(rows >= r, certificates.bagging_radius(p, 0.5, 500, 6, r) > 0)
        radius = certificates.statistic_radius(margin, 0.5, 0.05, 500, r, 0.7)
        assert np.array_equal(noisy >= r, radius > 0)
    assert rows.max() > 20
    assert noisy.max() > 40


def test_without_test_noise_rows_alone_are_covered():
    p, zero = np.array([0.4, 0.9]), np.zeros(2)
    claims = Claims(np.zeros(2, int), p, 1 - p)
    asked = Threat(5, "replaced", "none", 0.0)
    known = {"threat": asked, "norm": None}
    for guarantee in (BaggedRows(500, 6, **known), StatisticRows(500, 0.05, 1.0, **known)):
        columns = guarantee.columns(claims, zero)
        assert np.isnan(columns["radius_trigger"]).all()
        assert columns["covers_attack"].tolist() == [False, True]
        assert columns["radius_rows"][0] == -1
        at, most = columns["radius_rows"][1], int(columns["radius_rows"].max())
        assert at > 5
        for rows, covered in ((most, True), (most + 1, False)):
            theirs = guarantee._replace(threat=asked._replace(rows=rows))
            assert theirs.columns(claims, zero)["covers_attack"].tolist() == [False, covered]
        triggered = guarantee._replace(threat=Threat(5, "replaced", "l2", 0.5), norm=0.5)
        assert not triggered.columns(claims, zero)["covers_attack"].any()
        assert guarantee._replace(threat=None).columns(claims, zero)["covers_attack"] is None


@pytest.mark.parametrize(
    "guarantee", [BaggedRows(60, 7, None, 0.1), StatisticRows(60, 0.2, 1, None, 0.1)]
)
@pytest.mark.parametrize("upper", [None, 0.3])
def test_a_trigger_radius_of_0_says_that_not_even_a_clean_input_is_covered(guarantee, upper):
    """It is above 0 just where that many rows may be replaced, and covers an attack only there."""
    p = np.r_[0.0, 0.31, 0.5, np.nextafter(0.5, 1), np.linspace(0.51, 0.9999, 400)]
    p_upper = 1 - p if upper is None else np.minimum(upper, 1 - p)
    claims = Claims(np.zeros(len(p), np.int64), p, p_upper)
    for n_poisoned in (0, 1, 2, 3, 5, 20, 60):
        threat = Threat(n_poisoned, "replaced", "l2", 0.1)
        columns = guarantee._replace(threat=threat).columns(claims, np.full(len(p), 0.4))
        rows, radius = columns["radius_rows"], columns["radius_trigger"]
        assert np.array_equal(rows < 0, ~(claims.margin > 0))
        assert np.array_equal(radius > 0, rows >= n_poisoned)
        assert not np.any(columns["covers_attack"] & (rows < n_poisoned))


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("kind", ["dct", "random_conv"])
def test_replaced_rows_move_the_statistic_up_to_its_bound(n_classes, kind):
    n, r, generator = 40, 7, np.random.default_rng(0)
    bound = learner_of(SUMS, features={"kind": kind}).sums_bound(n_classes)

    def deciding(inputs, labels):
        sums = closed_form.class_sums(inputs, labels, n_classes, 0.0)
        return sums - sums.mean(0)

    inputs = generator.normal(size=(n, 5)).astype(np.float32)
    inputs = np.abs(inputs) if kind == "random_conv" else inputs
    labels = generator.integers(n_classes, size=n)
    before, largest = deciding(inputs, labels), 0.0
    for _ in range(300):
        other, theirs = inputs.copy(), labels.copy()
        new = generator.normal(size=(r, 5)) ** 3
        other[:r] = np.abs(new) if kind == "random_conv" else new
        theirs[:r] = generator.integers(n_classes, size=r)
        largest = max(largest, np.linalg.norm(deciding(other, theirs) - before))
    limit = 2 * r * bound / n
    assert largest <= limit * (1 + 1e-6)
    same, theirs = inputs.copy(), labels.copy()  # the worst: all rows alike, turned or relabelled
    same[:r], theirs[:r] = inputs[0], 0
    turned, flipped = same.copy(), theirs.copy()
    if kind == "random_conv":
        flipped[:r] = 1
    else:
        turned[:r] *= -1
    moved = np.linalg.norm(deciding(turned, flipped) - deciding(same, theirs))
    assert moved == pytest.approx(limit, rel=1e-5)


@pytest.mark.parametrize("name", MAPS)
def test_no_step_moves_features_by_more_than_its_length(name, digits):
    """Random steps, and steps that gradient ascent makes as bad as it can."""
    given, generator = map_of(MAPS[name]), torch.Generator().manual_seed(0)
    inputs = torch.from_numpy(digits.test_inputs[:20])
    matrices = [torch.from_numpy(matrix) for matrix in given.matrices((1, 8, 8))]
    assert np.array_equal(
        features.apply(given, digits.test_inputs[:20]),
        given.features(inputs, matrices),
    )
    for size in (0.01, 1.0, 10.0):
        step = torch.randn(inputs.shape, generator=generator).requires_grad_()
        for _ in range(30):
            unit = size * step / step.flatten(1).norm(dim=1)[:, None, None, None]
            moved = given.features(inputs + unit, matrices)
            moved = (moved - given.features(inputs, matrices)).norm(dim=1)
            assert (moved <= size * (1 + 1e-5)).all()
            (gradient,) = torch.autograd.grad(moved.sum(), step)
            step = (step + 4 * gradient / gradient.norm()).detach().requires_grad_()
        assert moved.max() > {"random_conv": 0.5, "sphere": 0.1}.get(name, 0.99) * size


def test_features_that_do_not_fit_are_refused():
    rows = np.zeros((2, 7), np.float32)
    assert features.apply(None, rows) is rows
    with pytest.raises(io.DataError, match="dct need images"):
        features.apply(map_of(MAPS["dct"]), rows)
    with pytest.raises(io.DataError, match="size 9"):
        features.apply(map_of(MAPS["dct"], size=9), np.zeros((2, 1, 8, 8), np.float32))


@pytest.mark.parametrize("filters", [1, 32])
@pytest.mark.parametrize("sphere", [{}, {"sphere": 1.0}])
@pytest.mark.parametrize("side", [1, 8])
def test_filters_of_one_value_are_refused(filters, sphere, side):
    """Less its mean it is 0, and 0/0 gave features that are no numbers."""
    entry = {"kind": "random_conv", "filters": filters, "width": 1, "pool": 1, "seed": 0} | sphere
    with pytest.raises(io.DataError, match=r"random_conv: width 1 of .* 1 channel; allowed: .* 2"):
        features.apply(map_of(entry), np.ones((2, 1, side, side), np.float32))
    for width, channels in ((2, 1), (3, 1), (1, 2), (1, 3)):
        mapped = features.apply(
            map_of(entry, width=width), np.ones((2, channels, side, side), "f4")
        )
        assert np.isfinite(mapped).all()


def test_the_cosine_transform_is_scipys(digits):
    from scipy.fft import dctn

    ours = features.apply(map_of({"kind": "dct", "size": 8, "pixel_mean": 0.1}), digits.test_inputs)
    theirs = dctn(digits.test_inputs - 0.1, axes=(2, 3), norm="ortho")
    np.testing.assert_allclose(ours, theirs.reshape(ours.shape), atol=2e-4)


def trained(poisoned, learner, draw, indices, seed=7):
    return ensembles.train(poisoned, draw, learner_of(learner), 2, seed, indices)


def counted(poisoned, inputs, learner, draw, sigma, n_models, seed):
    ensemble = trained(poisoned, learner, draw, range(n_models), seed)
    module = learner_of(learner).module(inputs.shape[1:], 2)
    noise = rng.generators(seed, rng.Purpose.TEST_NOISE, range(n_models))
    votes, _ = vote(module, ensemble, inputs, sigma, noise)
    return np.stack([(votes == c).sum(0) for c in range(2)], axis=1)


@pytest.mark.parametrize("learner", LEARNERS.values(), ids=lambda entry: entry["kind"])
def test_a_class_without_a_drawn_row_is_never_predicted(poisoned, digits, learner):
    alone = poisoned._replace(labels=np.ones_like(poisoned.labels))
    ensemble = trained(alone, learner, Bagging(4), range(6))
    assert all(parameter.isfinite().all() for parameter in ensemble.values())
    if learner["kind"] in ("nearest_class_mean", "class_sums"):
        counts = counted(alone, digits.test_inputs, learner, Bagging(4), 5.0, 6, 7)
        assert (counts == [0, 6]).all()


@pytest.mark.parametrize(
    ("draw", "learner"),
    [(Bagging(9), learner) for learner in LEARNERS.values()] + [(NoisyStatistic(0.05), SUMS)],
    ids=lambda part: part["kind"] if isinstance(part, dict) else type(part).__name__,
)
def test_a_model_is_the_same_in_every_chunk(poisoned, draw, learner, monkeypatch):
    whole = trained(poisoned, learner, draw, range(8))
    monkeypatch.setattr(ensembles, "SMALL_WIDTH", 2)
    for indices in (range(3), range(3, 8)):
        part = trained(poisoned, learner, draw, indices)
        for name, parameter in part.items():
            assert torch.equal(parameter, whole[name][indices.start : indices.stop])


def test_drawn_class_means_and_sums_are_those_of_the_rows(poisoned):
    rows, labels = Bagging(9)(poisoned, rng.generators(7, 3, range(4)), CPU)
    means = trained(poisoned, LEARNERS["nearest_class_mean"], Bagging(9), range(4))
    sums = trained(poisoned, SUMS, Bagging(9), range(4))
    for k in range(4):
        flat, own = rows[k].flatten(1).numpy(), labels[k].numpy()
        direct = closed_form.class_sums(flat, own, 2, 1.0) * 9
        for c in set(own.tolist()):
            np.testing.assert_allclose(means["weight"][k, c], flat[own == c].mean(0), rtol=1e-4)
            np.testing.assert_allclose(sums["weight"][k, c], direct[c, :-1], atol=1e-5)
            np.testing.assert_allclose(sums["bias"][k, c], direct[c, -1], rtol=1e-4)


def test_the_statistics_noise_has_its_standard_deviation(poisoned):
    ensemble = trained(poisoned, SUMS, NoisyStatistic(0.05), range(4000))
    exact = closed_form.class_sums(poisoned.inputs, poisoned.labels, 2, 1.0)
    noise = np.concatenate([ensemble["weight"], ensemble["bias"][..., None]], axis=2) - exact
    assert stats.kstest(noise[:, :, ::16].ravel() / 0.05, "norm").pvalue > 1e-4


def attacked(poisoned, target, point, r):
    """Turn the r rows that speak most for a label into the worst there are: `point`, relabelled."""
    likeness = poisoned.inputs.reshape(len(poisoned.labels), -1) @ point.ravel()
    order = np.argsort(np.where(poisoned.labels == 1 - target, -likeness, np.inf))[:r]
    inputs, labels = poisoned.inputs.copy(), poisoned.labels.copy()
    inputs[order], labels[order] = point, target
    return poisoned._replace(inputs=inputs, labels=labels)


DRAWS = {  # the draw, rows replaced, what the certificate covers beyond the number of rows
    "bagging": (Bagging(7), 2, BaggedRows(271, 7, Threat(2, "replaced", "none", 0.0), None)),
    "statistic": (
        NoisyStatistic(0.06),
        8,
        StatisticRows(271, 0.06, sqrt(0.5), Threat(8, "replaced", "none", 0.0), None),
    ),
}


@pytest.mark.parametrize("name", DRAWS)
def test_certified_labels_hold_under_the_worst_rows_and_trigger(name, poisoned, digits):
    """Inside the certificate no label may turn; several times beyond it, many must."""
    draw, r, guarantee = DRAWS[name]
    entry, n_models, sigma = MAPS["dct"], 4000, 0.5
    train = poisoned._replace(inputs=features.apply(map_of(entry), poisoned.inputs))
    inputs = features.apply(map_of(entry), digits.test_inputs)
    counts = counted(train, inputs, SUMS, draw, sigma, n_models, 0)
    labels, p = counts.argmax(1), bounds.majority_lower(counts.max(1), n_models, 1e-4)
    radius = guarantee.columns(Claims(labels, p, 1 - p), np.full(len(p), sigma))["radius_trigger"]
    means = [train.inputs[train.labels == c].mean(0) for c in (0, 1)]
    covered = np.flatnonzero(radius > 0.05)
    assert len(covered) > 40
    turned = {1: 0, 6: 0}
    for strength in turned:
        for i in covered[::2] if strength == 1 else covered[::8]:
            towards = 1 - labels[i]
            step = means[towards] - means[labels[i]]
            unit = step / np.linalg.norm(step)
            moved = inputs[i] + np.float32(strength * 0.999 * radius[i]) * unit
            bad = attacked(train, towards, moved, min(r * strength**2, 100))
            votes = counted(bad, moved[None], SUMS, draw, sigma, 1000, 1 + i)
            lower = bounds.majority_lower(votes.max(1), 1000, 1e-4)
            turned[strength] += int(lower[0] > 0.5 and votes[0].argmax() != labels[i])
    assert turned[1] == 0
    assert turned[6] > 0.7 * len(covered[::8])


@pytest.mark.parametrize(
    ("side", "learner"),
    [
        ({"kind": "bagging", "n_drawn": 6}, {"kind": "nearest_class_mean"}),
        ({"kind": "statistic", "sigma_statistic": 0.02}, SUMS),
    ],
)
def test_no_change_of_a_row_of_a_file_contradicts_its_certificates(side, learner, tmp_path):
    """A table that arrives as it is: 200 rows relabelled or replaced, one at a time."""
    generator, n_models = np.random.default_rng(5), 400
    entry = {"kind": "npz", "classes": [0, 1], "subset": {"train": 200, "seed": 0}}

    def certify(inputs, labels):
        np.savez(tmp_path / "t.npz", inputs=inputs, labels=labels)
        data = datasets.load(entry, tmp_path / "t.npz")
        given = io.PoisonedSet(data.train_inputs, data.train_labels, np.arange(0))
        draw = sides.draw_of(side_of(**side), 2)
        ensemble = ensembles.train(given, draw, learner_of(learner), 2, 0, range(n_models))
        unused = rng.generators(0, rng.Purpose.TEST_NOISE, range(n_models))
        module = learner_of(learner).module((3,), 2)
        votes, _ = vote(module, ensemble, data.test_inputs, 0.0, unused)
        counts = np.stack([(votes == label).sum(0) for label in (0, 1)], 1)
        guarantee = sides.guarantee_of(
            side_of(**side), World(given, exact, 2, False, bound, None, None, None)
        )
        tally, none = Tally(counts, None), np.zeros(len(counts))
        split = VotedSplit("benign", None, data.test_labels, tally, none)
        planned = Certification(n_models, "majority", 0.001, "per_input")
        return certify_split(split, guarantee, planned, len(counts), Paper(False, False), generator)

    exact, bound = vote_side_of(kind="noise", level=0.0), learner_of(learner).sums_bound(2)
    inputs = generator.uniform(0, 1, (400, 3))
    labels = (inputs.mean(1) + generator.normal(0, 0.1, 400) > 0.5).astype(int)
    given = certify(inputs, labels)
    claimed = given["radius_rows"] >= 1
    assert claimed.mean() > 0.5
    for row in generator.choice(400, 200, replace=False):
        theirs, wrong = inputs.copy(), labels.copy()
        wrong[row] = 1 - wrong[row]
        if row % 2:
            theirs[row] = generator.uniform(0, 1, 3)
        found = certify(theirs, wrong)
        ahead = (found["prediction"] >= 0) & (found["prediction"] != given["prediction"])
        ahead[selection.split_rows([str(k) for k in range(400)])[1] == row] = False  # its own input
        assert not (claimed & ahead).any()
