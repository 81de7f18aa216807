"""Radii of the Gaussian certificates. ``docs/theory.md``, section 2.

With training noise ``sigma_i`` on training input i and test noise ``sigma_0``, a prediction of
margin M holds for every perturbation with
``sqrt(|delta_0|^2/sigma_0^2 + sum_i |delta_i|^2/sigma_i^2) < M``.
Source: Weber et al. (RAB), arXiv 2003.08904, for equal sigma; Cohen et al., arXiv 1902.02918,
Theorem 1, after scaling each block of coordinates by its own sigma.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from certbd.theory.bagging import bagging_radius as bagging_radius
from certbd.theory.bagging import bagging_rows as bagging_rows
from certbd.theory.checks import QUOTIENT_SLACK, check_count, positive, require


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
    test, train = positive("sigma_test", sigma_test), positive("sigma_train", sigma_train)
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
    train = positive("sigma_train", sigma_train)
    check_count(n_poisoned)
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
    variance = positive("class_variance", class_variance)
    check_count(n_poisoned)
    return _radius(margin, sigma_test, n_poisoned / np.sqrt(variance.min()))


def class_variance(labels: ArrayLike, sigma_train: ArrayLike) -> NDArray[np.float64]:
    """Return ``sum_{i in c} sigma_i^2`` of each class, for labels (n,) and training noise (n,)."""
    variance = np.square(positive("sigma_train", sigma_train))
    return np.bincount(np.asarray(labels), variance).astype(np.float64)


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
    test, noise = positive("sigma_test", sigma_test), positive("sigma_statistic", sigma_statistic)
    rows, size = positive("n_rows", n_rows), positive("bound", bound)
    check_count(n_poisoned)
    left = _certified(margin) ** 2 - (2 * n_poisoned * size / (rows * noise)) ** 2
    return test * np.sqrt(np.maximum(left, 0))


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
    return _certified(margin) / np.hypot(1 / positive("sigma_test", sigma_test), training)


def _certified(margin: ArrayLike) -> NDArray[np.float64]:
    """Return the margin, 0 where it certifies nothing."""
    values = np.asarray(margin, np.float64)
    require(~np.isnan(values), "margin", values, "a number")
    return np.maximum(values, 0)
