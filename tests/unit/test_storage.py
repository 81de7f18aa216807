import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certbd.storage import storage_update


def oracle(inputs, labels, radii):
    """The algorithm of docs/theory.md, section 4, as it is written there."""
    stored, answers = [], []
    for x, c, r in zip(inputs, labels, radii, strict=True):
        inside = [(rj - d, cj) for d, cj, rj in distances(x, stored) if d < rj]
        action = "kept"
        if inside and (r == 0 or inside[0][1] != c):
            r, c, action = down(max(inside)[0]), inside[0][1], "aligned"
        elif r == 0:
            answers.append((c, 0.0, "abstained"))
            continue
        else:
            gaps = [d - rj for d, cj, rj in distances(x, stored) if cj != c and d < r + rj]
            if gaps:
                r, action = max(0.0, down(min(gaps))), "trimmed"
            if inside and max(inside)[0] > r:
                r, action = down(max(inside)[0]), "extended"
        if r > 0:
            stored.append((x, c, r))
        answers.append((c, r, action))
    return answers


def distances(x, stored):
    return [
        (np.linalg.norm(np.asarray(xj, float) - np.asarray(x, float)), cj, rj)
        for xj, cj, rj in stored
    ]


def down(radius):
    return np.nextafter(radius, -np.inf)


@st.composite
def queries(draw):
    """Points on a lattice or not, with duplicates, abstentions, tiny and huge radii."""
    dimension = draw(st.integers(1, 5))
    coordinate = draw(st.sampled_from([st.integers(-3, 3), st.floats(-3, 3)]))
    points = st.lists(coordinate, min_size=dimension, max_size=dimension)
    radius = st.one_of(st.just(0.0), st.sampled_from([0.5, 1.0, 2.0, 1e-9, 1e9]), st.floats(0, 4))
    return draw(st.lists(st.tuples(points, st.integers(0, 3), radius), min_size=1, max_size=25))


@settings(max_examples=400, deadline=None)
@given(queries())
def test_equals_the_oracle(rows):
    inputs, labels, radii = zip(*rows, strict=True)
    got = storage_update(inputs, labels, radii)
    assert list(zip(*got, strict=True)) == oracle(inputs, labels, radii)


@settings(max_examples=200, deadline=None)
@given(queries())
def test_balls_of_different_labels_never_meet(rows):
    inputs, labels, radii = zip(*rows, strict=True)
    got = storage_update(inputs, labels, radii)
    points = np.array(inputs, float)
    for i in np.flatnonzero(got.radii > 0):
        for j in np.flatnonzero((got.radii > 0) & (got.labels != got.labels[i])):
            gap = np.linalg.norm(points[i] - points[j])
            assert gap >= (got.radii[i] + got.radii[j]) * (1 - 1e-12)


def test_each_action():
    inputs = [[0.0], [0.5], [2.5], [0.2], [9.0], [0.1]]
    labels = [1, 0, 0, 1, 1, 1]
    radii = [1.0, 0.3, 2.0, 0.1, 0.0, 0.0]
    got = storage_update(inputs, labels, radii)
    assert got.actions.tolist() == [
        "kept",
        "aligned",
        "trimmed",
        "extended",
        "abstained",
        "aligned",
    ]
    assert got.labels.tolist() == [1, 1, 0, 1, 1, 1]
    np.testing.assert_allclose(got.radii, [1.0, 0.5, 1.5, 0.8, 0.0, 0.9])
    assert got.radii[1] < 0.5


def test_the_order_of_queries_matters_and_inputs_are_not_changed():
    inputs, labels, radii = np.array([[0.0], [0.5]]), np.array([0, 1]), np.array([1.0, 1.0])
    forward = storage_update(inputs, labels, radii)
    backward = storage_update(inputs[::-1], labels[::-1], radii)
    assert forward.labels.tolist() == [0, 0]
    assert backward.labels.tolist() == [1, 1]
    assert labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("inputs", "labels", "radii", "named"),
    [
        ([[0.0]], [0, 1], [1.0], "1 inputs, 2 labels"),
        ([[np.nan]], [0], [1.0], "inputs .* not nan"),
        ([[0.0]], [0], [-1.0], "radii .* not -1"),
        ([[0.0]], [0], [np.nan], "radii .* not nan"),
    ],
)
def test_bad_values_are_named(inputs, labels, radii, named):
    with pytest.raises(ValueError, match=named):
        storage_update(inputs, labels, radii)
