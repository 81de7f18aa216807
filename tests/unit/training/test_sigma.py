import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch.func import functional_call

from certbd import rng
from certbd.training import ensembles, sigma
from certbd.training.gaussian.draw import Gaussian
from certbd.training.per_sample.entry import Search
from conftest import learner_of

SEARCH = Search(
    objective="radius",
    pilots=4,
    draws=64,
    steps=80,
    learning_rate=0.02,
    bounds=[0.5, 4],
)
MLP = {"kind": "mlp", "hidden": 16, "epochs": 10, "batch_size": 64, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def pilots(poisoned):
    return ensembles.train(poisoned, Gaussian(0.25), learner_of(MLP), 2, 0, range(4), rng.PILOTS)


@pytest.fixture(scope="module")
def module():
    return learner_of(MLP).module((1, 8, 8), 2)


def test_the_radius_grows_and_sigma_stays_inside_its_bounds(module, pilots, digits):
    found = sigma.optimise_sigma(module, pilots, digits.test_inputs, 0.25, SEARCH, 0)
    assert found.trajectory[-10:].mean() > found.trajectory[:10].mean()
    assert np.all((found.sigma >= 0.125) & (found.sigma <= 1.0))
    assert found.sigma.std() > 0
    tight = SEARCH.model_copy(update={"bounds": [0.9, 1.1]})
    bounded = sigma.optimise_sigma(module, pilots, digits.test_inputs, 0.25, tight, 0)
    assert np.all((bounded.sigma >= 0.225 - 1e-7) & (bounded.sigma <= 0.275 + 1e-7))


def test_the_search_is_deterministic_and_an_inputs_sigma_is_its_own(
    module, pilots, digits, monkeypatch
):
    every = sigma.optimise_sigma(module, pilots, digits.test_inputs, 0.25, SEARCH, 0)
    again = sigma.optimise_sigma(module, pilots, digits.test_inputs, 0.25, SEARCH, 0)
    assert np.array_equal(every.sigma, again.sigma)
    monkeypatch.setattr(sigma, "EVALUATION_BYTES", 7 * 4 * sigma.saved_bytes(module, (64, 1, 8, 8)))
    some = sigma.optimise_sigma(module, pilots, digits.test_inputs[10:40], 0.25, SEARCH, 0)
    np.testing.assert_allclose(some.sigma, every.sigma[10:40], rtol=1e-4)


def test_the_gradient_is_that_of_both_factors(digits):
    """For one linear pilot the radius is smooth in sigma: compare with finite differences."""
    module = learner_of({"kind": "nearest_class_mean"}).module((1, 8, 8), 2)
    means = torch.from_numpy(
        np.stack([digits.train_inputs[digits.train_labels == c].mean(0).ravel() for c in (0, 1)])
    )
    means = means.double()
    pilots = {"weight": means[None], "bias": -means.square().sum(1)[None] / 2}
    inputs = torch.from_numpy(digits.test_inputs[:5]).double()
    draws = torch.from_numpy(rng.generator(0, 10).standard_normal((32, 1, 8, 8)))
    at = torch.full((5,), 0.6, dtype=torch.float64)

    def radius(value):
        return sigma._radius_and_gradient(module, pilots, inputs, value, draws)[0]

    gradient = sigma._radius_and_gradient(module, pilots, inputs, at, draws)[1]
    numeric = (radius(at + 1e-5) - radius(at - 1e-5)) / 2e-5
    torch.testing.assert_close(gradient, numeric, rtol=1e-4, atol=1e-6)


def test_probabilities_are_clamped(digits):
    """A certain pilot gets the clamp's margin, so the radius is sigma times its quantile."""
    module = learner_of({"kind": "nearest_class_mean"}).module((1, 8, 8), 2)
    means = torch.zeros(1, 2, 64)
    means[0, 1] = -1000.0
    one = torch.from_numpy(digits.test_inputs[:1])
    radius, _ = sigma._radius_and_gradient(
        module,
        {"weight": means, "bias": -means.square().sum(2) / 2},
        one,
        torch.tensor([0.5]),
        torch.zeros(2, 1, 8, 8),
    )
    assert radius.item() == pytest.approx(0.5 * norm.ppf(0.98), rel=1e-5)


def test_the_released_objective_is_that_of_the_published_code(module, pilots, digits):
    """One step moves sigma by the rate times half the gap of the clamped quantiles."""
    inputs = digits.test_inputs[:7]
    search = SEARCH.model_copy(
        update={"objective": "released", "steps": 1, "learning_rate": 0.001, "draws": 3}
    )
    found = sigma.optimise_sigma(module, pilots, inputs, 0.25, search, 0)
    eps = rng.generator(0, rng.Purpose.SIGMA_DRAWS, 0).standard_normal((3, 1, 8, 8), np.float32)
    noisy = torch.from_numpy(inputs[:, None] + np.float32(0.25) * eps).flatten(0, 1)
    answers = [
        functional_call(module, {name: p[k] for name, p in pilots.items()}, (noisy,)).softmax(-1)
        for k in range(4)
    ]
    p = torch.stack(answers).mean(0).unflatten(0, (7, 3)).mean(1)[:, 1].clamp(0.02, 0.98).numpy()
    gap = np.abs(norm.ppf(1 - p) - norm.ppf(p)) / 2
    np.testing.assert_allclose(found.sigma, 0.25 + 0.001 * gap, rtol=1e-5)
    many = sigma.optimise_sigma(
        module, pilots, inputs, 0.25, search.model_copy(update={"steps": 40}), 0
    )
    assert np.all(many.sigma >= found.sigma)
