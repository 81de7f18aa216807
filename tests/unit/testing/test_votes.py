import numpy as np
import pytest
import torch

from certbd import rng
from certbd.artifacts import io
from certbd.learners.networks import logits
from certbd.testing import votes
from certbd.testing.votes import vote
from certbd.training import ensembles
from certbd.training.gaussian.draw import Gaussian
from conftest import learner_of

CLASS_MEAN = {"kind": "nearest_class_mean"}
CNN = {"kind": "cnn", "epochs": 1, "batch_size": 8, "learning_rate": 0.001}


def train(poisoned, learner, indices):
    return ensembles.train(poisoned, Gaussian(0.3), learner_of(learner), 2, 7, indices)


def test_one_test_noise_draw_a_model_scaled_by_each_inputs_sigma():
    """A module that answers with its input shows the noise it was given."""

    class Echo(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, inputs):
            return inputs + 0 * self.weight

    inputs = np.zeros((2, 2), np.float32)
    inputs[:, 0] = 0.5
    generators = rng.generators(0, rng.Purpose.TEST_NOISE, range(500))
    u = np.stack([g.standard_normal(2, np.float32) for g in generators])
    again = rng.generators(0, rng.Purpose.TEST_NOISE, range(500))
    sigma = np.array([0.4, 2.0])
    votes, _ = vote(Echo(), {"weight": torch.zeros(500, 1)}, inputs, sigma, again)
    expected = (inputs + sigma[:, None] * u[:, None]).argmax(-1)
    assert np.array_equal(votes, expected)


def test_a_diverged_model_votes_for_no_class(poisoned, digits):
    ensemble = train(poisoned, CLASS_MEAN, range(3))
    ensemble["weight"][1] = torch.nan
    module = learner_of(CLASS_MEAN).module(poisoned.inputs.shape[1:], 2)
    generators = rng.generators(7, rng.Purpose.TEST_NOISE, range(3))
    votes, scores = vote(module, ensemble, digits.test_inputs, 0.5, generators, True)
    assert (votes[1] == -1).all()
    assert (votes[[0, 2]] >= 0).all()
    assert (scores[1] == 0).all()
    np.testing.assert_allclose(scores[[0, 2]].sum(-1), 1, atol=1e-5)
    assert np.array_equal(scores[[0, 2]].argmax(-1), votes[[0, 2]])


@pytest.mark.parametrize("sigma", [0.5, "own"])
def test_linear_classifiers_vote_as_on_each_noisy_input(poisoned, digits, sigma):
    """One product for all models gives what each gives on inputs with the noise added."""
    sigma = np.linspace(0.1, 2, len(digits.test_labels)) if sigma == "own" else sigma
    ensemble = train(poisoned, CLASS_MEAN, range(70))
    module = learner_of(CLASS_MEAN).module((1, 8, 8), 2)
    generators = rng.generators(7, rng.Purpose.TEST_NOISE, range(70))
    noise = np.stack([g.standard_normal((1, 8, 8), np.float32) for g in generators])
    scale = np.broadcast_to(sigma, len(digits.test_labels)).reshape(-1, 1, 1, 1)
    noisy = (digits.test_inputs + scale * noise[:, None]).astype(np.float32)
    expected = logits(module, ensemble, torch.from_numpy(noisy)).softmax(-1)
    again = rng.generators(7, rng.Purpose.TEST_NOISE, range(70))
    cast, scores = vote(module, ensemble, digits.test_inputs, sigma, again, True)
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    close = (expected[..., 0] - 0.5).abs().numpy() < 1e-4
    assert np.array_equal(cast[~close], expected.argmax(-1).numpy()[~close])
    assert close.mean() < 0.01


@pytest.mark.parametrize("n_inputs", [0, 1, 9])
def test_networks_vote_in_pieces_as_in_one(n_inputs, monkeypatch):
    generator = np.random.default_rng(0)
    shape = (1, 16, 16)
    poisoned = io.PoisonedSet(
        generator.random((20, *shape), np.float32), np.arange(20) % 2, np.arange(0)
    )
    ensemble, module = train(poisoned, CNN, range(3)), learner_of(CNN).module(shape, 2)
    inputs = generator.random((n_inputs, *shape), np.float32)
    results = []
    for memory in (2**24, 2**16):
        monkeypatch.setattr(votes, "CACHE_BYTES", memory)
        own = rng.generators(7, rng.Purpose.TEST_NOISE, range(3))
        results.append(vote(module, ensemble, inputs, 0.5, own, True))
    assert results[0][0].shape == (3, n_inputs)
    assert np.array_equal(results[0][0], results[1][0])
    np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-5)
