import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certbd.theory import certificates

sigmas = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=8).map(np.array)


def test_margin_is_in_standard_deviations():
    p = np.array([0.5, 0.8413447460685429, 0.9772498680518208])
    np.testing.assert_allclose(certificates.margin(p, 1 - p), [0, 1, 2], atol=1e-9)
    assert certificates.margin(1.0, 0.0) == np.inf
    assert certificates.margin(0.0, 1.0) == -np.inf
    assert certificates.margin([0.0, 1.0, 0.3], [0.0, 1.0, 0.3]).tolist() == [0, 0, 0]


def test_ends_are_safe():
    """No warning either: pytest turns warnings into errors."""
    sigma = np.array([1e-200, 1.0, 1e200])
    assert certificates.trigger_radius(2.0, 1.0, sigma, 1) == pytest.approx(2e-200)
    assert certificates.trigger_radius(2.0, 1e-200, 1e200, 5) == pytest.approx(2e-200)
    assert certificates.trigger_radius(2.0, 1e200, sigma[2:], 7) == pytest.approx(2**0.5 * 1e200)
    assert certificates.joint_radius(np.inf, 1.0, sigma) == np.inf
    assert certificates.trigger_radius([np.inf, -np.inf], 1.0, 1.0, 0).tolist() == [np.inf, 0]
    everything = certificates.trigger_radius(2.0, 1.0, np.ones(3), 3)
    assert certificates.trigger_radius(2.0, 1.0, np.ones(3), 1000) == everything


def test_equal_noise_gives_the_published_formulas():
    margins = np.array([2.0, 0.0, -1.0])
    np.testing.assert_allclose(certificates.joint_radius(margins, 0.5, 0.5), [1.0, 0, 0])
    np.testing.assert_allclose(certificates.trigger_radius(margins, 0.5, 0.5, 3), [0.5, 0, 0])
    np.testing.assert_allclose(certificates.trigger_radius(margins, 0.5, 0.5, 0), [1.0, 0, 0])


@given(st.floats(0, 5), st.floats(1e-3, 1e3), sigmas, st.integers(0, 12))
def test_the_worst_trigger_lies_on_the_ellipsoid(margin, sigma_test, sigma_train, n_poisoned):
    radius = certificates.trigger_radius(margin, sigma_test, sigma_train, n_poisoned)
    worst = np.sort(sigma_train)[:n_poisoned]
    used = radius * np.sqrt(1 / sigma_test**2 + np.sum(1 / worst**2))
    assert used == pytest.approx(margin)
    joint = certificates.joint_radius(margin, sigma_test, sigma_train)
    assert joint == pytest.approx(margin * min(sigma_test, sigma_train.min()))


def test_a_scalar_stands_for_equal_noise():
    array = certificates.trigger_radius(2.0, 0.4, np.full(9, 1.5), 4)
    assert array == pytest.approx(certificates.trigger_radius(2.0, 0.4, 1.5, 4))


def test_training_noise_is_never_broadcast_against_test_inputs():
    margins = np.ones(3)
    radii = certificates.trigger_radius(margins, 0.4, np.array([1.0, 2.0, 3.0]), 1)
    assert np.all(radii == radii[0])


def test_class_means_are_moved_by_the_share_of_a_class():
    radius = certificates.class_mean_trigger_radius(2.0, 0.5, np.array([100, 400]) * 1.5**2, 10)
    assert radius == pytest.approx(2 / np.sqrt(1 / 0.5**2 + 10**2 / (100 * 1.5**2)))


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: certificates.margin(1.1, 0.2), "p_a .* not 1.1"),
        (lambda: certificates.margin(0.9, np.nan), "p_b .* not nan"),
        (lambda: certificates.joint_radius(1.0, 0.0, 1.0), "sigma_test .* not 0"),
        (lambda: certificates.joint_radius([1.0, np.nan], 1.0, 1.0), "margin .* not nan"),
        (lambda: certificates.trigger_radius(1.0, 1.0, [1.0, -2.0], 1), "sigma_train .* not -2"),
        (lambda: certificates.trigger_radius(1.0, 1.0, np.inf, 1), "sigma_train .* not inf"),
        (lambda: certificates.trigger_radius(1.0, 1.0, 1.0, -1), "n_poisoned .* not -1"),
    ],
)
def test_bad_values_are_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()
