"""The l0 certificate against enumerations of every noise outcome, in fractions."""

import math
from fractions import Fraction
from functools import reduce
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certbd.config import entries
from certbd.theory import bounds, discrete
from certbd.theory.discrete import Domain

# Lee et al., arXiv 1906.04948: published tables for K = 2.
LEE = {
    Fraction(9, 10): "0.9444444 0.9938272 0.9993141 0.9999238 0.9999915",
    Fraction(8, 10): "0.875 0.96875 0.9921875 0.99275 0.9969875 0.9990069",
    Fraction(92, 100): "0.9565217 0.9962193 0.9996712 0.9999714",
}


HALF = Fraction(1, 2)

# Coordinates (number of values, beta), few enough to enumerate; in the fourth none dominates.
SPACES = [
    ((2, Fraction(9, 10)),) * 3 + ((3, Fraction(7, 10)),) * 2,
    ((2, Fraction(8, 10)),) * 2 + ((3, Fraction(8, 10)),) * 2,
    ((2, Fraction(8, 10)),) * 3 + ((4, Fraction(8, 10)),),
    ((2, Fraction(9, 10)),) * 2 + ((5, Fraction(3, 4)),) * 2,
    ((2, Fraction(6, 10)),) * 3 + ((4, Fraction(45, 100)),) * 2,
]


def all_points(space):
    return list(product(*(range(size) for size, _ in space)))


def probability(outcome, centre, space):
    """The probability that noise turns `centre` into `outcome`."""
    return math.prod(
        beta if value == kept else (1 - beta) / (size - 1)
        for value, kept, (size, beta) in zip(outcome, centre, space, strict=True)
    )


def worst_function(clean, changed, space):
    """Neyman and Pearson's region: 1/2 in the changed world, the most in the clean one.

    Returns that most, and the probability with which each outcome is in the region.
    """
    outcomes = all_points(space)
    odds = {z: (probability(z, clean, space), probability(z, changed, space)) for z in outcomes}
    inside, needed, filled = dict.fromkeys(outcomes, Fraction(0)), HALF, Fraction(0)
    for z in sorted(outcomes, key=lambda z: odds[z][0] / odds[z][1], reverse=True):
        p, q = odds[z]
        inside[z] = min(Fraction(1), needed / q)
        filled, needed = filled + inside[z] * p, needed - inside[z] * q
        if needed == 0:
            break
    return filled, np.array([inside[z] for z in outcomes])


def enumerated(flips, beta, size):
    """The required probability from all outcomes of the changed coordinates, one by one."""
    return worst_function((0,) * flips, (1,) * flips, ((size, beta),) * flips)[0]


def distances(space):
    """Number of coordinates in which two points differ, for all pairs."""
    points = np.array(all_points(space))
    return (points[:, None] != points[None]).sum(-1)


def smoothing(space):
    """The matrix of `probability` from each point (row) to each (column), and its denominator."""
    kernels, scale = [], 1
    for size, beta in space:
        kept, others = beta.numerator * (size - 1), beta.denominator - beta.numerator
        kernels.append(np.where(np.eye(size, dtype=bool), kept, others).astype(object))
        scale *= beta.denominator * (size - 1)
    return reduce(np.kron, kernels), scale


def domains_of(space):
    return [Domain(beta, size, 1) for size, beta in space]


def down(value):
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)


@pytest.mark.parametrize("beta", LEE)
def test_published_tables(beta):
    for flips, text in enumerate(LEE[beta].split(), start=1):
        exact = enumerated(flips, beta, 2)
        got = float(discrete.required_probability(flips, beta, 2))
        assert Fraction(got) >= exact
        assert got - exact < 1e-15
        assert abs(got - float(text)) < 0.6 * 10 ** -len(text.split(".")[1])


@pytest.mark.parametrize(
    ("beta", "size", "most"),
    [("0.9", 2, 8), ("0.55", 2, 8), ("0.5", 3, 6), ("0.4", 5, 4), ("0.1", 11, 3), ("0.7", 256, 1)],
)
def test_equals_the_enumeration_rounded_up(beta, size, most):
    flips = np.arange(most + 1)
    got = discrete.required_probability(flips, float(beta), size)
    assert got[0] == 0.5
    assert np.all(np.diff(got) > 0)
    for r in flips:
        exact = enumerated(int(r), Fraction(beta), size)
        assert exact <= Fraction(got[r]) < exact + Fraction(1, 10**15)


def test_certified_flips():
    required = discrete.required_probability(np.arange(4), 0.9, 2)
    above = np.nextafter(required, 1)
    assert discrete.certified_flips(required, 0.9, 2).tolist() == [-1, 0, 1, 2]
    assert discrete.certified_flips(above, 0.9, 2).tolist() == [0, 1, 2, 3]
    assert discrete.certified_flips([0.0, 0.3], 0.9, 2).tolist() == [-1, -1]
    assert discrete.certified_flips(1.0, 0.9, 2, max_flips=7) == 7


def test_models_needed_for_two_and_three_flips():
    """All votes at beta = 0.9 and alpha/2 = 0.0005 (docs/theory.md, section 6)."""
    for n_models, flips in ((1227, 1), (1228, 2), (11_078, 2), (11_079, 3)):
        assert discrete.certified_flips(0.0005 ** (1 / n_models), 0.9, 2) == flips


@pytest.mark.parametrize("space", SPACES)
def test_mixed_is_the_worst_over_all_changed_points(space):
    """And the worst function there is certified for exactly what it withstands."""
    clean, apart, domains = (0,) * len(space), distances(space)[0], domains_of(space)
    points, (matrix, scale) = all_points(space), smoothing(space)
    for r in range(1, len(space) + 1):
        changed = [i for i in np.flatnonzero(apart == r) if max(points[i]) == 1]  # others alike
        functions = {i: worst_function(clean, points[i], space) for i in changed}
        worst = max(functions, key=lambda i: functions[i][0])
        exact, function = functions[worst]
        got = float(discrete.required_probability_mixed(r, domains))
        assert exact <= Fraction(got) < exact + Fraction(1, 10**15)
        smoothed = matrix @ function / scale
        assert smoothed[0] == exact
        assert smoothed[worst] == HALF
        assert min(smoothed[apart < r]) > HALF
        assert discrete.certified_flips_mixed(down(exact), domains) == r - 1
        above = math.nextafter(got, 1)
        assert discrete.certified_flips_mixed(above, domains) == r


def certified_and_true(function, space):
    """For each point that keeps more than 1/2: what is certified, and what it withstands.

    `function` gives a number in [0, 1] for each point. One change too many where none is.
    """
    matrix, scale = smoothing(space)
    smoothed, apart = matrix @ np.asarray(function, object), distances(space)
    kept = np.array([2 * p > scale for p in smoothed])
    lower = [down(Fraction(int(p), scale)) for p in smoothed[kept]]
    certified = discrete.certified_flips_mixed(lower, domains_of(space))
    away = np.where(kept[None], len(space) + 1, apart).min(1)
    return certified, away[kept] - 1


@pytest.mark.parametrize("space", SPACES)
def test_random_functions_are_never_certified_beyond_what_they_withstand(space):
    points, rng = np.array(all_points(space)), np.random.default_rng(0)
    most, tight = 0, 0
    for _ in range(150):
        centre = points[rng.integers(len(points))]
        score = (points == centre) @ rng.random(len(space)) + rng.normal(0, 0.2, len(points))
        function = (score > np.quantile(score, rng.uniform(0, 0.7))).astype(int)
        certified, true = certified_and_true(function, space)
        assert np.all(certified <= true)
        assert np.all(certified >= 0)
        most = max(most, certified.max(initial=0))
        tight += np.sum((certified == true) & (certified > 0))
    assert most > 0
    assert tight > 0


def learner(n_rows, n_labels):
    """The label that a tiny learner gives, for each (features, labels, test feature).

    The majority among the rows that have the test feature; among all rows where none has.
    """
    space = (2,) * n_rows + (n_labels,) * n_rows + (2,)
    answers = []
    for *rows, test in product(*map(range, space)):
        features, labels = rows[:n_rows], rows[n_rows:]
        alike = [label for x, label in zip(features, labels, strict=True) if x == test] or labels
        answers.append(max(range(n_labels), key=alike.count))
    return np.array(answers)


@pytest.mark.parametrize(
    ("n_labels", "beta", "beta_labels"),
    [(2, ".9", ".9"), (2, ".8", ".8"), (2, ".8", ".95"), (3, ".9", ".9"), (3, ".9", ".95")],
)
def test_a_learner_keeps_its_label_for_every_training_set_and_change(n_labels, beta, beta_labels):
    features, labels = (2, Fraction(beta)), (n_labels, Fraction(beta_labels))
    space, answers = (features,) * 3 + (labels,) * 3 + (features,), learner(3, n_labels)
    breaks_at_the_next = certified_at_all = 0
    for label in range(n_labels):
        certified, true = certified_and_true(answers == label, space)
        assert np.all(certified <= true)
        certified_at_all += np.sum(certified > 0)
        breaks_at_the_next += np.sum((certified == true) & (certified > 0))
    assert certified_at_all > 0
    assert breaks_at_the_next > 0


noises = st.integers(2, 5).flatmap(
    lambda size: st.tuples(
        st.just(size), st.fractions(Fraction(1, size), 1, max_denominator=20)
    ).filter(lambda noise: Fraction(1, size) < noise[1] < 1)
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(noises, st.integers(0, 3)), min_size=1, max_size=3), st.integers(0, 3))
def test_no_split_left_out_is_the_worst(chosen, flips):
    counts = [count for _, count in chosen]
    flips = min(flips, sum(counts))
    splits = [s for s in product(*(range(n + 1) for n in counts)) if sum(s) == flips]
    exact = Fraction(0)
    for split in splits:
        space = tuple(noise for (noise, _), r in zip(chosen, split, strict=True) for _ in range(r))
        exact = max(exact, worst_function((0,) * flips, (1,) * flips, space)[0])
    domains = [Domain(beta, size, count) for (size, beta), count in chosen]
    got = float(discrete.required_probability_mixed(flips, domains))
    assert exact <= Fraction(got) < exact + Fraction(1, 10**15)


@settings(deadline=None)
@given(st.integers(0, 8), noises, noises)
def test_more_changes_a_larger_domain_and_less_noise_require_more(flips, one, other):
    size, beta = one
    required = discrete.required_probability([flips, flips + 1], beta, size)
    assert required[0] < required[1] or required[0] > 1 - 1e-15
    assert required[0] <= discrete.required_probability(flips, beta, size + other[0])
    if other[1] > beta:
        assert required[0] <= discrete.required_probability(flips, other[1], size)


def test_the_worst_split_can_be_a_mixture():
    binary, decimal = (2, Fraction(9, 10)), (10, Fraction(6, 10))
    splits = [(binary, binary), (binary, decimal), (decimal, decimal)]
    exact = [worst_function((0, 0), (1, 1), split)[0] for split in splits]
    assert exact[1] > max(exact[0], exact[2])
    domains = [Domain(0.9, 2, 5), Domain(0.6, 10, 5)]
    got = Fraction(float(discrete.required_probability_mixed(2, domains)))
    assert exact[1] <= got < exact[1] + Fraction(1, 10**15)


def test_for_one_beta_the_largest_domain_is_filled_first():
    domains = [Domain(0.9, 2, 5), Domain(0.9, 10, 2), Domain(0.9, 3, 1)]
    largest = discrete.required_probability(2, 0.9, 10)
    assert discrete.required_probability_mixed(2, domains) == largest
    filled = ((10, Fraction(9, 10)),) * 2 + ((3, Fraction(9, 10)), (2, Fraction(9, 10)))
    exact, _ = worst_function((0,) * 4, (1,) * 4, filled)
    got = float(discrete.required_probability_mixed(4, domains))
    assert exact <= Fraction(got) < exact + Fraction(1, 10**15)


def test_no_more_changes_than_coordinates():
    few = [Domain(0.9, 2, 1), Domain(0.7, 3, 1)]
    assert discrete.certified_flips_mixed([1.0, 0.5], few).tolist() == [2, -1]


def test_unanimous_bounds_rise_with_the_number_of_models():
    """Which the bisection for the least number takes for granted."""
    models = np.unique(np.concatenate([np.arange(1, 3000), np.geomspace(3000, 1e6, 300).round()]))
    for alpha in (0.2, 0.05, 0.001, 1e-6):
        assert np.all(np.diff(bounds.majority_lower(models, models, alpha)) >= 0)
        assert np.all(np.diff(bounds.clopper_pearson_lower(models, models, alpha / 2)) >= 0)


def agreed(bound, alpha=0.001):
    """Return the bound on unanimous votes, from the number of models."""
    unanimous = entries.module(entries.BOUNDS, bound).unanimous
    return lambda n_models: unanimous(n_models, alpha)


def smallest_n(flips, bound):
    required = float(discrete.required_probability(flips, 0.9, 2))
    return discrete.unanimous_models(required, agreed(bound))


@pytest.mark.parametrize("bound", ["clopper_pearson", "majority", "kl"])
def test_least_models_and_reach(bound):
    for flips in range(5):
        least = smallest_n(flips, bound)
        assert discrete.certified_flips(agreed(bound)(least), 0.9, 2) == flips
        assert discrete.certified_flips(agreed(bound)(least - 1), 0.9, 2) == flips - 1
    required = discrete.required_probability_mixed(2, [Domain(0.9, 2, 9), Domain(0.8, 10, 1)])
    least = discrete.unanimous_models(float(required), agreed(bound))
    level = 0.001 if bound == "majority" else 0.0005
    assert least == math.ceil(math.log(level) / math.log(required))


def test_known_least_models():
    assert [smallest_n(r, "clopper_pearson") for r in (2, 3)] == [1228, 11_079]
    with pytest.raises(ValueError, match=r"required must be from 0.5 to below .* not 0.99999"):
        smallest_n(12, "clopper_pearson")


def test_poisoned_images():
    """k images under a trigger of t pixels: t k + k + t coordinates."""
    assert discrete.poisoned_images(range(-1, 6), 1).tolist() == [-1, -1, 0, 0, 1, 1, 2]
    for pixels, images in product((1, 4, 9), range(5)):
        cost = pixels * images + images + pixels
        got = discrete.poisoned_images([cost - 1, cost], pixels)
        assert got.tolist() == [images - 1, images]
    with pytest.raises(ValueError, match=r"trigger_pixels .* not 0"):
        discrete.poisoned_images(3, 0)
    with pytest.raises(ValueError, match=r"flips .* not -2"):
        discrete.poisoned_images(-2, 1)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((3, [Domain(0.9, 2, 2)]), "flips must be a whole number from 0 to 2, .* not 3"),
        ((1, [Domain(0.9, 2, -1)]), "coordinates .* not -1"),
        ((1, [Domain(0.9, 2, 3), Domain(0.3, 3, 1)]), "beta .* 1/3 .* not 0.3"),
        ((1, [Domain(math.nan, 2, 3)]), "beta .* not nan"),
        ((1, [Domain(0.9, 1.5, 3)]), "domain_size .* not 1.5"),
    ],
)
def test_bad_domains_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        discrete.required_probability_mixed(*arguments)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((-1, 0.9, 2), "flips .* not -1"),
        ((1.5, 0.9, 2), "flips .* not 1.5"),
        ((1, 0.5, 2), "beta .* 1/2 .* not 0.5"),
        ((1, 1.0, 2), "beta .* not 1.0"),
        ((1, 0.9, 1), "domain_size .* not 1"),
    ],
)
def test_bad_values_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        discrete.required_probability(*arguments)


def test_bad_probabilities_are_named():
    with pytest.raises(ValueError, match=r"p_lower .* not 1\.1"):
        discrete.certified_flips([0.9, 1.1], 0.9, 2)
