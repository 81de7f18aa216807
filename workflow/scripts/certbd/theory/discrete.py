"""l0 certificates of discrete smoothing, in exact arithmetic. ``docs/theory.md``, section 6.

Each coordinate of a domain of K values is kept with probability beta, else replaced by another
value, uniformly. Sources: Wang et al., arXiv 2002.11750; Lee et al., arXiv 1906.04948.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from itertools import permutations, product
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certbd.theory.checks import is_whole, require

Noise = tuple[Fraction, Fraction]
"""beta, and theta, the probability of each other value."""
MOST_MODELS = 10**9


class Domain(NamedTuple):
    """So many coordinates of `domain_size` values each, kept with probability `beta`."""

    beta: float | Fraction
    domain_size: int
    coordinates: int


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
    noise, counts = _noise(beta, domain_size), np.asarray(flips)
    _require_whole("flips", counts, 0)
    exact = [_required_of_split((int(r),), (noise,)) for r in counts.ravel()]
    return np.array([_up(value) for value in exact], np.float64).reshape(counts.shape)


def required_probability_mixed(flips: ArrayLike, domains: Sequence[Domain]) -> NDArray[np.float64]:
    """Return `required_probability` for coordinates of several domains.

    The largest over the splits of the changes over the domains; within one split the product
    outcomes are sorted by likelihood ratio. Only splits that are proven to be no worse than
    another are left out (``docs/theory.md``, section 6).

    Raises
    ------
    ValueError
        If flips or coordinates are not whole or negative, there are more flips than coordinates,
        and as `required_probability`.
    """
    sizes, changes = _sizes(domains), np.asarray(flips)
    total = sum(sizes.values())
    allowed = f"a whole number from 0 to {total}, the number of coordinates"
    require(is_whole(changes) & (changes >= 0) & (changes <= total), "flips", changes, allowed)
    exact = [_required_of_mixed(int(r), tuple(sizes.items())) for r in changes.ravel()]
    return np.array([_up(value) for value in exact], np.float64).reshape(changes.shape)


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
    domain = Domain(beta, domain_size, max_flips)
    return certified_flips_mixed(p_lower, [domain], max_flips=max_flips)


def certified_flips_mixed(
    p_lower: ArrayLike, domains: Sequence[Domain], *, max_flips: int = 12
) -> NDArray[np.int64]:
    """Return `certified_flips` for coordinates of several domains.

    -1 where the bound is at most 1/2, else the largest r, at most the number of coordinates, with
    ``p_lower > required_probability_mixed(r)``, strictly. No more than `max_flips` are looked for:
    with three domains of which none dominates another, the work for r grows as its fifth power.
    Errors as for both.
    """
    p = np.asarray(p_lower, np.float64)
    require((p >= 0) & (p <= 1), "p_lower", p, "from 0 to 1")
    _require_whole("max_flips", max_flips, 0)
    flips = np.full(p.shape, -1, np.int64)
    for r in range(min(int(max_flips), sum(_sizes(domains).values())) + 1):
        enough = p > required_probability_mixed(r, domains)
        if not enough.any():
            break
        flips[enough] = r
    return flips


def unanimous_models(required: float, unanimous: Callable[[int], float]) -> int:
    """Return the least number of models whose unanimous votes are bounded above `required`.

    By bisection: the bound of N votes in N rises with N (tested).

    Parameters
    ----------
    required : float
        From `required_probability` or `required_probability_mixed`.
    unanimous : callable
        From a number of models to the lower bound on a class that all of them vote for.

    Raises
    ------
    ValueError
        If required is below 1/2 or needs more than `MOST_MODELS`.
    """
    most = unanimous(MOST_MODELS)
    allowed = f"from 0.5 to below {most}, which {MOST_MODELS} models reach"
    require(0.5 <= required < most, "required", required, allowed)
    few, enough = 0, MOST_MODELS
    while enough - few > 1:
        middle = (few + enough) // 2
        if unanimous(middle) > required:
            enough = middle
        else:
            few = middle
    return enough


def poisoned_images(flips: ArrayLike, trigger_pixels: ArrayLike) -> NDArray[np.int64]:
    """Return how many images a dirty-label backdoor may poison to stay within `flips` changes.

    A trigger of t pixels (values, where a pixel has several) on k training images and the test
    image, and k labels, are ``k (t + 1) + t`` coordinates. 0 where only the trigger on the test
    image is covered, -1 where not even that. ValueError for flips below -1 or fewer than 1 pixel.
    """
    _require_whole("flips", flips, -1)
    _require_whole("trigger_pixels", trigger_pixels, 1)
    changes, pixels = np.asarray(flips, np.int64), np.asarray(trigger_pixels, np.int64)
    return np.asarray((changes - pixels) // (pixels + 1))


@cache
def _required_of_mixed(flips: int, sizes: tuple[tuple[Noise, int], ...]) -> Fraction:
    noises = tuple(noise for noise, _ in sizes)
    return max(_required_of_split(split, noises) for split in _splits(flips, sizes))


def _splits(flips: int, sizes: tuple[tuple[Noise, int], ...]) -> Iterator[tuple[int, ...]]:
    """Yield the splits in which no change can move to a domain that dominates its own."""
    pairs = permutations(range(len(sizes)), 2)
    better = [(d, e) for d, e in pairs if _dominates(sizes[d][0], sizes[e][0])]
    for split in product(*(range(min(flips, count) + 1) for _, count in sizes)):
        if sum(split) == flips and not any(split[d] < sizes[d][1] and split[e] for d, e in better):
            yield split


def _dominates(one: Noise, other: Noise) -> bool:
    """Tell whether seeing a change under `one` tells at least as much as under `other`."""
    return one[0] / one[1] >= other[0] / other[1] and one[0] - one[1] >= other[0] - other[1]


@cache
def _required_of_split(flips: tuple[int, ...], noises: tuple[Noise, ...]) -> Fraction:
    """Fill product outcomes by descending P/Q until Q reaches 1/2; integers over `total`."""
    cells = [(1, 1)]
    for r, noise in zip(flips, noises, strict=True):
        weights = _weights(r, noise)
        pairs = [(p, q) for p, q in zip(weights, reversed(weights), strict=True) if p]
        cells = [(p * a, q * b) for p, q in cells for a, b in pairs]
    total = sum(p for p, _ in cells)
    filled_p = filled_q = 0
    for p, q in sorted(cells, key=lambda cell: Fraction(*cell), reverse=True):
        if 2 * (filled_q + q) >= total:
            return (filled_p + Fraction(p * (total - 2 * filled_q), 2 * q)) / total
        filled_p, filled_q = filled_p + p, filled_q + q
    raise AssertionError("Q adds up to 1")


def _weights(flips: int, noise: Noise) -> list[int]:
    """Return the odds, in the clean world, of i - j from -flips to flips."""
    beta, theta = noise
    scale = math.lcm(beta.denominator, theta.denominator)
    kept, changed = int(beta * scale), int(theta * scale)
    weights = [1]
    for _ in range(flips):
        shifted = zip([0, 0, *weights], [0, *weights, 0], [*weights, 0, 0], strict=True)
        weights = [kept * a + (scale - kept - changed) * b + changed * c for a, b, c in shifted]
    return weights


def _sizes(domains: Sequence[Domain]) -> Counter[Noise]:
    """Return the number of coordinates of each noise, equal ones merged."""
    sizes = Counter[Noise]()
    for beta, domain_size, coordinates in domains:
        _require_whole("coordinates", coordinates, 0)
        sizes[_noise(beta, domain_size)] += int(coordinates)
    return sizes


def _noise(beta: float | Fraction, domain_size: int) -> Noise:
    _require_whole("domain_size", domain_size, 2)
    size = int(domain_size)
    keep = Fraction(str(beta)) if math.isfinite(beta) else Fraction(0)
    allowed = f"between 1/{size} (a value drawn at random) and 1, both excluded"
    require(Fraction(1, size) < keep < 1, "beta", str(beta), allowed)
    return keep, (1 - keep) / (size - 1)


def _require_whole(name: str, values: ArrayLike, least: int) -> None:
    given = np.asarray(values)
    require(is_whole(given) & (given >= least), name, given, f"a whole number, {least} or more")


def _up(value: Fraction) -> float:
    nearest = float(value)
    return nearest if Fraction(nearest) >= value else math.nextafter(nearest, math.inf)
