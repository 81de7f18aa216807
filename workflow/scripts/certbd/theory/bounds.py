"""Confidence bounds on the probability of a class, from the votes or scores of N models.

``docs/theory.md``, section 5. Everything is float64, broadcasts, and is rounded down by `SLACK`, so
that no bound is above its exact value.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaincinv, rel_entr, xlog1py

from certbd.theory.checks import is_whole, require

Array = NDArray[np.float64]

SLACK = 4e-12
"""Relative; four times the largest error found against 60-digit arithmetic, N up to a million."""
TAIL_SLACK = 1e-11
"""Relative, on sums of binomial tails, which near p = 1/2 hardly change with p: eighteen times the
largest error of a tail found for N up to a million."""
LEAST_ALPHA = 1e-100
"""Tails and quantiles were found exact within the slacks down to 1e-230. From 1e-240 on bounds can
be too high by far, because terms of the sums fall below the range of float64."""
_HALVINGS = 60


def clopper_pearson_lower(successes: ArrayLike, trials: ArrayLike, alpha: ArrayLike) -> Array:
    """Return the exact one-sided lower bound on a binomial proportion.

    The p at which k or more successes in N trials have probability alpha: the alpha quantile of
    Beta(k, N - k + 1). Clopper and Pearson, Biometrika 26 (1934), 404-413.

    Parameters
    ----------
    successes, trials : array_like
        Votes k for the class, number of models N.
    alpha : array_like
        One-sided error probability. For the class with most votes, of any number of classes,
        with abstention where the bound is at most 1/2, alpha/2 here gives error alpha in all.

    Returns
    -------
    array of float64
        0 without successes.

    Raises
    ------
    ValueError
        If a count is not whole or out of range, or alpha is not from `LEAST_ALPHA` to below 1.
    """
    return _beta_quantile(*_counts(successes, trials, alpha))


def clopper_pearson_upper(successes: ArrayLike, trials: ArrayLike, alpha: ArrayLike) -> Array:
    """Return the upper confidence bound on a probability: one less the lower one of failures.

    Parameters, errors and source are those of `clopper_pearson_lower`.
    """
    return _less_than_one(clopper_pearson_lower(np.subtract(trials, successes), trials, alpha))


def majority_lower(successes: ArrayLike, trials: ArrayLike, alpha: ArrayLike) -> Array:
    """Return the lower bound on the probability of the class with most votes, if above 1/2.

    With k_0 the least count that Clopper-Pearson at alpha/2 puts above 1/2, and k >= k_0,
    ``inf{p >= 1/2 : P_p[K >= k] + P_p[K <= N - k_0] > alpha}``: whichever class is claimed, the
    probability that the claim is above its true probability is at most alpha. Away from 1/2 it
    equals Clopper-Pearson at the full alpha (``docs/theory.md``, section 5, with the proof).

    Parameters
    ----------
    successes, trials, alpha : array_like
        Votes of the class with most, number of models N, error probability in all.

    Returns
    -------
    array of float64
        Above 1/2, or 0 where k < k_0: nothing is claimed.

    Raises
    ------
    ValueError
        As `clopper_pearson_lower`.
    """
    k, n, level = _counts(successes, trials, alpha)
    least = least_majority(n, level)
    some = np.maximum(k, least)

    def excess(p: Array) -> Array:
        return _tail(some, n, p) + _tail(least, n, 1 - p) - level * (1 - TAIL_SLACK)

    certified = k >= least
    return np.where(certified, _down(_bisect(excess, np.full(k.shape, 0.5), np.ones(k.shape))), 0.0)


def runner_up(
    first: ArrayLike, second: ArrayLike, trials: ArrayLike, alpha: ArrayLike, n_classes: int
) -> tuple[Array, Array]:
    """Return bounds on the class with most votes, from below, and on any other, from above.

    Clopper-Pearson at alpha/3 on each, and a third of alpha for the claim that no other class is
    more probable: ``P_{1/2}[Bin(k + l, 1/2) >= k] <= alpha / (3 (C - 1))`` is asked of the two
    highest counts k and l. All hold together but with probability alpha, for any number of
    classes (``docs/theory.md``, section 5, with the proof).

    Parameters
    ----------
    first, second : array_like
        Votes of the class with most, and of that with second most.
    trials, alpha : array_like
        Number of models N, error probability in all.
    n_classes : int
        C, 2 or more.

    Returns
    -------
    p_lower, p_upper : array of float64
        0 and 1 where nothing is claimed.

    Raises
    ------
    ValueError
        As `clopper_pearson_lower`.
    """
    k, n, level = _counts(first, trials, alpha)
    rest, _, _ = _counts(second, trials, alpha)
    both = np.maximum(k + rest, 1)
    share = level / (3 * (n_classes - 1))
    beats = _tail(k, both, np.full(k.shape, 0.5)) <= share * (1 - TAIL_SLACK)
    lower = _beta_quantile(k, n, level / 3)
    upper = np.minimum(_less_than_one(_beta_quantile(n - rest, n, level / 3)), 1 - lower)
    return np.where(beats, lower, 0.0), np.where(beats, upper, 1.0)


def least_majority(trials: ArrayLike, alpha: ArrayLike) -> Array:
    """Return k_0, the least count that Clopper-Pearson at alpha/2 puts above 1/2.

    That is the least k with ``P_{1/2}[K >= k] < alpha/2``; N + 1 where no count does.
    """
    n, level = np.broadcast_arrays(np.asarray(trials, np.float64), np.asarray(alpha, np.float64))
    low, high = np.floor(n / 2), n + 1
    while np.any(high - low > 1):
        middle = np.floor((low + high) / 2)
        enough = _tail(middle, n, np.full(n.shape, 0.5)) < level / 2 * (1 - TAIL_SLACK)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high


def hoeffding_lower(mean: ArrayLike, trials: ArrayLike, alpha: ArrayLike) -> Array:
    """Return the lower bound ``mean - sqrt(log(1/alpha) / (2N))`` on a mean of [0, 1] scores.

    Hoeffding, J. Am. Stat. Assoc. 58 (1963), Theorem 1.

    Parameters
    ----------
    mean : array_like
        Mean score of the class over N models; each score in [0, 1].
    trials, alpha : array_like
        Number of models N, one-sided error probability.

    Returns
    -------
    array of float64
        0 where the bound would be negative.

    Raises
    ------
    ValueError
        If a mean is outside [0, 1], N is not a whole number above 0, or alpha is not from
        `LEAST_ALPHA` to below 1.
    """
    m, n, level = _means(mean, trials, alpha)
    return np.maximum(_down(m - np.sqrt(-np.log(level) / (2 * n))), 0.0)


def kl_lower(mean: ArrayLike, trials: ArrayLike, alpha: ArrayLike) -> Array:
    """Return the least p with ``kl(mean, p) <= log(1/alpha) / N``: Chernoff's bound, inverted.

    kl is the divergence between Bernoulli distributions. Never looser than `hoeffding_lower`
    (Pinsker). Hoeffding, J. Am. Stat. Assoc. 58 (1963), Theorem 1, equation (2.1).

    Parameters
    ----------
    mean, trials, alpha : array_like
        As for `hoeffding_lower`.

    Returns
    -------
    array of float64

    Raises
    ------
    ValueError
        As `hoeffding_lower`.
    """
    m, n, level = _means(mean, trials, alpha)
    budget = -np.log(level) / n

    def excess(p: Array) -> Array:
        return budget - rel_entr(m, p) - xlog1py(1 - m, -m) + xlog1py(1 - m, -p)

    lower = _bisect(excess, np.zeros(m.shape), m)
    return np.maximum(np.where(m == 0, 0.0, _down(lower)), hoeffding_lower(m, n, level))


def _beta_quantile(k: Array, n: Array, level: Array) -> Array:
    """Return the level quantile of Beta(k, n - k + 1), rounded down; 0 for k = 0."""
    some = np.maximum(k, 1)
    lower = np.where(k == n, level ** (1 / n), betaincinv(some, n - some + 1, level))
    return np.where(k == 0, 0.0, _down(lower))


def _less_than_one(lower: Array) -> Array:
    """Return 1 - lower, rounded up."""
    return np.minimum(np.nextafter(1 - lower, 2), 1)


def _bisect(excess: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Return the lower end of an interval around the point from which `excess` is above 0."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = excess(middle) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return low


def _tail(k: Array, n: Array, p: Array) -> Array:
    """Return P_p[K >= k] for K ~ Bin(n, p); 0 for k above n."""
    some = np.clip(k, 1, n)
    tail = betainc(some, n - some + 1, p)
    return np.where(k > n, 0.0, np.where(k < 1, 1.0, tail))


def _down(bound: Array) -> Array:
    return bound - SLACK * np.abs(bound)


def _counts(
    successes: ArrayLike, trials: ArrayLike, alpha: ArrayLike
) -> tuple[Array, Array, Array]:
    k, n, level = np.broadcast_arrays(
        *(np.asarray(v, np.float64) for v in (successes, trials, alpha))
    )
    _check_trials(n, level)
    require(is_whole(k) & (k >= 0) & (k <= n), "successes", k, "a whole number from 0 to trials")
    return k, n, level


def _means(mean: ArrayLike, trials: ArrayLike, alpha: ArrayLike) -> tuple[Array, Array, Array]:
    m, n, level = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (mean, trials, alpha)))
    _check_trials(n, level)
    require((m >= 0) & (m <= 1), "mean", m, "from 0 to 1")
    return m, n, level


def _check_trials(n: Array, level: Array) -> None:
    require(is_whole(n) & (n >= 1), "trials", n, "a whole number, 1 or more")
    fine = (level >= LEAST_ALPHA) & (level < 1)
    require(fine, "alpha", level, f"between 0 and 1, from {LEAST_ALPHA} on")
