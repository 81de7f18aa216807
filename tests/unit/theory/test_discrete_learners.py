"""Real learners and drawn noise against the enumeration of every training set and test input."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy import stats
from test_discrete import all_points, certified_and_true, smoothing

from certbd import rng
from certbd.artifacts import io
from certbd.config.axes import Certification
from certbd.data.domains import Replacement
from certbd.learners import closed_form
from certbd.learners.networks import train_networks
from certbd.testing.votes import vote
from certbd.theory import bounds, discrete
from certbd.theory.claims import Claims
from certbd.theory.discrete import Domain
from certbd.training import ensembles
from certbd.training.flips.draw import Replaced
from certbd.training.flips.guarantee import DiscreteNoise, check_models, count_changes, domains_of
from conftest import learner_of, side_of

CPU = torch.device("cpu")
RIDGE = {"kind": "ridge", "penalty": 0.3}
MLP = {"kind": "mlp", "hidden": 4, "epochs": 8, "batch_size": 9, "learning_rate": 0.1}
BITS = ((2, Fraction(9, 10)),) * 7
MIXED = ((3, Fraction(8, 10)),) * 2 + ((2, Fraction(9, 10)),) * 2 + ((3, Fraction(8, 10)),)


def answers(learner, space, n_rows):
    """The label that a learner gives, for each (features, labels, test feature) of `space`."""
    points, size = np.array(all_points(space)), space[0][0]
    inputs = (points[:, :n_rows, None] / (size - 1)).astype(np.float32)
    labels = points[:, n_rows : 2 * n_rows]
    copies, targets = torch.from_numpy(inputs), torch.from_numpy(labels)
    module = learner_of(learner).module((1,), 2)
    if learner["kind"] == "ridge":
        state = closed_form.ridge(copies, targets, 2, learner["penalty"])
    else:  # one start for all: a function of the training set alone
        weights = [rng.generator(0, rng.Purpose.WEIGHTS) for _ in points]
        state = train_networks(
            module, copies, targets, learner_of(learner).recipe(), weights, weights
        )
    test = torch.from_numpy(points[:, -1:] / (size - 1)).float()
    with torch.no_grad():
        logits = torch.func.vmap(
            lambda own, x: torch.func.functional_call(module, own, (x[None],))[0]
        )(state, test)
    return logits.argmax(1).numpy()


@pytest.mark.parametrize("learner", [RIDGE, MLP], ids=["ridge", "mlp"])
@pytest.mark.parametrize(("space", "n_rows"), [(BITS, 3), (MIXED, 2)], ids=["bits", "mixed"])
def test_no_learner_is_certified_beyond_what_it_withstands(learner, space, n_rows):
    given = answers(learner, space, n_rows)
    tight = 0
    for label in range(2):
        certified, true = certified_and_true(given == label, space)
        assert np.all(certified <= true)
        tight += np.sum((certified == true) & (certified > 0))
    assert tight > 0


def test_drawn_votes_have_the_enumerated_probability_and_certificates_hold():
    """The whole chain of draws, training and voting on three rows of one bit."""
    space, n_models, row = BITS, 4000, 3
    points = np.array(all_points(space))
    given = answers(RIDGE, space, row)
    matrix, scale = smoothing(space)
    index = int(np.flatnonzero((points == [0, 1, 1, 0, 1, 1, 1]).all(1))[0])
    exact = float(Fraction(int(matrix[index] @ given.astype(object)), scale))
    training = io.PoisonedSet(
        points[index, :row, None].astype(np.float32), points[index, row : 2 * row], np.arange(0)
    )
    noise = Replacement(0.9, 2)
    draw = Replaced(noise, 0.9, 2)
    ensemble = ensembles.train(training, draw, learner_of(RIDGE), 2, 5, range(n_models))
    module, test = learner_of(RIDGE).module((1,), 2), points[index, -1:, None].astype(np.float32)
    generators = rng.generators(5, rng.Purpose.TEST_NOISE, range(n_models))
    votes, _ = vote(module, ensemble, test, noise, generators)
    assert stats.binomtest(int(votes.sum()), n_models, exact).pvalue > 1e-3

    labels = Counter(
        map(tuple, draw(training, rng.generators(1, 3, range(n_models)), CPU)[1].tolist())
    )
    expected = [0.9 ** (3 - d) * 0.1**d for d in (np.array(list(labels)) != training.labels).sum(1)]
    assert len(labels) == 8
    shares = np.array(expected) * n_models
    assert stats.chisquare(list(labels.values()), shares, sum_check=False).pvalue > 1e-3

    lower = bounds.majority_lower(votes.sum(0), n_models, 0.001)
    domains = domains_of(side_of(kind="flips", beta=0.9), 3, 4, 2)
    (flips,) = DiscreteNoise(domains, None).columns(Claims(None, lower, 1 - lower), lower)[
        "radius_l0"
    ]
    _, true = certified_and_true(given == 1, space)
    kept = np.flatnonzero([2 * p > scale for p in matrix @ given.astype(object)])
    assert 0 <= flips <= true[list(kept).index(index)]


def test_an_attack_is_covered_from_as_many_flips_as_coordinates_it_changed():
    clean = np.zeros((5, 4), np.float32), np.array([0, 1, 1, 0, 1])
    inputs, labels = clean[0].copy(), clean[1].copy()
    inputs[[1, 2], 0], labels[[1, 2]] = 1, 0
    test = np.array([[True, False, False, False], [False] * 4])
    changes = count_changes(clean, (inputs, labels), test)
    assert changes.tolist() == [5, 4]  # one pixel on two images: 2 (1 + 1) + 1
    required = discrete.required_probability([4, 5], 0.8, 2)
    domains = [Domain(0.8, 2, 100)]
    p = np.array([np.nextafter(required[0], 1)] * 2)
    claims = Claims(np.zeros(2, int), p, 1 - p)
    columns = DiscreteNoise(domains, changes).columns(claims, p)
    assert columns["radius_l0"].tolist() == [4, 4]
    assert columns["covers_attack"].tolist() == [False, True]
    assert DiscreteNoise(domains, None).columns(claims, p)["covers_attack"] is None


@pytest.mark.parametrize(
    ("bound", "multiplicity", "needed"),
    [
        ("clopper_pearson", "per_input", 133),
        ("majority", "per_input", 121),
        ("kl", "per_input", 133),
        ("clopper_pearson", "simultaneous", 254),
    ],
)
def test_too_few_models_are_told_how_many_would_do(bound, multiplicity, needed):
    domains = [Domain(0.9, 2, 100)]
    certification = Certification(needed, bound, 0.001, multiplicity)
    check_models(domains, certification, 1000)
    too_few = certification._replace(n_models=needed - 1)
    with pytest.raises(ValueError, match=f"n_models: {needed - 1} models .*: {needed} or more"):
        check_models(domains, too_few, 1000)
