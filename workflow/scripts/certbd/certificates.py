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

from certbd.checks import is_whole, require


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
    return (ndtri(a) - ndtri(b)) / 2


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
    return np.maximum(margin, 0) * np.minimum(test, train.min())


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
    weights = n_poisoned / train**2 if train.ndim == 0 else 1 / np.sort(train)[:n_poisoned] ** 2
    return _radius_of_weight(margin, sigma_test, float(np.sum(weights)))


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
    return _radius_of_weight(margin, sigma_test, n_poisoned**2 / variance.min())


def _radius_of_weight(
    margin: ArrayLike, sigma_test: ArrayLike, weight: float
) -> NDArray[np.float64]:
    test = _positive("sigma_test", sigma_test)
    return np.maximum(margin, 0) / np.sqrt(1 / test**2 + weight)


def _positive(name: str, value: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(value, np.float64)
    require((array > 0) & np.isfinite(array), name, array, "above 0 and finite")
    return array


def _check_count(n_poisoned: int) -> None:
    count = np.asarray(n_poisoned)
    require(is_whole(count) & (count >= 0), "n_poisoned", count, "a whole number, 0 or more")
