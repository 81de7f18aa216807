"""Radii of the Gaussian certificates. ``docs/theory.md``, section 2.

With training noise ``sigma_i`` on training input i and test noise ``sigma_0``, a prediction of
margin M holds for every perturbation with
``sqrt(|delta_0|^2/sigma_0^2 + sum_i |delta_i|^2/sigma_i^2) < M``.
Source: Weber et al. (RAB), arXiv 2003.08904, for equal sigma; Cohen et al., arXiv 1902.02918,
Theorem 1, after scaling each block of coordinates by its own sigma.
"""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from certbd.theory.checks import is_whole, require

QUOTIENT_SLACK = 1e-10
"""Relative, on products of up to a million quotients."""
_HALVINGS = 60


def margin(p_a: ArrayLike, p_b: ArrayLike) -> NDArray[np.float64]:
    """Return ``M = (ppf(p_a) - ppf(p_b)) / 2``, in units of standard deviations.

    Parameters
    ----------
    p_a, p_b : array_like
        Lower bound on the probability of the predicted class, upper bound on any other's.

    Raises
    ------
    ValueError
        If a probability is outside [0, 1].
    """
    a, b = np.asarray(p_a, np.float64), np.asarray(p_b, np.float64)
    require((a >= 0) & (a <= 1), "p_a", a, "from 0 to 1")
    require((b >= 0) & (b <= 1), "p_b", b, "from 0 to 1")
    with np.errstate(invalid="ignore"):
        return np.where(a == b, 0.0, (ndtri(a) - ndtri(b)) / 2)


def joint_radius(
    margin: ArrayLike, sigma_test: ArrayLike, sigma_train: ArrayLike
) -> NDArray[np.float64]:
    """Return the l2 radius for a perturbation of training set and test input together.

    ``M min(sigma_0, min_i sigma_i)``; 0 where the margin is not positive.

    Parameters
    ----------
    margin, sigma_test : array_like
        Broadcast over test inputs.
    sigma_train : float or array (n,)
        Over training inputs: reduced, never broadcast.
    """
    test, train = _positive("sigma_test", sigma_test), _positive("sigma_train", sigma_train)
    return _certified(margin) * np.minimum(test, train.min())


def trigger_radius(
    margin: ArrayLike, sigma_test: ArrayLike, sigma_train: ArrayLike, n_poisoned: int
) -> NDArray[np.float64]:
    """Return the trigger norm below which a trigger on any `n_poisoned` training inputs holds.

    ``M / sqrt(1/sigma_0^2 + sum over the n_poisoned smallest sigma_i of 1/sigma_i^2)``, the
    trigger being on the test input too; 0 where the margin is not positive.

    Parameters
    ----------
    margin, sigma_test : array_like
        Broadcast over test inputs.
    sigma_train : float or array (n,)
        Over training inputs: reduced, never broadcast. A scalar stands for equal noise.
    n_poisoned : int
        More than there are training inputs counts as all of them.
    """
    train = _positive("sigma_train", sigma_train)
    _check_count(n_poisoned)
    if train.ndim == 0:
        return _radius(margin, sigma_test, np.sqrt(n_poisoned) / float(train))
    inverse = 1 / np.sort(train)[:n_poisoned]
    largest = np.max(inverse, initial=0.0)
    scaled = inverse / largest if largest else inverse
    return _radius(margin, sigma_test, largest * np.sqrt(np.sum(scaled**2)))


def class_mean_trigger_radius(
    margin: ArrayLike, sigma_test: ArrayLike, class_variance: ArrayLike, n_poisoned: int
) -> NDArray[np.float64]:
    """Return the trigger radius for a learner that sees its inputs through class means alone.

    `n_poisoned` triggers of norm tau in class c move its mean by at most ``n_poisoned tau/n_c``,
    whose noise is ``sqrt(sum_{i in c} sigma_i^2)/n_c``: the worst class weighs
    ``n_poisoned^2 / sum_{i in c} sigma_i^2``.

    Parameters
    ----------
    margin, sigma_test : array_like
        Broadcast over test inputs.
    class_variance : array (classes,)
        ``sum_{i in c} sigma_i^2``: ``n_c sigma_train^2`` for equal noise.
    n_poisoned : int
    """
    variance = _positive("class_variance", class_variance)
    _check_count(n_poisoned)
    return _radius(margin, sigma_test, n_poisoned / np.sqrt(variance.min()))


def class_variance(labels: ArrayLike, sigma_train: ArrayLike) -> NDArray[np.float64]:
    """Return ``sum_{i in c} sigma_i^2`` of each class, for labels (n,) and training noise (n,)."""
    variance = np.square(_positive("sigma_train", sigma_train))
    return np.bincount(np.asarray(labels), variance).astype(np.float64)


def bagging_radius(
    p_a: ArrayLike,
    sigma_test: ArrayLike,
    n_rows: int,
    n_drawn: int,
    n_poisoned: int,
    *,
    p_b: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Return the trigger radius of bagging with test noise: any rows replaced, labels too.

    A draw of m of n rows without replacement avoids r given ones with probability
    ``q = C(n-r, m)/C(n, m)``. Given that, the class has probability at least
    ``a = (p_A - (1-q))/q`` and any other at most ``b = p_B/q``, so in the other world it leads by
    at least ``q (cdf(ppf(a) - t) - cdf(ppf(b) + t)) - (1-q)``, ``t = tau/sigma_0``: the radius is
    where that is 0. ``docs/theory.md``, section 7; Jia et al., arXiv 2008.04495, for the draws.

    Parameters
    ----------
    p_a, sigma_test : array_like
        Lower bound on the probability of the predicted class; test noise. Broadcast.
    n_rows, n_drawn, n_poisoned : int
        Rows n of the training set, rows m drawn for each model, rows r replaced.
    p_b : array_like
        Upper bound on the probability of any other class; ``1 - p_a`` if left out or above that.

    Returns
    -------
    array of float64
        0 where not even a clean test input is covered.
    """
    p, other = _pair(p_a, p_b)
    test = _positive("sigma_test", sigma_test)
    _check_count(n_poisoned)
    drawn = np.asarray(n_drawn)
    require(is_whole(drawn) & (drawn >= 1) & (drawn <= n_rows), "n_drawn", drawn, "1 to n_rows")
    clean = math.comb(max(0, n_rows - n_poisoned), n_drawn)
    q = math.nextafter(float(Fraction(clean, math.comb(n_rows, n_drawn))), 0)
    if q <= 0.5:
        return np.zeros(np.broadcast_shapes(p.shape, test.shape))
    given = np.clip((p - (1 - q)) / q, 0, 1)
    return test * _crossing(ndtri(given), ndtri(np.minimum(other / q, 1)), (1 - q) / q)


def _crossing(
    high: NDArray[np.float64], low: NDArray[np.float64], gap: float
) -> NDArray[np.float64]:
    """Return the t up to which ``cdf(high - t) - cdf(low + t) > gap``; 0 where not even at t = 0.

    The difference falls with t, and is below the gap where ``cdf(high - t)`` is.
    """
    left = np.zeros(high.shape)
    right = np.where(np.isfinite(high), np.maximum(high - ndtri(gap), 0), 0)
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        leads = ndtr(high - middle) - ndtr(low + middle) > gap
        left, right = np.where(leads, middle, left), np.where(leads, right, middle)
    return np.where(high == np.inf, np.inf, left)


def statistic_radius(
    margin: ArrayLike,
    sigma_test: ArrayLike,
    sigma_statistic: float,
    n_rows: int,
    n_poisoned: int,
    bound: float,
) -> NDArray[np.float64]:
    """Return the trigger radius of a noisy bounded statistic: any rows replaced, labels too.

    Replacing r of n rows moves ``T = (1/n) sum_i t(x_i, y_i)``, ``|t| <= B``, by at most
    ``2 r B/n``; with noise s on T the joint certificate leaves
    ``sigma_0 sqrt(M^2 - (2 r B/(n s))^2)`` for the test input. ``docs/theory.md``, section 7.

    Parameters
    ----------
    margin, sigma_test : array_like
        Broadcast over test inputs.
    sigma_statistic : float
        Standard deviation s of the noise on each coordinate of T.
    n_rows, n_poisoned : int
        Rows n of the training set, rows r replaced.
    bound : float
        B, fixed before the data are seen.

    Returns
    -------
    array of float64
        0 where not even a clean test input is covered.
    """
    test, noise = _positive("sigma_test", sigma_test), _positive("sigma_statistic", sigma_statistic)
    rows, size = _positive("n_rows", n_rows), _positive("bound", bound)
    _check_count(n_poisoned)
    left = _certified(margin) ** 2 - (2 * n_poisoned * size / (rows * noise)) ** 2
    return test * np.sqrt(np.maximum(left, 0))


def bagging_rows(
    p_a: ArrayLike, n_rows: int, n_drawn: int, *, p_b: ArrayLike | None = None
) -> NDArray[np.int32]:
    """Return the largest number of replaced rows that bagging covers, the test input untouched.

    That is the largest r with ``p_A - p_B > 2 (1 - q(r))``, q and p_B as in `bagging_radius`; -1
    where not even r = 0 holds.
    """
    p, other = _pair(p_a, p_b)
    kept = np.arange(n_rows, n_drawn - 1, -1.0)[: n_rows // 2 + 1]  # n - r
    avoided = np.cumprod((kept - n_drawn) / kept) * (1 - QUOTIENT_SLACK)  # q(1), q(2), ...
    most = 1 - (p - other) / 2
    covered = np.searchsorted(-avoided, -most)
    return np.where(most < 1, covered, -1).astype(np.int32)


def _pair(p_a: ArrayLike, p_b: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both bounds; another class has no more than the predicted one leaves."""
    p = np.asarray(p_a, np.float64)
    require((p >= 0) & (p <= 1), "p_a", p, "from 0 to 1")
    if p_b is None:
        return p, 1 - p
    other = np.asarray(p_b, np.float64)
    require((other >= 0) & (other <= 1), "p_b", other, "from 0 to 1")
    return p, np.minimum(other, 1 - p)


def statistic_rows(
    margin: ArrayLike, sigma_statistic: float, n_rows: int, bound: float
) -> NDArray[np.int32]:
    """Return the largest number of replaced rows that a noisy bounded statistic covers.

    The largest r with ``2 r B/(n s) < M``, the test input untouched; -1 where M is not positive.
    """
    reach = _certified(margin) * (n_rows * sigma_statistic / (2 * bound)) * (1 - QUOTIENT_SLACK)
    return np.minimum(np.ceil(reach) - 1, n_rows).astype(np.int32)


def _radius(margin: ArrayLike, sigma_test: ArrayLike, training: float) -> NDArray[np.float64]:
    """Return ``M / sqrt(1/sigma_0^2 + training^2)``, however different the two are."""
    return _certified(margin) / np.hypot(1 / _positive("sigma_test", sigma_test), training)


def _certified(margin: ArrayLike) -> NDArray[np.float64]:
    """Return the margin, 0 where it certifies nothing."""
    values = np.asarray(margin, np.float64)
    require(~np.isnan(values), "margin", values, "a number")
    return np.maximum(values, 0)


def _positive(name: str, value: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(value, np.float64)
    require((array > 0) & np.isfinite(array), name, array, "above 0 and finite")
    return array


def _check_count(n_poisoned: int) -> None:
    count = np.asarray(n_poisoned)
    require(is_whole(count) & (count >= 0), "n_poisoned", count, "a whole number, 0 or more")
