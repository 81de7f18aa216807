"""The guarantee of the bounds, exactly: summed over the binomial, not sampled."""

import numpy as np
import pytest
from scipy.stats import binom

from certbd.theory import bounds

ALPHA = 0.001


def largest_error(lower, n_models):
    """Return the largest probability, over true probabilities, of a false claim.

    A class is claimed when its bound is above 1/2; at most one can be, so errors add up over
    classes, and each class's votes are binomial. `lower` holds the bound of every count.
    """
    counts = np.arange(n_models + 1)
    assert np.all(np.diff(lower) >= -1e-15)
    assert np.all(lower[counts <= n_models / 2] <= 0.5)
    grid = np.concatenate([np.linspace(0, 1, 401), lower, np.nextafter(lower, 0), [0.5]])
    worst = 0.0
    for p in np.unique(grid.clip(0, 1)):
        for n_others in range(1, 10):
            for others in (np.full(n_others, (1 - p) / n_others), np.array([1 - p])):
                true = np.array([p, *others])
                first = np.searchsorted(lower, np.maximum(true, 0.5), side="right")
                worst = max(worst, binom.sf(first - 1, n_models, true).sum())
    return worst


@pytest.mark.parametrize("n_models", [1, 10, 100, 1000])
@pytest.mark.parametrize("alpha", [ALPHA, 0.05])
def test_no_class_is_claimed_above_its_probability_more_often_than_alpha(n_models, alpha):
    counts = np.arange(n_models + 1)
    halved = bounds.clopper_pearson_lower(counts, n_models, alpha / 2)
    assert largest_error(halved, n_models) <= alpha
    assert largest_error(bounds.majority_lower(counts, n_models, alpha), n_models) <= alpha


def test_clopper_pearson_at_alpha_itself_is_not_enough():
    """The control: without halving, the test above fails."""
    for alpha in (ALPHA, 0.05):
        full = bounds.clopper_pearson_lower(np.arange(1001), 1000, alpha)
        assert largest_error(full, 1000) > 1.5 * alpha


def test_the_majority_bound_spends_all_of_alpha():
    majority = bounds.majority_lower(np.arange(1001), 1000, ALPHA)
    assert largest_error(majority, 1000) > 0.99 * ALPHA


def test_the_majority_bound_is_clopper_pearson_at_alpha_away_from_one_half():
    counts = np.arange(700, 1001)
    full = bounds.clopper_pearson_lower(counts, 1000, ALPHA)
    np.testing.assert_allclose(bounds.majority_lower(counts, 1000, ALPHA), full, rtol=1e-9)
