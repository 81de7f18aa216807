"""Discrete noise as it is drawn, and the values that it is drawn for."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy import stats

from certbd import rng
from certbd.artifacts import io
from certbd.data import datasets, domains
from certbd.data.domains import Replacement
from certbd.testing.votes import vote
from certbd.training import ensembles
from certbd.training.flips.draw import Replaced
from conftest import learner_of

CPU = torch.device("cpu")
MLP = {
    "kind": "mlp", "hidden": 16, "epochs": 5, "batch_size": 50, "learning_rate": 0.01,
}  # fmt: skip
RIDGE = {"kind": "ridge", "penalty": 0.3}


@pytest.fixture(scope="module")
def training():
    """Forty rows of nine features of three values, labels of four classes."""
    generator = np.random.default_rng(0)
    inputs = generator.integers(3, size=(40, 9)).astype(np.float32) / 2
    return io.PoisonedSet(inputs, np.arange(40) % 4, np.arange(0))


def streams(n_models, purpose=rng.Purpose.TRAIN_NOISE):
    return rng.generators(3, purpose, range(n_models))


@pytest.mark.parametrize(("beta", "size"), [(0.9, 2), (0.4, 3), (0.1, 256), (1 - 2**-20, 2)])
def test_values_are_kept_with_beta_and_replaced_uniformly(beta, size):
    draws = domains.shifts(rng.generator(0, rng.Purpose.TRAIN_NOISE), (1000, 300), beta, size)
    counts = np.bincount(draws.ravel(), minlength=size)
    assert len(counts) == size
    kept = float(domains.kept_share(beta))
    expected = draws.size * np.array([kept] + [(1 - kept) / (size - 1)] * (size - 1))
    assert stats.chisquare(counts, expected, sum_check=False).pvalue > 1e-3


def test_what_is_drawn_is_what_is_certified():
    assert domains.kept_share(0.75) == Fraction(3, 4)
    assert abs(domains.kept_share(0.9) - Fraction(9, 10)) < Fraction(1, 2**32)


def test_features_and_labels_have_their_own_noise(training):
    draw = Replaced(Replacement(0.8, 3), 0.6, 4)
    copies, labels = draw(training, streams(2000), CPU)
    assert copies.dtype == torch.float32
    numbers = np.rint(copies.numpy() * 2).astype(int)
    np.testing.assert_array_equal(copies.numpy(), numbers.astype(np.float32) / 2)
    shift = (numbers - np.rint(training.inputs * 2).astype(int)) % 3
    turned = (labels.numpy() - training.labels) % 4
    for values, beta, size in ((shift, 0.8, 3), (turned, 0.6, 4)):
        counts = np.bincount(values.ravel())
        expected = values.size * np.array([beta] + [(1 - beta) / (size - 1)] * (size - 1))
        assert stats.chisquare(counts, expected, sum_check=False).pvalue > 1e-3
    columns = np.concatenate([shift.reshape(2000, -1), turned], axis=1) > 0
    correlation = np.corrcoef(columns.T)[np.triu_indices(columns.shape[1], 1)]
    assert np.abs(correlation).max() < 6 / np.sqrt(2000)


def test_the_noise_is_drawn_once_a_model_whatever_the_block(training):
    draw = Replaced(Replacement(0.8, 3), 0.6, 4)
    whole = draw(training, streams(9), CPU)
    part = draw(training, streams(9)[4:6], CPU)
    for every, some in zip(whole, part, strict=True):
        assert torch.equal(every[4:6], some)


@pytest.mark.parametrize("learner", [MLP, RIDGE], ids=lambda learner: learner["kind"])
def test_a_model_is_the_same_in_every_chunk(training, learner):
    draw, noise = Replaced(Replacement(0.9, 3), 0.9, 4), Replacement(0.9, 3)
    module = learner_of(learner).module((9,), 4)

    def votes_of(indices):
        ensemble = ensembles.train(training, draw, learner_of(learner), 4, 7, indices)
        generators = rng.generators(7, rng.Purpose.TEST_NOISE, indices)
        return vote(module, ensemble, training.inputs, noise, generators, True)

    votes, scores = votes_of(range(8))
    assert len(np.unique(votes)) == 4
    for first in range(0, 8, 3):
        some, their = votes_of(range(first, min(first + 3, 8)))
        assert np.array_equal(some, votes[first : first + 3])
        assert np.array_equal(their, scores[first : first + 3])


@pytest.mark.parametrize("size", [2, 5])
def test_every_test_input_meets_the_models_own_shift(size):
    """A module that answers with its input shows the noise that it was given."""

    class Echo(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, inputs):
            return inputs + 0 * self.weight

    inputs = np.array([[0, 1, 0.5], [1, 1, 0.25], [0, 0, 0]], np.float32)
    inputs = np.rint(inputs * (size - 1)).astype(np.float32) / (size - 1)
    purpose, state = rng.Purpose.TEST_NOISE, {"weight": torch.zeros(300, 1)}
    noise = Replacement(0.6, size)
    _, scores = vote(Echo(), state, inputs, noise, streams(300, purpose), True)
    drawn = np.stack([domains.shifts(g, (3,), *noise) for g in streams(300, purpose)])
    seen = (np.rint(inputs * (size - 1)) + drawn[:, None]) % size / (size - 1)
    expected = torch.from_numpy(seen).softmax(-1).numpy()
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_a_learner_is_handed_nothing_but_the_noisy_copy(training, monkeypatch):
    """Whatever the training set is, equal noisy copies give equal models."""
    draw = Replaced(Replacement(0.9, 3), 0.9, 4)
    copies = draw(training, streams(2), CPU)
    monkeypatch.setattr(Replaced, "__call__", lambda *_: tuple(part.clone() for part in copies))
    other = io.PoisonedSet(1 - training.inputs, training.labels[::-1], training.indices)
    for learner in (MLP, RIDGE):
        one, two = (
            ensembles.train(s, draw, learner_of(learner), 4, 7, range(2)) for s in (training, other)
        )
        assert all(torch.equal(one[name], two[name]) for name in one)


class Exact(torch.nn.Module):
    """Says class 1 where one feature at least is exactly a value of the domain."""

    def __init__(self, size):
        super().__init__()
        self.size = size
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs):
        grid = torch.arange(self.size, device=inputs.device) / (self.size - 1)
        found = (inputs[..., None] == grid).any(-1).any(-1).float()
        return torch.stack([0.5 - found, found - 0.5], -1) + 0 * self.weight


@pytest.mark.parametrize("size", [2, 3, 17, 256])
@pytest.mark.parametrize("residue", [5e-4, -5e-4, 9e-4, -9e-4, 1e-6])
def test_what_a_test_input_is_off_its_domain_does_not_pass_through_the_noise(size, residue):
    """Else one changed feature shows in every vote, whatever the noise does to it."""
    exact = np.zeros((2, 50), np.float32)
    exact[:, ::2] = 1
    near = exact + np.float32(residue / (size - 1))
    near[1, 0] = 0  # one change
    noise, ensemble = Replacement(0.6, size), {"weight": torch.zeros(500, 1)}
    votes = [vote(Exact(size), ensemble, x, noise, streams(500))[0] for x in (exact, near)]
    assert (votes[0] == 1).all()
    assert np.array_equal(*votes)


def test_what_a_training_input_is_off_its_domain_does_not_pass_through_the_noise(training):
    near = training._replace(inputs=training.inputs + np.float32(2e-4))
    for draw in (Replaced(Replacement(0.9, 3), 0.9, 4), Replaced(Replacement(0.6, 5), 0.9, 4)):
        given, moved = (draw(part, streams(20), CPU)[0] for part in (training, near))
        assert torch.equal(given, moved)


def test_values_out_of_the_domain_are_named(training):
    inputs = training.inputs.copy()
    inputs[3, 4] = 0.4
    with pytest.raises(io.DataError, match=r"training set, input 3: 0.4.* at \[4\]; .* 3 values"):
        domains.numbers_of(inputs, 3, "training set")
    with pytest.raises(io.DataError, match=r"input 0: 0.5 at \[\d\]; allowed: 0 or 1 .*binarise"):
        Replaced(Replacement(0.9, 2), 0.9, 4)(training, streams(1), CPU)
    with pytest.raises(io.DataError, match=r"test inputs, input 0: 0\.5"):
        vote(None, {"w": torch.zeros(1)}, training.inputs, Replacement(0.9, 2), streams(1))


def test_what_is_known_of_a_dataset_is_refused_before_it_is_read():
    for entry, size in (
        ({"kind": "digits"}, 17),
        ({"kind": "mnist", "binarise": 0.5}, 2),
        ({"kind": "digits", "binarise": 0.5}, 5),
        ({"kind": "table", "label_column": "y"}, 7),
    ):
        domains.check_features(datasets.read(entry).n_values, size)
    with pytest.raises(io.DataError, match=r"features of 256 .* values: 256, or .* binarise"):
        domains.check_features(datasets.read({"kind": "mnist"}).n_values, 2)


def test_a_trigger_must_stay_in_the_domain():
    for step, size in ((1, 2), (1.5, 2), (0.5, 5), (1, 256), (20 / 255, 256)):
        domains.check_trigger(step, size)
    with pytest.raises(io.DataError, match=r"norm: it adds 0.5 to a pixel of 2 .*: 1 or more a"):
        domains.check_trigger(0.5, 2)
    with pytest.raises(io.DataError, match="multiple of 1/4"):
        domains.check_trigger(0.3, 5)
