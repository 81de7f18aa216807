"""Bagging against rows replaced, added and removed: by enumeration of all draws, and exactly."""

import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import norm

from certbd.theory import certificates
from certbd.theory.certificates import bagging_radius, bagging_rows


def draws(rows, m):
    return list(combinations(sorted(rows), m))


def share(votes, sets):
    """Return the share of draws that vote for class 0, votes by draw."""
    return Fraction(sum(votes[s] == 0 for s in sets), len(sets))


@pytest.mark.parametrize(("n", "m"), [(6, 1), (6, 2), (7, 3), (8, 2)])
@pytest.mark.parametrize("how", ["replaced", "added", "removed"])
def test_rows_are_covered_just_where_no_world_breaks_the_vote(n, m, how):
    """Draws without a row of the attacker's vote alike in both worlds, others as he likes best.

    Two classes: the certificate holds just where the worst such world keeps the label.
    """
    generator = np.random.default_rng(n * m)
    entered = {} if how == "replaced" else {how: True}
    reached = 0
    for _ in range(40):
        given = draws(range(n), m)
        order = generator.permutation(len(given))
        lost = generator.integers(0, len(given) // 2 + 1)
        votes = {given[k]: int(place < lost) for place, k in enumerate(order)}
        p = share(votes, given)
        rows = int(bagging_rows([float(p)], n, m, **entered)[0])
        for r in range(n - m + 1 if how != "removed" else n + 1):
            holds = all(
                _worst(votes, n, m, how, set(attacked)) > Fraction(1, 2)
                for attacked in _attacked(n, r, how)
            ) if _certifies(p, n, m, r, how) else False  # fmt: skip
            assert _certifies(p, n, m, r, how) == (r <= rows), (p, r)
            assert holds or r > rows
        reached = max(reached, rows)
    assert reached >= 1


def _attacked(n, r, how):
    if how == "removed":  # rows that are not there any more
        return [range(n, n + r)]
    return combinations(range(n), r)


def _certifies(p, n, m, r, how):
    """The condition of theory.md, section 9, in exact numbers."""
    if how == "removed":
        q = Fraction(math.comb(n, m), math.comb(n + r, m))
        return q * p > q * (1 - p) + 1 - q
    q = Fraction(math.comb(max(0, n - r), m), math.comb(n, m))
    return 2 * p - 1 > (1 - q if how == "added" else 2 * (1 - q))


def _worst(votes, n, m, how, attacked):
    """Return the share of class 0 in the world without the attack, in the worst case."""
    if how == "removed":
        every = draws(range(n + len(attacked)), m)
        kept = [s for s in every if not attacked & set(s)]
        return Fraction(sum(votes[s] == 0 for s in kept), len(every))
    kept = [s for s in draws(range(n), m) if not attacked & set(s)]
    if how == "added":
        return share(votes, kept) if kept else Fraction(0)
    return Fraction(sum(votes[s] == 0 for s in kept), math.comb(n, m))


@pytest.mark.parametrize("how", ["replaced", "added", "removed"])
@pytest.mark.parametrize("upper", [None, 0.2])
def test_a_trigger_radius_is_where_the_lead_of_the_worst_world_ends(how, upper):
    """Recomputed by bisection on the condition, with normal distributions of scipy's."""
    n, m, sigma = 300, 12, 0.4
    entered = {} if how == "replaced" else {how: True}
    for p in (0.55, 0.8, 0.97, 0.9999):
        other = 1 - p if upper is None else min(upper, 1 - p)
        for r in (0, 1, 4, 9, 30):
            top, bottom = n + r * (how == "removed"), n - r * (how != "removed")
            q = math.comb(bottom, m) / math.comb(top, m)
            high, low = (p, other) if how == "removed" else ((p - 1 + q) / q, other / q)
            low = min(low, 1 - high) if how == "added" else low
            need = 0 if how == "added" else (1 - q) / q

            def lead(t, high=high, low=low):
                return norm.cdf(norm.ppf(high) - t) - norm.cdf(norm.ppf(low) + t)

            found = bagging_radius([p], sigma, n, m, r, p_b=[other], **entered)[0]
            if not high > 0 or not lead(0) > need:
                assert found == 0
                continue
            assert lead(found / sigma * (1 - 1e-6)) > need > lead(found / sigma * (1 + 1e-6)) - 1e-9
            assert (found > 0) == (r <= bagging_rows([p], n, m, p_b=[other], **entered)[0])


def test_added_rows_are_cheaper_than_replaced_ones_and_removed_ones_between():
    p = np.linspace(0.55, 0.9999, 50)
    replaced, added, removed = (
        bagging_rows(p, 1000, 20, **entered) for entered in ({}, {"added": True}, {"removed": True})
    )
    assert np.all(replaced <= removed)
    assert np.all(removed <= added)
    assert np.all(added[-1] > 4 * replaced[-1])


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="added and removed"):
        bagging_rows([0.9], 10, 2, added=True, removed=True)
    with pytest.raises(ValueError, match="added and removed"):
        certificates.bagging_radius([0.9], 0.1, 10, 2, 1, added=True, removed=True)
    with pytest.raises(ValueError, match="n_drawn must be 1 to n_rows"):
        bagging_rows([0.9], 10, 11)
    assert bagging_rows([0.5, 0.3], 10, 2, added=True).tolist() == [-1, -1]
    most = bagging_rows([1.0], 10, 2, p_b=[0.0], added=True)[0]
    assert most == 8  # two rows are left to draw
