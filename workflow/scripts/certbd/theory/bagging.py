"""What bagging certifies: any r rows replaced, added or removed. ``docs/theory.md``, section 7.

Model k sees m of the n rows, drawn without replacement (Jia et al., arXiv 2008.04495). Of r rows

- *replaced*, a draw avoids all with probability ``q = C(n-r, m)/C(n, m)``, in both worlds; given
  that, it is the same draw;
- *added* by the attacker to n - r others, it avoids all with the same probability, and is then
  distributed as every draw of the world without them;
- *removed* by the attacker, a draw of the other world avoids all with probability
  ``q = C(n, m)/C(n+r, m)``, and is then distributed as every draw of the world as given.
"""

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from certbd.theory.checks import QUOTIENT_SLACK, check_count, is_whole, positive, require

_HALVINGS = 60


class _Leads(NamedTuple):
    """Bounds on two classes among draws that avoid the rows, and the lead that the first needs."""

    high: NDArray[np.float64]
    low: NDArray[np.float64]
    gap: float


def bagging_radius(
    p_a: ArrayLike,
    sigma_test: ArrayLike,
    n_rows: int,
    n_drawn: int,
    n_poisoned: int,
    *,
    p_b: ArrayLike | None = None,
    added: bool = False,
    removed: bool = False,
) -> NDArray[np.float64]:
    """Return the trigger radius of bagging with test noise, r rows replaced, labels too.

    Given that a draw avoids the rows, the class has probability at least ``a = (p_A - (1-q))/q``
    and any other at most ``b = p_B/q``, so in the other world it leads by at least
    ``q (cdf(ppf(a) - t) - cdf(ppf(b) + t)) - (1-q)``, ``t = tau/sigma_0``: the radius is where that
    is 0. With rows added, the other world has such draws alone, so nothing is subtracted; with
    rows removed, ``a`` and ``b`` are ``p_A`` and ``p_B``.

    Parameters
    ----------
    p_a, sigma_test : array_like
        Lower bound on the probability of the predicted class; test noise. Broadcast.
    n_rows, n_drawn, n_poisoned : int
        Rows n of the training set as given, rows m drawn for each model, rows r.
    p_b : array_like
        Upper bound on the probability of any other class; ``1 - p_a`` if left out or above that.
    added, removed : bool
        The attacker added or removed the rows, rather than replacing them.

    Returns
    -------
    array of float64
        0 where not even a clean test input is covered.

    Raises
    ------
    ValueError
        If rows are both added and removed, or a number is out of range.
    """
    p, other = _pair(p_a, p_b)
    test = positive("sigma_test", sigma_test)
    check_count(n_poisoned)
    _check_draw(n_rows, n_drawn, added, removed)
    q = _avoids(n_rows, n_drawn, n_poisoned, removed)
    if q <= (0 if added else 0.5):
        return np.zeros(np.broadcast_shapes(p.shape, test.shape))
    leads = _Leads(p, other, (1 - q) / q) if removed else _given(p, other, q, added)
    return test * _crossing(leads)


def _avoids(n_rows: int, n_drawn: int, count: int, removed: bool) -> float:
    """Return q, rounded down."""
    if removed:
        q = Fraction(math.comb(n_rows, n_drawn), math.comb(n_rows + count, n_drawn))
    else:
        clean = math.comb(max(0, n_rows - count), n_drawn)
        q = Fraction(clean, math.comb(n_rows, n_drawn))
    return max(0.0, math.nextafter(float(q), 0))


def _given(p: NDArray[np.float64], other: NDArray[np.float64], q: float, added: bool) -> _Leads:
    """Return the bounds among draws of the given world that avoid the rows."""
    high = np.clip((p - (1 - q)) / q, 0, 1)
    low = np.minimum(other / q, 1)
    if added:
        return _Leads(high, np.minimum(low, 1 - high), 0.0)
    return _Leads(high, low, (1 - q) / q)


def _crossing(leads: _Leads) -> NDArray[np.float64]:
    """Return the t up to which ``cdf(ppf(high) - t) - cdf(ppf(low) + t) > gap``, else 0.

    The difference falls with t, and is below the gap where ``cdf(ppf(high) - t)`` is; without a
    gap it is 0 half way between the two.
    """
    high, low = ndtri(leads.high), ndtri(leads.low)
    if leads.gap == 0:
        with np.errstate(invalid="ignore"):  # both infinite, on the same side: nothing leads
            return np.where(leads.high > leads.low, np.maximum((high - low) / 2, 0), 0)
    left = np.zeros(high.shape)
    right = np.where(np.isfinite(high), np.maximum(high - ndtri(leads.gap), 0), 0)
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        ahead = ndtr(high - middle) - ndtr(low + middle) > leads.gap
        left, right = np.where(ahead, middle, left), np.where(ahead, right, middle)
    return np.where(high == np.inf, np.inf, left)


def bagging_rows(
    p_a: ArrayLike,
    n_rows: int,
    n_drawn: int,
    *,
    p_b: ArrayLike | None = None,
    added: bool = False,
    removed: bool = False,
) -> NDArray[np.int32]:
    """Return the largest number of rows that bagging covers, the test input untouched.

    That is the largest r with ``p_A - p_B > 2 (1 - q(r))`` for rows replaced, ``> 1 - q(r)`` for
    rows added by the attacker, ``> (1 - q(r))/q(r)`` for rows removed by the attacker; q and p_B as
    in `bagging_radius`. It is -1 where not even r = 0 holds. With rows added, it is at most
    ``n - m``, the number that leaves a draw; with rows removed, at most n.

    Raises
    ------
    ValueError
        As `bagging_radius`.
    """
    p, other = _pair(p_a, p_b)
    _check_draw(n_rows, n_drawn, added, removed)
    lead = p - other
    if removed:
        kept, least = np.arange(n_rows + 1.0, 2 * n_rows + 1), 1 / (1 + np.maximum(lead, 0))
    elif added:
        kept, least = np.arange(n_rows, n_drawn, -1.0), (1 - p) + other
    else:
        kept, least = np.arange(n_rows, n_drawn - 1, -1.0)[: n_rows // 2 + 1], 1 - lead / 2
    avoided = np.cumprod((kept - n_drawn) / kept) * (1 - QUOTIENT_SLACK)  # q(1), q(2), ...
    covered = np.searchsorted(-avoided, -least)
    return np.where(lead > 0, covered, -1).astype(np.int32)


def _check_draw(n_rows: int, n_drawn: int, added: bool, removed: bool) -> None:
    drawn = np.asarray(n_drawn)
    require(is_whole(drawn) & (drawn >= 1) & (drawn <= n_rows), "n_drawn", drawn, "1 to n_rows")
    if added and removed:
        raise ValueError("added and removed; allowed: one of them, or neither for rows replaced")


def _pair(p_a: ArrayLike, p_b: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both bounds; another class has no more than the predicted one leaves."""
    p = np.asarray(p_a, np.float64)
    require((p >= 0) & (p <= 1), "p_a", p, "from 0 to 1")
    if p_b is None:
        return p, 1 - p
    other = np.asarray(p_b, np.float64)
    require((other >= 0) & (other <= 1), "p_b", other, "from 0 to 1")
    return p, np.minimum(other, 1 - p)
