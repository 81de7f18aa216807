import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certbd.theory import storage
from certbd.theory.storage import order_sensitivity, storage_update


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
    """Sums in one order: a dot product, as a vector's norm takes, differs by a unit in the last."""
    steps = [np.asarray(xj, float) - np.asarray(x, float) for xj, _, _ in stored]
    return [
        (np.sqrt(np.sum(step * step)), cj, rj)
        for step, (_, cj, rj) in zip(steps, stored, strict=True)
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


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(storage, "BLOCK", 4)


ANY_BLOCK = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=400, **ANY_BLOCK)
@given(queries())
def test_equals_the_oracle(rows):
    inputs, labels, radii = zip(*rows, strict=True)
    got = storage_update(inputs, labels, radii)
    assert list(zip(*got, strict=True)) == oracle(inputs, labels, radii)


@settings(max_examples=200, **ANY_BLOCK)
@given(queries())
def test_balls_of_different_labels_never_meet(rows):
    inputs, labels, radii = zip(*rows, strict=True)
    got = storage_update(inputs, labels, radii)
    points = np.array(inputs, float)
    for i in np.flatnonzero(got.radii > 0):
        for j in np.flatnonzero((got.radii > 0) & (got.labels != got.labels[i])):
            gap = np.linalg.norm(points[i] - points[j])
            assert gap >= (got.radii[i] + got.radii[j]) * (1 - 1e-12)


def crowd(n, dimension, seed, n_labels=3):
    """Points of overlapping clusters with radii about their distances."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, n_labels, n)
    points = generator.normal(size=(n, dimension)) + 2.0 * labels[:, None]
    radii = generator.exponential(np.sqrt(dimension), n) * (generator.random(n) < 0.9)
    return points, labels, radii


@pytest.mark.parametrize("dimension", [1, 3, 64])
@pytest.mark.parametrize("block", [1, 100, 512])
def test_equals_the_oracle_on_a_crowd(dimension, block, monkeypatch):
    monkeypatch.setattr(storage, "BLOCK", block)
    points, labels, radii = crowd(400, dimension, dimension)
    got = storage_update(points, labels, radii)
    expected = oracle(points, labels, radii)
    assert got.labels.tolist() == [c for c, _, _ in expected]
    assert got.actions.tolist() == [action for _, _, action in expected]
    np.testing.assert_allclose(got.radii, [r for _, r, _ in expected], rtol=1e-12, atol=1e-14)
    assert len(set(got.actions)) >= 4


def test_the_invariant_holds_for_10_000_points(monkeypatch):
    monkeypatch.setattr(storage, "BLOCK", 512)
    points, labels, radii = crowd(10_000, 4, 0)
    got = storage_update(points, labels, radii / 2)
    stored = got.radii > 0
    points, labels, radii = points[stored], got.labels[stored], got.radii[stored]
    assert len(set(labels)) == 3
    for i in range(len(points)):
        other = labels[i + 1 :] != labels[i]
        gaps = np.linalg.norm(points[i + 1 :][other] - points[i], axis=1)
        assert np.all(gaps >= (radii[i + 1 :][other] + radii[i]) * (1 - 1e-12))


def test_order_sensitivity_counts_orders_with_another_outcome():
    inputs, labels, radii = [[0.0], [0.5], [9.0]], [0, 1, 0], [1.0, 1.0, 1.0]
    shares = order_sensitivity(inputs, labels, radii, np.random.default_rng(0), 200)
    assert shares[2] == 0
    assert shares[0] == shares[1] == pytest.approx(0.5, abs=0.15)
    inputs, labels, radii = [[0.0], [5.0]], [0, 1], [1.0, 0.0]
    assert not order_sensitivity(inputs, labels, radii, np.random.default_rng(0), 9).any()


def test_no_queries_and_one():
    assert [len(part) for part in storage_update(np.empty((0, 3)), [], [])] == [0, 0, 0]
    assert storage_update([[1.0]], [2], [0.5]).radii.tolist() == [0.5]


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
