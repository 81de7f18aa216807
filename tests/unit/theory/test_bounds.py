import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mpmath import mp, mpf
from scipy import stats

from certbd.theory import bounds

counts = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
levels = st.floats(1e-9, 0.9) | st.floats(9, 100).map(lambda digits: max(10**-digits, 1e-100))


def binomial_tail(k: int, n: int, p: float) -> mpf:
    """P[Bin(n, p) >= k] in 50 digits: terms from k upwards, until they no longer count."""
    with mp.workdps(50):
        q = mpf(p)
        if q in (0, 1) or k > n:
            return mpf(k <= n * q)
        term = mp.binomial(n, k) * q**k * (1 - q) ** (n - k)
        total = term
        for i in range(k, n):
            term *= mpf(n - i) / (i + 1) * q / (1 - q)
            total += term
            if i > n * q and term < total * mpf(10) ** -45:
                break
        return total


@pytest.mark.parametrize("alpha", [0.5, 0.05, 0.001, 0.0005, 1e-9])
def test_clopper_pearson_is_the_beta_quantile(alpha):
    n = np.array([1, 2, 10, 100, 1000, 100_000])[:, None]
    k = np.maximum(1, (n * np.array([0.01, 0.3, 0.5, 0.9, 1.0])).astype(int))
    expected = stats.beta.ppf(alpha, k, n - k + 1)
    np.testing.assert_allclose(bounds.clopper_pearson_lower(k, n, alpha), expected, rtol=1e-10)


def test_ends():
    assert bounds.clopper_pearson_lower(0, 5, 0.001) == 0
    assert bounds.clopper_pearson_lower(1, 1, 0.001) == pytest.approx(0.001)
    assert bounds.clopper_pearson_lower(1000, 1000, 0.0005) == pytest.approx(0.0005 ** (1 / 1000))
    assert bounds.majority_lower(1, 1, 0.001) == 0
    assert bounds.hoeffding_lower(0.0, 10, 0.001) == 0
    assert bounds.kl_lower(0.0, 10, 0.001) == 0
    assert bounds.kl_lower(1.0, 1000, 0.0005) == pytest.approx(0.0005 ** (1 / 1000))


@given(counts, levels)
def test_clopper_pearson_is_never_above_its_exact_value(count, alpha):
    k, n = count
    lower = float(bounds.clopper_pearson_lower(k, n, alpha))
    assert binomial_tail(k, n, lower) <= mpf(alpha) or lower == 0
    if k:
        assert binomial_tail(k, n, lower * (1 + 1e-10)) > mpf(alpha)


@given(counts, levels)
def test_majority_is_never_above_its_exact_value(count, alpha):
    k, n = count
    least = int(bounds.least_majority(n, alpha))
    lower = float(bounds.majority_lower(k, n, alpha))
    if k < least:
        assert lower == 0
    else:
        error = binomial_tail(k, n, lower) + binomial_tail(least, n, 1 - lower)
        assert lower > 0.5 - 1e-9
        assert error <= mpf(alpha)
        assert lower >= float(bounds.clopper_pearson_lower(k, n, alpha / 2)) * (1 - 1e-11)


@given(counts, levels)
def test_upper_bounds_are_never_below_their_exact_value(count, alpha):
    k, n = count
    upper = float(bounds.clopper_pearson_upper(k, n, alpha))
    with mp.workdps(50):
        failures = mpf(float(bounds.clopper_pearson_lower(n - k, n, alpha)))
        assert mpf(upper) >= 1 - failures
        assert upper == 1 or mpf(upper) - (1 - failures) < mpf(10) ** -15
    lower, other = bounds.runner_up(max(k, n - k), min(k, n - k), n, alpha, 3)
    assert 0 <= other <= 1 - lower <= 1 or (lower, other) == (0, 1)


@pytest.mark.parametrize("alpha", [1e-100, 1e-50, 1e-30, 1e-20])
def test_bounds_of_the_least_levels_are_never_above_their_exact_values(alpha):
    for n in (1, 57, 100, 1000, 20_000):
        for k in {1, n // 4, n // 2 + 1, int(0.7 * n), int(0.9 * n), n - 1, n} - {0}:
            exact = float(bounds.clopper_pearson_lower(k, n, alpha))
            assert binomial_tail(k, n, exact) <= mpf(alpha)
            rest = min(n - k, k)
            lower, other = (float(p) for p in bounds.runner_up(k, rest, n, alpha, 10))
            assert binomial_tail(k, n, lower) <= mpf(alpha) / 3 or lower == 0
            assert binomial_tail(n - rest, n, 1 - mpf(other)) <= mpf(alpha) / 3 or other == 1


@pytest.mark.parametrize("alpha", [9e-101, 1e-200, 1e-300, 1e-310, 5e-324])
@pytest.mark.parametrize(
    ("bound", "first"),
    [
        (bounds.clopper_pearson_lower, (70, 100)),
        (bounds.clopper_pearson_upper, (70, 100)),
        (bounds.majority_lower, (70, 100)),
        (bounds.hoeffding_lower, (0.7, 100)),
        (bounds.kl_lower, (0.7, 100)),
        (lambda *a: bounds.runner_up(70, 20, 100, a[-1], 3), ()),
    ],
)
def test_levels_at_which_numbers_run_out_are_refused(bound, first, alpha):
    """At 1e-300, 70 votes of 100 were bounded 2 % too high: by 72 times the level."""
    with pytest.raises(ValueError, match="alpha must be between 0 and 1, from 1e-100 on, not"):
        bound(*first, alpha)


@pytest.mark.parametrize("alpha", [0.2, 0.001, 1e-9])
def test_bounds_of_a_million_votes_are_never_above_their_exact_values(alpha):
    """Near one half, where the majority bound's error hardly changes with p, and elsewhere."""
    n = 1_000_000
    least = int(bounds.least_majority(n, alpha))
    assert binomial_tail(least, n, 0.5) < mpf(alpha) / 2
    for k in (least, least + 1, least + 300, 750_000, n - 1, n):
        majority = float(bounds.majority_lower(k, n, alpha))
        error = binomial_tail(k, n, majority) + binomial_tail(least, n, 1 - mpf(majority))
        assert mpf(alpha) * (1 - mpf(10) ** -5) < error <= mpf(alpha)
        exact = float(bounds.clopper_pearson_lower(k, n, alpha))
        assert binomial_tail(k, n, exact) <= mpf(alpha)


def test_least_majority_is_where_clopper_pearson_passes_one_half():
    for n in (1, 7, 10, 11, 100, 1000, 10_000):
        least = bounds.least_majority(n, 0.001)
        lower = bounds.clopper_pearson_lower(np.arange(n + 1), n, 0.0005)
        assert np.array_equal(lower > 0.5, np.arange(n + 1) >= least)


@given(st.floats(0, 1), st.integers(1, 10**8), levels)
@example(1e-05, 2668, 0.6875)
def test_bounds_on_means(mean, n, alpha):
    hoeffding = float(bounds.hoeffding_lower(mean, n, alpha))
    chernoff = float(bounds.kl_lower(mean, n, alpha))
    assert 0 <= hoeffding <= chernoff <= mean
    with mp.workdps(50):
        budget = mp.log(1 / mpf(alpha)) / n
        m, p = mpf(mean), mpf(chernoff)
        if 0 < p < 1:
            kl = (m * mp.log(m / p) if m else 0) + (
                (1 - m) * mp.log((1 - m) / (1 - p)) if m < 1 else 0
            )
            assert kl >= budget
        assert mpf(hoeffding) <= max(0, m - mp.sqrt(budget / 2))


@pytest.mark.parametrize(
    ("n", "clopper_pearson", "majority", "hoeffding"),
    [(200, 1.78, 1.82, 1.09), (1000, 2.42, 2.46, 1.54), (10_000, 3.17, None, 2.06)],
)
def test_largest_margins(n, clopper_pearson, majority, hoeffding):
    def rounded_down(p):
        return np.floor(stats.norm.ppf(p) * 100) / 100

    assert rounded_down(bounds.clopper_pearson_lower(n, n, 0.0005)) == clopper_pearson
    assert rounded_down(bounds.hoeffding_lower(1.0, n, 0.0005)) == hoeffding
    if majority:
        assert rounded_down(bounds.majority_lower(n, n, 0.001)) == majority


@pytest.mark.parametrize(
    ("bound", "arguments", "named"),
    [
        (bounds.clopper_pearson_lower, (-1, 3, 0.1), "successes .* not -1"),
        (bounds.clopper_pearson_lower, (4, 3, 0.1), "successes .* not 4"),
        (bounds.clopper_pearson_lower, (1.5, 3, 0.1), "successes .* not 1.5"),
        (bounds.clopper_pearson_lower, (1, np.nan, 0.1), "trials .* not nan"),
        (bounds.majority_lower, (0, 0, 0.1), "trials .* not 0"),
        (bounds.majority_lower, ([1, 2], 3, [0.1, 1.0]), "alpha .* not 1"),
        (bounds.hoeffding_lower, (1.01, 3, 0.1), "mean .* not 1.01"),
        (bounds.kl_lower, (np.nan, 3, 0.1), "mean .* not nan"),
        (bounds.kl_lower, (0.5, 3, 0.0), "alpha .* not 0"),
    ],
)
def test_bad_values_are_named(bound, arguments, named):
    with pytest.raises(ValueError, match=named):
        bound(*arguments)
