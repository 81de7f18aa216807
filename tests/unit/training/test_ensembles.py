import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from certbd import rng
from certbd.artifacts import io, seals
from certbd.learners import architectures, closed_form, features, layers, networks
from certbd.learners.networks import logits, saved_bytes
from certbd.testing import votes
from certbd.testing.votes import vote
from certbd.training import ensembles
from certbd.training.gaussian import draw as draws
from certbd.training.gaussian.draw import Gaussian
from conftest import learner_of, map_of

MLP = {
    "kind": "mlp", "hidden": 37, "epochs": 3, "batch_size": 50, "learning_rate": 0.01,
    "weight_decay": 0.1,
}  # fmt: skip
CNN = {"kind": "cnn", "epochs": 2, "batch_size": 25, "learning_rate": 0.001}
PREACT = {"kind": "preact_resnet", "epochs": 1, "batch_size": 20, "learning_rate": 0.001}
RESNET = {"kind": "resnet18", "epochs": 1, "batch_size": 20, "learning_rate": 0.001}
NETWORKS = [MLP, CNN, PREACT, RESNET]
CLASS_MEAN = {"kind": "nearest_class_mean"}
RIDGE = {"kind": "ridge", "penalty": 0.01}
SIGMA = 0.3
CPU = torch.device("cpu")


def name_of(learner):
    return learner["kind"] if isinstance(learner, dict) else None


@pytest.fixture(scope="module")
def images():
    """Forty coloured squares, those of label 1 brighter."""
    generator = np.random.default_rng(0)
    labels = np.arange(40) % 2
    inputs = generator.random((40, 3, 16, 16)) * 0.8 + labels.reshape(-1, 1, 1, 1) * 0.2
    return io.PoisonedSet(inputs.astype(np.float32), labels, np.arange(0))


@pytest.fixture
def batched(monkeypatch):
    """Many convolutional networks go together, as on a GPU."""
    monkeypatch.setattr(networks, "_width", lambda _, inputs: len(inputs))
    monkeypatch.setattr(ensembles, "block_width", lambda *_: 2)


def train(poisoned, learner, indices, **options):
    return ensembles.train(poisoned, Gaussian(SIGMA), learner_of(learner), 2, 7, indices, **options)


def plain_loop(poisoned, learner, index):
    """One model trained on its own, with PyTorch's own layers and Adam."""
    noise = rng.generator(7, rng.Purpose.TRAIN_NOISE, index)
    noisy = poisoned.inputs + np.float32(SIGMA) * noise.standard_normal(
        poisoned.inputs.shape, np.float32
    )
    inputs, labels = torch.from_numpy(noisy), torch.from_numpy(poisoned.labels)
    module = learner_of(learner).module(poisoned.inputs.shape[1:], 2).to_empty(device="cpu")
    initial = layers.initial_state(module, rng.generator(7, rng.Purpose.WEIGHTS, index))
    state = {name: torch.from_numpy(array) for name, array in initial.items()}
    module.load_state_dict(state, strict=False)
    optimiser = torch.optim.Adam(
        module.parameters(), learner["learning_rate"], weight_decay=learner.get("weight_decay", 0)
    )
    batches = rng.generator(7, rng.Purpose.BATCHES, index)
    module.train()
    for _ in range(learner["epochs"]):
        for batch in torch.from_numpy(batches.permutation(len(labels))).split(
            learner["batch_size"]
        ):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(module(inputs[batch]), labels[batch]).backward()
            optimiser.step()
    return module.eval()


def assert_equals_the_plain_loop(poisoned, learner, indices):
    """Adam's first steps have the length of its rate for the smallest gradient, so where one is
    all rounding a parameter may differ by a step: hence the mean difference, in units of the rate.
    """
    ensemble = train(poisoned, learner, indices)
    module = learner_of(learner).module(poisoned.inputs.shape[1:], 2)
    inputs = torch.from_numpy(poisoned.inputs)
    for position, index in enumerate(indices):
        plain = plain_loop(poisoned, learner, index)
        state = plain.state_dict()
        for name, tensor in ensemble.items():
            difference = (tensor[position] - state[name]).abs().mean()
            assert difference < 0.03 * learner["learning_rate"], name
        one = {name: tensor[position : position + 1] for name, tensor in ensemble.items()}
        answers = logits(module, one, inputs[None])[0]
        assert torch.equal(answers.argmax(1), plain(inputs).argmax(1))
    assert {name for name in state if "num_batches" not in name} == set(ensemble)


def test_batched_mlps_equal_the_plain_loop(poisoned):
    assert_equals_the_plain_loop(poisoned, MLP, range(3, 8))


def test_an_offset_is_the_same_as_shifted_inputs(poisoned):
    shifted = poisoned._replace(inputs=poisoned.inputs - np.float32(0.25))
    one = train(poisoned, MLP | {"offset": 0.25}, range(2))
    other = train(shifted, MLP, range(2))
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=0, atol=1e-3)


def test_cnns_equal_the_plain_loop(images):
    assert_equals_the_plain_loop(images, CNN, range(3, 5))


@pytest.mark.parametrize("learner", [PREACT, RESNET], ids=name_of)
def test_residual_networks_answer_as_in_the_plain_loop(images, learner):
    """Biases in front of batch normalisation have no gradient but rounding, so they are not
    compared: the answers are, on which the running statistics tell.
    """
    ensemble = train(images, learner, range(3, 5))
    module = learner_of(learner).module(images.inputs.shape[1:], 2)
    inputs = torch.from_numpy(images.inputs)
    got = logits(module, ensemble, inputs.expand(2, *inputs.shape))
    for k in range(2):
        plain = plain_loop(images, learner, 3 + k)
        torch.testing.assert_close(got[k], plain(inputs).detach(), rtol=0.02, atol=0.02)
        assert not torch.equal(
            plain.get_buffer("bn1.running_var" if learner is RESNET else "bn.running_var"),
            torch.ones(64),
        )


@pytest.mark.usefixtures("batched")
def test_cnns_as_one_batch_equal_the_plain_loop(images):
    assert_equals_the_plain_loop(images, CNN, range(3, 6))


@pytest.mark.usefixtures("batched")
def test_compiled_training_is_the_same(images, monkeypatch):
    """The graph of a step, as it is captured for a GPU; its parts computed as before."""
    plain = train(images, CNN, range(2))
    captured = torch.compile(networks._loss, backend="aot_eager", fullgraph=True, dynamic=False)
    monkeypatch.setattr(networks, "_compiler", lambda: captured)
    monkeypatch.setattr(networks, "_pays_to_compile", lambda *_: True)
    compiled = train(images, CNN, range(2))
    for name, parameter in plain.items():
        torch.testing.assert_close(compiled[name], parameter, rtol=1e-4, atol=1e-5)


def test_compiling_pays_on_a_gpu_for_much_training():
    cnn, mlp = learner_of(CNN).module((3, 16, 16), 2), learner_of(MLP).module((3, 16, 16), 2)
    for learner, module, device, n_models, pays in (
        (CNN | {"epochs": 20}, cnn, "meta", 250, False),
        (CNN | {"epochs": 20}, cnn, "cuda", 2, False),
        (CNN | {"epochs": 1000}, cnn, "cuda", 250, True),
        (MLP | {"epochs": 1000}, mlp, "cuda", 250, False),
    ):
        inputs = SimpleNamespace(shape=(n_models, 40), device=torch.device(device))
        assert networks._pays_to_compile(module, inputs, learner_of(learner).recipe()) is pays


def answers_and_gradients(module, ensemble, names, inputs):
    parameters = [ensemble[name].requires_grad_() for name in names]
    answers = logits(module, ensemble, inputs)
    loss = answers.softmax(-1)[..., 0].square().sum()
    gradients = torch.autograd.grad(loss, parameters)
    return [answers, *gradients]


@pytest.mark.parametrize(
    ("learner", "channels"), [(CNN, 1), *((learner, 3) for learner in NETWORKS[1:])], ids=name_of
)
def test_side_by_side_is_as_good_as_alone(learner, channels, monkeypatch):
    """Two networks as one, as on a GPU, against each alone: answers, gradients and statistics."""
    shape = (channels, 16, 16)
    inputs = torch.from_numpy(np.random.default_rng(0).random((2, 6, *shape)))
    generators = rng.generators(0, rng.Purpose.WEIGHTS, range(2))
    states = [layers.initial_state(learner_of(learner).module(shape, 3), g) for g in generators]
    together, alone = (
        [{name: torch.tensor(a, dtype=torch.float64) for name, a in s.items()} for s in states]
        for _ in range(2)
    )
    stacked = {name: torch.stack([state[name] for state in together]) for name in states[0]}
    module = learner_of(learner).module(shape, 3).train()
    names = [name for name, _ in module.named_parameters()]
    with monkeypatch.context() as patch:
        patch.setattr(networks, "_width", lambda _, inputs: len(inputs))
        gradients = answers_and_gradients(module, stacked, names, inputs)
    for k, state in enumerate(alone):
        own = {name: tensor[None] for name, tensor in state.items()}
        expected = answers_and_gradients(module, own, names, inputs[k : k + 1])
        for got, wanted in zip(gradients, expected, strict=True):
            torch.testing.assert_close(got[k], wanted[0], rtol=1e-9, atol=1e-12)
        for name in set(own) - set(names):
            torch.testing.assert_close(stacked[name][k], own[name][0], rtol=1e-9, atol=1e-12)
            assert not np.allclose(own[name][0], states[k][name])


@pytest.mark.parametrize("learner", [CNN, PREACT], ids=name_of)
def test_less_precision_trains_a_similar_model(images, learner):
    exact, rounded = (
        train(images, learner | {"precision": name}, range(1)) for name in ("float32", "bfloat16")
    )
    assert any(not torch.equal(exact[name], rounded[name]) for name in exact)
    assert all(torch.allclose(exact[name], rounded[name], atol=0.05) for name in exact)
    assert rounded["output.weight"].dtype == torch.float32
    tf32 = train(images, learner | {"precision": "tf32"}, range(1))
    assert all(torch.equal(exact[name], tf32[name]) for name in exact)  # a CPU has none


def tf32_flags():
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("learner", [*NETWORKS, CLASS_MEAN, RIDGE], ids=name_of)
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "tf32"])
def test_tf32_is_for_training_that_asks_for_it_alone(images, learner, precision, monkeypatch):
    """PyTorch allows it for convolutions by default; whoever set it before does not matter."""
    seen = {"training": set(), "votes": set()}

    def spy(name, function):
        def seeing(*arguments, **options):
            seen[name].add(tf32_flags())
            return function(*arguments, **options)

        return seeing

    monkeypatch.setattr(networks, "_loss", spy("training", networks._loss))
    monkeypatch.setattr(torch.Tensor, "backward", spy("training", torch.Tensor.backward))
    monkeypatch.setattr(votes, "logits", spy("votes", votes.logits))
    monkeypatch.setattr(votes, "_linear_logits", spy("votes", votes._linear_logits))
    networks.allow_tf32(True)
    if hasattr(learner_of(learner), "precision"):
        learner = learner | {"precision": precision}
    ensemble = train(images, learner, range(1))
    assert tf32_flags() == (False, False)
    networks.allow_tf32(True)
    module = learner_of(learner).module(images.inputs.shape[1:], 2)
    vote(module, ensemble, images.inputs, 0.5, rng.generators(0, rng.Purpose.TEST_NOISE, range(1)))
    assert tf32_flags() == (False, False)
    assert seen["votes"] == {(False, False)}
    if learner_of(learner).network:
        assert seen["training"] == {(learner.get("precision") == "tf32",) * 2}


def test_devices_and_feature_maps_turn_tf32_off(images):
    code = "import torch, certbd.learners.networks; print(torch.backends.cudnn.allow_tf32)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "False\n"
    entry = {"kind": "random_conv", "filters": 2, "width": 3, "pool": 2, "seed": 0}
    for use in (
        lambda: ensembles.pick_device("cpu"),
        lambda: features.apply(map_of(entry), images.inputs),
        lambda: features.apply(map_of({"kind": "dct", "size": 2}), images.inputs),
    ):
        networks.allow_tf32(True)
        use()
        assert tf32_flags() == (False, False)


def test_ridge_is_the_least_squares_solution(poisoned):
    ensemble = train(poisoned, RIDGE, range(2))
    copies = Gaussian(SIGMA)(poisoned, rng.generators(7, 3, range(2)), CPU)[0]
    targets = np.eye(2)[poisoned.labels]
    for k, copy in enumerate(copies.numpy().astype(float)):
        columns = np.c_[copy.reshape(len(copy), -1), np.ones(len(copy))]
        penalty = np.diag([0.01 * len(copy)] * 64 + [0])
        solution = np.linalg.solve(columns.T @ columns + penalty, columns.T @ targets)
        np.testing.assert_allclose(ensemble["weight"][k].T, solution[:-1], atol=1e-4)
        np.testing.assert_allclose(ensemble["bias"][k], solution[-1], atol=1e-4)


@pytest.mark.parametrize("learner", [MLP, CLASS_MEAN, RIDGE], ids=name_of)
@pytest.mark.parametrize("width", [1, 3, 8])
def test_a_model_is_the_same_in_every_chunk(poisoned, digits, learner, width, monkeypatch):
    whole = train(poisoned, learner, range(8))
    module = learner_of(learner).module(poisoned.inputs.shape[1:], 2)
    generators = rng.generators(7, rng.Purpose.TEST_NOISE, range(8))
    votes, scores = vote(module, whole, digits.test_inputs, 0.5, generators, True)
    monkeypatch.setattr(ensembles, "CACHE_BYTES", 3 * poisoned.inputs.nbytes)
    for first in range(0, 8, width):
        indices = range(first, min(first + width, 8))
        part = train(poisoned, learner, indices)
        here = slice(indices.start, indices.stop)
        for name, parameter in part.items():
            assert torch.equal(parameter, whole[name][here])
        generators = rng.generators(7, rng.Purpose.TEST_NOISE, indices)
        some, their = vote(module, part, digits.test_inputs, 0.5, generators, True)
        assert np.array_equal(some, votes[here])
        assert np.array_equal(their, scores[here])


@pytest.mark.parametrize("learner", [MLP, CLASS_MEAN], ids=name_of)
def test_chunks_of_10_50_and_250_cast_the_same_votes(poisoned, digits, learner):
    module = learner_of(learner).module((1, 8, 8), 2)

    def votes_in_chunks_of(size):
        parts = []
        for first in range(0, 250, size):
            chunk = range(first, first + size)
            generators = rng.generators(7, rng.Purpose.TEST_NOISE, chunk)
            ensemble = train(poisoned, learner, chunk)
            parts.append(vote(module, ensemble, digits.test_inputs, 0.5, generators)[0])
        return np.concatenate(parts)

    whole = votes_in_chunks_of(250)
    assert np.array_equal(votes_in_chunks_of(50), whole)
    assert np.array_equal(votes_in_chunks_of(10), whole)


def test_a_network_is_handed_nothing_but_the_noisy_copy(poisoned, monkeypatch):
    """Whatever the training inputs are, equal noisy copies give equal models."""
    other = poisoned._replace(inputs=np.zeros_like(poisoned.inputs))
    copies = Gaussian(SIGMA)(poisoned, rng.generators(0, 3, range(2)), CPU)[0]
    assert not np.array_equal(
        train(poisoned, MLP, range(2))["hidden.weight"],
        train(other, MLP, range(2))["hidden.weight"],
    )
    monkeypatch.setattr(draws, "_noisy_copies", lambda *_: copies.clone())
    one, two = train(poisoned, MLP, range(2)), train(other, MLP, range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_class_means_are_handed_nothing_but_their_noisy_statistic(poisoned, monkeypatch):
    other = poisoned._replace(inputs=np.zeros_like(poisoned.inputs))
    means = np.ones((2, 2, 64), np.float32)
    monkeypatch.setattr(closed_form, "noisy_class_means", lambda *_: means)
    one, two = train(poisoned, CLASS_MEAN, range(2)), train(other, CLASS_MEAN, range(2))
    assert torch.equal(one["weight"], two["weight"])


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
    direct = closed_form.noisy_class_means(inputs, labels, sigma, 2, draw)
    copy = rng.generators(2, rng.Purpose.TRAIN_NOISE, range(n_models))
    copies = draws._noisy_copies(inputs, sigma, copy, CPU).numpy()
    copies = copies.reshape(n_models, len(labels), -1)
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


@pytest.mark.parametrize("draw", [draws._noisy_copies, draws._device_copies])
def test_noise_is_drawn_once_and_scaled_by_each_inputs_sigma(poisoned, draw):
    """On a CPU, and as on any other device."""
    sigma = np.linspace(0.1, 3.0, len(poisoned.labels))
    copies = draw(poisoned.inputs, sigma, rng.generators(0, 3, range(200)), CPU)
    measured = (copies.numpy() - poisoned.inputs).std(axis=(0, 2, 3, 4))
    np.testing.assert_allclose(measured, sigma, rtol=0.05)
    again = draw(poisoned.inputs, sigma, rng.generators(0, 3, range(5, 7)), CPU)
    assert torch.equal(again, copies[5:7])
    standard = (copies.numpy() - poisoned.inputs) / sigma.reshape(-1, 1, 1, 1)
    assert stats.kstest(standard[:20].ravel(), "norm").pvalue > 1e-3


def test_half_as_many_models_go_together_where_memory_runs_out(poisoned, monkeypatch):
    whole = train(poisoned, MLP, range(8))
    monkeypatch.setattr(ensembles, "block_width", lambda *_: 7)
    widths, real = [], networks.train_networks

    def scarce(module, copies, *given):
        widths.append(len(copies))
        if len(copies) > 1:
            raise torch.OutOfMemoryError("as a GPU raises it")
        return real(module, copies, *given)

    monkeypatch.setattr(networks, "train_networks", scarce)
    halved = train(poisoned, MLP, range(8))
    assert widths == [4, 2] + 8 * [1]
    assert all(torch.equal(whole[name], halved[name]) for name in whole)
    monkeypatch.setattr(ensembles, "block_width", lambda *_: 1)
    monkeypatch.setattr(networks, "train_networks", lambda *_: scarce(None, range(3)))
    with pytest.raises(torch.OutOfMemoryError):
        train(poisoned, MLP, range(2))


def test_a_gpus_width_follows_its_free_memory(monkeypatch):
    module = learner_of(CNN).module((3, 16, 16), 2)
    inputs = np.zeros((40, 3, 16, 16), np.float32)
    for free in (0, 2**30, 2**31):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (free, free))
        width = ensembles.block_width(module, inputs, learner_of(CNN), torch.device("cuda"))
        each = 2 * inputs.nbytes + 2 * saved_bytes(module, (25, 3, 16, 16))
        each += 6 * 4 * sum(parameter.numel() for parameter in module.parameters())
        assert width == max(1, int(0.8 * free / each))
    one, two, three = (saved_bytes(module, (n, 3, 16, 16)) for n in (25, 50, 75))
    assert three - two == two - one > 0.8 * one  # kernels are kept once, answers for each input


@pytest.mark.parametrize("learner", [CNN, PREACT], ids=name_of)
def test_a_network_refuses_inputs_that_it_cannot_take(learner):
    with pytest.raises(io.DataError, match=f"{learner['kind']} needs images"):
        learner_of(learner).module((64,), 2)
    with pytest.raises(io.DataError, match="16 x 16"):
        learner_of(CNN).module((1, 8, 8), 2)


def test_one_logit_for_two_classes_is_binary_cross_entropy():
    inputs, labels = torch.rand(6, 3, 16, 16), torch.arange(6) % 2
    with torch.random.fork_rng():
        module = architectures.CNN((3, 16, 16), 2)
    answers = module(inputs)
    assert (answers[:, 0] == 0).all()
    torch.testing.assert_close(
        torch.nn.functional.cross_entropy(answers, labels),
        torch.nn.functional.binary_cross_entropy_with_logits(answers[:, 1], labels.float()),
    )
    assert architectures.CNN((3, 16, 16), 5)(inputs).shape == (6, 5)


def test_initial_weights_are_pytorchs_default_distribution():
    learner = MLP | {"hidden": 400}
    module = learner_of(learner).module((1, 8, 8), 10)
    drawn = layers.initial_state(module, rng.generator(0, rng.Purpose.WEIGHTS))
    for name, values in drawn.items():
        limit = 1 / np.sqrt(64 if name.startswith("hidden") else 400)
        assert stats.kstest(values.ravel(), stats.uniform(-limit, 2 * limit).cdf).pvalue > 1e-3
    assert set(drawn) == {name for name, _ in module.named_parameters()}


def test_pretrained_weights_replace_all_but_the_head(images, tmp_path):
    module = learner_of(RESNET).module((3, 16, 16), 2)
    given = layers.initial_state(module, rng.generator(5, rng.Purpose.WEIGHTS))
    io.write_models(tmp_path / "weights.safetensors", given, {})
    file = tmp_path / "weights.safetensors"
    learner = learner_of(RESNET, pretrained=seals.file_sum(file)).with_weights(str(file))
    slow = learner.model_copy(update={"learning_rate": 1e-9})
    ensemble = ensembles.train(images, Gaussian(SIGMA), slow, 2, 7, range(2))
    for name in ("conv1.weight", "layer3.0.downsample.0.weight"):
        np.testing.assert_allclose(ensemble[name][1], given[name], atol=1e-6)
    assert not np.allclose(ensemble["fc.weight"][1], given["fc.weight"])
    assert learner_of(RESNET).with_weights("") == learner_of(RESNET)
    given.pop("layer2.1.conv1.weight")
    io.write_models(tmp_path / "cut.safetensors", given, {})
    file = tmp_path / "cut.safetensors"
    cut = RESNET | {"pretrained": seals.file_sum(file)}
    with pytest.raises(io.DataError, match=r"cut.safetensors: layer2.1.conv1.weight must have"):
        learner_of(cut).with_weights(str(file))
    with pytest.raises(io.DataError, match=r"cut.safetensors: has changed since"):
        learner_of(RESNET, pretrained="0" * 64).with_weights(str(file))
