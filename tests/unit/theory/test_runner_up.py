"""The runner-up bound: its error summed exactly, its certificates against every draw."""

from itertools import combinations

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from scipy.stats import multinomial

from certbd.certify.claims import claim
from certbd.certify.tally import Tally
from certbd.config.axes import Certification
from certbd.theory import bounds, certificates
from certbd.training.bagging.guarantee import BaggedRows

N = 60
TRUE = [
    (p, q, 1 - p - q)
    for p in np.linspace(0.34, 0.98, 33)
    for q in np.linspace(0.005, 0.5, 34)
    if p + q <= 1
]


def false_claims(alpha, bound):
    """Return the largest probability, over true ones, of a claim that does not hold."""
    every = np.array([(i, j, N - i - j) for i in range(N + 1) for j in range(N + 1 - i)])
    first, second = np.sort(every, axis=1)[:, :0:-1].T
    predicted = every.argmax(1)
    lower, upper = bound(first, second, N, alpha, 3)
    worst = 0.0
    for true in np.array(TRUE):
        rest = np.where(np.arange(3) == predicted[:, None], 0, true).max(1)
        wrong = (lower > upper) & ((true[predicted] < lower) | (rest > upper))
        worst = max(worst, multinomial.pmf(every[wrong], N, true).sum())
    return worst


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.3])
def test_a_claim_is_false_no_more_often_than_alpha(alpha):
    assert false_claims(alpha, bounds.runner_up) <= alpha


def test_without_the_thirds_it_would_be():
    """The control: each of the three parts at the whole of alpha."""
    for alpha in (0.001, 0.05):
        assert false_claims(alpha, lambda *a: bounds.runner_up(*a[:3], 3 * a[3], a[4])) > alpha


def test_nothing_is_claimed_without_a_clear_lead():
    lower, upper = bounds.runner_up([500, 0, 350, 1000], [500, 0, 340, 0], 1000, 0.001, 10)
    assert lower[:3].tolist() == [0, 0, 0]
    assert upper[:3].tolist() == [1, 1, 1]
    assert lower[3] == bounds.clopper_pearson_lower(1000, 1000, 0.001 / 3)
    assert upper[3] == 1 - lower[3]


def test_a_scattered_rest_is_bounded_by_its_largest_class():
    votes = np.array([[480, 20] + [50] * 10, [480, 520] + [0] * 10, [700, 300] + [0] * 10])
    certification = Certification(1000, "runner_up", 0.001, "per_input")
    claims = claim(Tally(votes, None), certification, 3)
    majority = claim(Tally(votes, None), certification._replace(bound="majority"), 3)
    assert claims.predicted.tolist() == [0, 1, 0]
    assert claims.margin[0] > 0 > majority.margin[0]
    assert claims.margin[1] < 0
    assert 0 < claims.margin[2] < majority.margin[2]  # two classes: a third of alpha
    rows = BaggedRows(60_000, 100, None, None).columns(claims, np.zeros(3))["radius_rows"]
    assert rows[0] > 80
    assert rows[1] == -1


def shares(wins):
    return np.bincount(wins, minlength=3) / len(wins)


@pytest.mark.parametrize(("n", "m"), [(7, 1), (7, 3), (9, 2)])
def test_rows_are_covered_as_an_enumeration_of_all_draws_says(n, m):
    """The worst attacker turns every draw that holds a row of his to the class that he likes."""
    draws, generator = list(combinations(range(n), m)), np.random.default_rng(n)
    reached = 0
    for _ in range(60):
        wins = generator.choice(3, len(draws), p=generator.dirichlet([6, 1, 1]))
        p = shares(wins)
        top, others = p.argmax(), np.delete(p, p.argmax())
        covered = int(certificates.bagging_rows(p[top], n, m, p_b=others.max()))
        assert (covered == -1) == (p[top] <= others.max() + 1e-12)
        reached = max(reached, covered)
        for r in range(1, covered + 1):
            for theirs in combinations(range(n), r):
                held = np.array([bool(set(draw) & set(theirs)) for draw in draws])
                for target in set(range(3)) - {top}:
                    assert shares(np.where(held, target, wins)).argmax() == top
        alone = int(certificates.bagging_rows(p[top], n, m))
        assert covered >= alone
    assert reached >= 1


def learner(cuts, labels):
    """Return a random 1-D classifier's probabilities of three labels at x moved by t."""
    edges = np.concatenate([[-np.inf], np.sort(cuts), [np.inf]])

    def probabilities(t):
        mass = np.diff(ndtr(edges - t))
        return np.array([mass[labels == c].sum() for c in range(3)])

    return probabilities


@pytest.mark.parametrize(("r", "right"), [(1, 0.85), (2, 0.97)])
def test_rows_and_trigger_are_covered_at_once(r, right):
    """Every draw has a classifier of its own; rows turn draws, a trigger moves the input."""
    n, m, sigma = 9, 2, 0.7
    draws, generator = list(combinations(range(n), m)), np.random.default_rng(r)
    covered = 0
    for _ in range(40):
        voters = []
        for _ in draws:
            labels = np.where(generator.random(6) < right, 0, generator.integers(1, 3, 6))
            voters.append(learner(generator.normal(0, 2, 5), labels))
        p = np.mean([voter(0) for voter in voters], axis=0)
        if p.argmax() != 0:
            continue
        radius = certificates.bagging_radius(p[0], sigma, n, m, r, p_b=p[1:].max())
        assert radius >= certificates.bagging_radius(p[0], sigma, n, m, r)
        covered += radius > 0
        for t in np.linspace(-0.999, 0.999, 9) * radius / sigma:
            moved = np.array([voter(t) for voter in voters])
            for theirs in combinations(range(n), r):
                held = np.array([bool(set(draw) & set(theirs)) for draw in draws])
                for target in (1, 2):
                    turned = moved.copy()
                    turned[held] = np.eye(3)[target]
                    assert radius == 0 or turned.mean(0).argmax() == 0
    assert covered > 5


@pytest.mark.parametrize("p_b", [None, 0.15, 0.02])
def test_the_worst_learner_turns_at_the_radius(p_b):
    """All lost draws vote for A; the others are half-spaces towards and away from the trigger."""
    p, n, m, r, sigma = 0.8, 500, 6, 10, 0.5
    other = 1 - p if p_b is None else p_b
    q = np.prod([(n - r - i) / (n - i) for i in range(m)])
    high, low = ndtri((p - (1 - q)) / q), ndtri(other / q)
    radius = float(certificates.bagging_radius(p, sigma, n, m, r, p_b=p_b))
    for factor, kept in ((0.9999, True), (1.0001, False)):
        t = factor * radius / sigma
        assert (q * ndtr(high - t) > q * ndtr(low + t) + 1 - q) == kept
