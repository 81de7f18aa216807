"""l0 certificates of discrete smoothing, in exact arithmetic. ``docs/theory.md``, section 6.

Each coordinate of a domain of K values is kept with probability beta, else replaced by another
value, uniformly. Sources: Wang et al., arXiv 2002.11750; Lee et al., arXiv 1906.04948.
"""

import math
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certbd.checks import is_whole, require

HALF = Fraction(1, 2)


def required_probability(
    flips: ArrayLike, beta: float | Fraction, domain_size: int
) -> NDArray[np.float64]:
    """Return the probability that a class must exceed to be certified against `flips` changes.

    Only the changed coordinates matter. With i of them showing the clean value and j the changed
    one, the outcome has probability P in the clean world, Q (i and j exchanged) in the other, and
    likelihood ratio ``(beta/theta)^(i-j)``, theta the probability of one other value. Filling
    outcomes by descending ratio until Q reaches 1/2 gives the worst classifier (Neyman and
    Pearson), and the filled P is the required probability.

    Parameters
    ----------
    flips : array_like of int
        Number of changed coordinates, features and labels alike.
    beta : float or Fraction
        Probability that a coordinate is kept; a float stands for the decimal that it prints.
    domain_size : int
        Number K of values of a coordinate.

    Returns
    -------
    array of float64
        Rounded up; 1/2 for no change.

    Raises
    ------
    ValueError
        If flips is not whole or is negative, K is below 2, or beta is not inside (1/K, 1).
    """
    counts = np.asarray(flips)
    require(is_whole(counts) & (counts >= 0), "flips", counts, "a whole number, 0 or more")
    exact = [_exact_required(int(r), *_noise(beta, domain_size)) for r in counts.ravel()]
    return np.array([_up(value) for value in exact], np.float64).reshape(counts.shape)


def certified_flips(
    p_lower: ArrayLike, beta: float | Fraction, domain_size: int, *, max_flips: int = 100
) -> NDArray[np.int64]:
    """Return the largest number of changed coordinates that a prediction withstands.

    Parameters
    ----------
    p_lower : array_like
        Lower bounds on the probability of the predicted class.
    beta, domain_size
        As for `required_probability`.
    max_flips : int
        No more are looked for.

    Returns
    -------
    array of int64
        -1 where the bound is at most 1/2 (abstention), else the largest r with
        ``p_lower > required_probability(r)``, strictly.

    Raises
    ------
    ValueError
        If a bound is outside [0, 1], and as `required_probability`.
    """
    p = np.asarray(p_lower, np.float64)
    require((p >= 0) & (p <= 1), "p_lower", p, "from 0 to 1")
    flips = np.full(p.shape, -1, np.int64)
    for r in range(max_flips + 1):
        enough = p > required_probability(r, beta, domain_size)
        if not enough.any():
            break
        flips[enough] = r
    return flips


@cache
def _exact_required(flips: int, beta: Fraction, theta: Fraction) -> Fraction:
    """Fill outcomes, grouped by i - j from `flips` downwards, until Q reaches 1/2."""
    filled_p = filled_q = Fraction(0)
    for difference in range(flips, -flips - 1, -1):
        p = _group(flips, difference, beta, theta)
        q = p * (theta / beta) ** difference
        if filled_q + q >= HALF:
            return filled_p + p * (HALF - filled_q) / q
        filled_p, filled_q = filled_p + p, filled_q + q
    return Fraction(1)


def _group(flips: int, difference: int, beta: Fraction, theta: Fraction) -> Fraction:
    """Return the probability, in the clean world, of i - j = `difference`."""
    neither = 1 - beta - theta
    total = Fraction(0)
    for j in range(max(0, -difference), (flips - difference) // 2 + 1):
        i = j + difference
        ways = math.comb(flips, i) * math.comb(flips - i, j)
        total += ways * beta**i * theta**j * neither ** (flips - i - j)
    return total


def _noise(beta: float | Fraction, domain_size: int) -> tuple[Fraction, Fraction]:
    if domain_size != int(domain_size) or domain_size < 2:
        raise ValueError(f"domain_size must be a whole number, 2 or more, not {domain_size}")
    keep = Fraction(str(beta))
    if not Fraction(1, int(domain_size)) < keep < 1:
        raise ValueError(
            f"beta must be between 1/{domain_size} (a value drawn anew) and 1, both excluded, "
            f"not {beta}"
        )
    return keep, (1 - keep) / (int(domain_size) - 1)


def _up(value: Fraction) -> float:
    nearest = float(value)
    return nearest if Fraction(nearest) >= value else math.nextafter(nearest, math.inf)
