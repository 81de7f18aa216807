from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from certbd import discrete

# Lee et al., arXiv 1906.04948: published tables for K = 2.
LEE = {
    Fraction(9, 10): "0.9444444 0.9938272 0.9993141 0.9999238 0.9999915",
    Fraction(8, 10): "0.875 0.96875 0.9921875 0.99275 0.9969875 0.9990069",
    Fraction(92, 100): "0.9565217 0.9962193 0.9996712 0.9999714",
}


def enumerated(flips, beta, size):
    """The required probability from all outcomes of the changed coordinates, one by one."""
    theta = (1 - beta) / (size - 1)
    outcomes = []
    for values in product(range(size), repeat=flips):  # clean value 0, changed value 1
        p = q = Fraction(1)
        for value in values:
            p *= beta if value == 0 else theta
            q *= beta if value == 1 else theta
        outcomes.append((p, q))
    needed, filled = Fraction(1, 2), Fraction(0)
    for p, q in sorted(outcomes, key=lambda outcome: outcome[0] / outcome[1], reverse=True):
        share = min(Fraction(1), needed / q)
        filled, needed = filled + share * p, needed - share * q
        if needed == 0:
            break
    return filled


@pytest.mark.parametrize("beta", LEE)
def test_published_tables(beta):
    for flips, text in enumerate(LEE[beta].split(), start=1):
        exact = enumerated(flips, beta, 2)
        got = float(discrete.required_probability(flips, beta, 2))
        assert Fraction(got) >= exact
        assert got - exact < 1e-15
        assert abs(got - float(text)) < 0.6 * 10 ** -len(text.split(".")[1])


@pytest.mark.parametrize(
    ("beta", "size", "most"),
    [("0.9", 2, 8), ("0.55", 2, 8), ("0.5", 3, 6), ("0.4", 5, 4), ("0.1", 11, 3), ("0.7", 256, 1)],
)
def test_equals_the_enumeration_rounded_up(beta, size, most):
    flips = np.arange(most + 1)
    got = discrete.required_probability(flips, float(beta), size)
    assert got[0] == 0.5
    assert np.all(np.diff(got) > 0)
    for r in flips:
        exact = enumerated(int(r), Fraction(beta), size)
        assert exact <= Fraction(got[r]) < exact + Fraction(1, 10**15)


def test_certified_flips():
    required = discrete.required_probability(np.arange(4), 0.9, 2)
    above = np.nextafter(required, 1)
    assert discrete.certified_flips(required, 0.9, 2).tolist() == [-1, 0, 1, 2]
    assert discrete.certified_flips(above, 0.9, 2).tolist() == [0, 1, 2, 3]
    assert discrete.certified_flips([0.0, 0.3], 0.9, 2).tolist() == [-1, -1]
    assert discrete.certified_flips(1.0, 0.9, 2, max_flips=7) == 7


def test_models_needed_for_two_and_three_flips():
    """All votes at beta = 0.9 and alpha/2 = 0.0005 (docs/theory.md, section 6)."""
    for n_models, flips in ((1227, 1), (1228, 2), (11_078, 2), (11_079, 3)):
        assert discrete.certified_flips(0.0005 ** (1 / n_models), 0.9, 2) == flips


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((-1, 0.9, 2), "flips .* not -1"),
        ((1.5, 0.9, 2), "flips .* not 1.5"),
        ((1, 0.5, 2), "beta .* 1/2 .* not 0.5"),
        ((1, 1.0, 2), "beta .* not 1.0"),
        ((1, 0.9, 1), "domain_size .* not 1"),
    ],
)
def test_bad_values_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        discrete.required_probability(*arguments)


def test_bad_probabilities_are_named():
    with pytest.raises(ValueError, match=r"p_lower .* not 1\.1"):
        discrete.certified_flips([0.9, 1.1], 0.9, 2)
