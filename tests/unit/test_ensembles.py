import numpy as np
import pytest
import torch
from scipy import stats

from certbd import ensembles, models, rng

MLP = {"kind": "mlp", "hidden": 37, "epochs": 3, "batch_size": 50, "learning_rate": 0.01}
CLASS_MEAN = {"kind": "nearest_class_mean"}
SIGMA = 0.3


def train(poisoned, learner, indices, **options):
    return ensembles.train(poisoned, SIGMA, learner, 2, 7, indices, **options)


def plain_loop(poisoned, learner, index):
    """One model trained on its own, with PyTorch's own layers and Adam."""
    noise = rng.generator(7, rng.Purpose.TRAIN_NOISE, index)
    noisy = poisoned.inputs + np.float32(SIGMA) * noise.standard_normal(
        poisoned.inputs.shape, np.float32
    )
    inputs, labels = torch.from_numpy(noisy), torch.from_numpy(poisoned.labels)
    module = models.build(learner, poisoned.inputs.shape[1:], 2).to_empty(device="cpu")
    initial = models.initial_weights(module, rng.generator(7, rng.Purpose.WEIGHTS, index))
    module.load_state_dict({name: torch.from_numpy(w) for name, w in initial.items()})
    optimiser = torch.optim.Adam(module.parameters(), lr=learner["learning_rate"])
    batches = rng.generator(7, rng.Purpose.BATCHES, index)
    for _ in range(learner["epochs"]):
        for batch in torch.from_numpy(batches.permutation(len(labels))).split(
            learner["batch_size"]
        ):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(module(inputs[batch]), labels[batch]).backward()
            optimiser.step()
    return module


def test_batched_training_equals_the_plain_loop(poisoned, digits):
    indices = range(3, 8)
    batched = train(poisoned, MLP, indices)
    inputs = torch.from_numpy(digits.test_inputs)
    for position, index in enumerate(indices):
        module = plain_loop(poisoned, MLP, index)
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(batched[name][position], parameter, rtol=1e-3, atol=1e-5)
        one = {name: p[position : position + 1] for name, p in batched.items()}
        logits = ensembles.logits(module, one, inputs[None])[0]
        assert torch.equal(logits.argmax(1), module(inputs).argmax(1))


@pytest.mark.parametrize("learner", [MLP, CLASS_MEAN], ids=["mlp", "nearest_class_mean"])
@pytest.mark.parametrize("width", [1, 3, 8])
def test_a_model_is_the_same_in_every_chunk(poisoned, digits, learner, width, monkeypatch):
    whole = train(poisoned, learner, range(8))
    module = models.build(learner, poisoned.inputs.shape[1:], 2)
    generators = rng.generators(7, rng.Purpose.TEST_NOISE, range(8))
    votes, scores = ensembles.vote(module, whole, digits.test_inputs, 0.5, generators)
    monkeypatch.setattr(ensembles, "BLOCK_BYTES", 3 * poisoned.inputs.nbytes)
    for first in range(0, 8, width):
        indices = range(first, min(first + width, 8))
        part = train(poisoned, learner, indices)
        here = slice(indices.start, indices.stop)
        for name, parameter in part.items():
            assert torch.equal(parameter, whole[name][here])
        generators = rng.generators(7, rng.Purpose.TEST_NOISE, indices)
        some, their = ensembles.vote(module, part, digits.test_inputs, 0.5, generators)
        assert np.array_equal(some, votes[here])
        assert np.array_equal(their, scores[here])


def test_a_network_is_handed_nothing_but_the_noisy_copy(poisoned, monkeypatch):
    """Whatever the training inputs are, equal noisy copies give equal models."""
    other = poisoned._replace(inputs=np.zeros_like(poisoned.inputs))
    copies = ensembles.noisy_copies(poisoned.inputs, SIGMA, rng.generators(0, 3, range(2)))
    assert not np.array_equal(
        train(poisoned, MLP, range(2))["hidden.weight"],
        train(other, MLP, range(2))["hidden.weight"],
    )
    monkeypatch.setattr(ensembles, "noisy_copies", lambda *_: copies.copy())
    one, two = train(poisoned, MLP, range(2)), train(other, MLP, range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_class_means_are_handed_nothing_but_their_noisy_statistic(poisoned, monkeypatch):
    other = poisoned._replace(inputs=np.zeros_like(poisoned.inputs))
    means = np.ones((2, 2, 64), np.float32)
    monkeypatch.setattr(ensembles, "noisy_class_means", lambda *_: means)
    one, two = train(poisoned, CLASS_MEAN, range(2)), train(other, CLASS_MEAN, range(2))
    assert torch.equal(one["means"], two["means"])


def test_noise_weights_and_batches_have_streams_of_their_own(poisoned):
    """Replacing one stream changes the models."""
    base = train(poisoned, MLP, range(1))["hidden.weight"]
    for changed in ("noise", "weights", "batches"):
        streams = rng.VOTERS._replace(**{changed: getattr(rng.PILOTS, changed)})
        assert not torch.equal(
            base, train(poisoned, MLP, range(1), streams=streams)["hidden.weight"]
        )
    assert len({*rng.VOTERS, *rng.PILOTS, *rng.UNDEFENDED}) == 9


@pytest.mark.parametrize("per_sample", [False, True])
def test_drawn_class_means_have_the_distribution_of_noisy_copies(poisoned, per_sample):
    """Means and covariance of class means drawn directly equal those over noisy copies."""
    n_models, labels = 4000, poisoned.labels
    sigma = np.linspace(0.2, 2.0, len(labels)) if per_sample else SIGMA
    inputs = poisoned.inputs[..., :2, :2]
    draw = rng.generators(1, rng.Purpose.TRAIN_NOISE, range(n_models))
    direct = ensembles.noisy_class_means(inputs, labels, sigma, 2, draw)
    copy = rng.generators(2, rng.Purpose.TRAIN_NOISE, range(n_models))
    copies = ensembles.noisy_copies(inputs, sigma, copy).reshape(n_models, len(labels), -1)
    indirect = np.stack([copies[:, labels == c].mean(1) for c in range(2)], axis=1)
    direct, indirect = direct.reshape(n_models, -1), indirect.reshape(n_models, -1)
    exact = np.concatenate([inputs[labels == c].reshape(-1, 4).mean(0) for c in range(2)])
    variance = [
        np.mean(np.square(np.broadcast_to(sigma, len(labels))[labels == c])) / np.sum(labels == c)
        for c in range(2)
    ]
    spread = np.sqrt(np.repeat(variance, 4))
    for means in (direct, indirect):
        standard = (means - exact) / spread
        for feature in standard.T:
            assert stats.kstest(feature, "norm").pvalue > 1e-4
        np.testing.assert_allclose(np.cov(standard.T), np.eye(8), atol=5 / np.sqrt(n_models))


def test_noise_is_drawn_once_and_scaled_by_each_inputs_sigma(poisoned):
    sigma = np.linspace(0.1, 3.0, len(poisoned.labels))
    copies = ensembles.noisy_copies(poisoned.inputs, sigma, rng.generators(0, 3, range(200)))
    measured = (copies - poisoned.inputs).std(axis=(0, 2, 3, 4))
    np.testing.assert_allclose(measured, sigma, rtol=0.05)


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
    votes, _ = ensembles.vote(Echo(), {"weight": torch.zeros(500, 1)}, inputs, sigma, again)
    expected = (inputs + sigma[:, None] * u[:, None]).argmax(-1)
    assert np.array_equal(votes, expected)


def test_a_diverged_model_votes_for_no_class(poisoned, digits):
    ensemble = train(poisoned, CLASS_MEAN, range(3))
    ensemble["means"][1] = torch.nan
    module = models.build(CLASS_MEAN, poisoned.inputs.shape[1:], 2)
    generators = rng.generators(7, rng.Purpose.TEST_NOISE, range(3))
    votes, scores = ensembles.vote(module, ensemble, digits.test_inputs, 0.5, generators)
    assert (votes[1] == -1).all()
    assert (votes[[0, 2]] >= 0).all()
    assert (scores[1] == 0).all()
    np.testing.assert_allclose(scores[[0, 2]].sum(-1), 1, atol=1e-5)
    assert np.array_equal(scores[[0, 2]].argmax(-1), votes[[0, 2]])


def test_initial_weights_are_pytorchs_default_distribution():
    learner = MLP | {"hidden": 400}
    module = models.build(learner, (1, 8, 8), 10)
    drawn = models.initial_weights(module, rng.generator(0, rng.Purpose.WEIGHTS))
    for name, values in drawn.items():
        limit = 1 / np.sqrt(64 if name.startswith("hidden") else 400)
        assert stats.kstest(values.ravel(), stats.uniform(-limit, 2 * limit).cdf).pvalue > 1e-3
    assert set(drawn) == {name for name, _ in module.named_parameters()}
