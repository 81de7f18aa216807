"""A frozen encoder: its file, what noise goes on, and both defences behind it attacked."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from certbd import rng
from certbd.artifacts import io, seals
from certbd.config.threats import Threat
from certbd.learners import features, layers
from certbd.testing.votes import vote
from certbd.theory import bounds
from certbd.theory.claims import Claims
from certbd.training import ensembles
from certbd.training.bagging.draw import Bagging
from certbd.training.bagging.guarantee import BaggedRows
from certbd.training.statistic.draw import NoisyStatistic
from certbd.training.statistic.guarantee import StatisticRows
from conftest import learner_of, map_of

CPU = ensembles.pick_device("cpu")
SHAPE = (1, 16, 16)
SUMS = {"kind": "class_sums", "constant": 1.0}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A network with random weights: 30 000 numbers."""
    path = tmp_path_factory.mktemp("encoder") / "cnn.safetensors"
    module = learner_of({"kind": "cnn"}).module(SHAPE, 2)
    state = layers.initial_state(module, np.random.default_rng(0))
    io.write_models(path, {k: v for k, v in state.items() if "output" not in k}, {})
    return str(path)


@pytest.fixture
def entry(weights):
    return {"kind": "encoder", "network": "cnn", "weights": weights, "mean": [0.3], "scale": [0.5]}


def enlarged(inputs):
    return inputs.repeat(2, axis=2).repeat(2, axis=3)


@pytest.fixture
def inputs(digits):
    return enlarged(digits.test_inputs)


def test_features_are_those_before_the_networks_last_layer(entry, inputs):
    seen = features.apply(map_of(entry), inputs)
    assert seen.shape == (len(inputs), 512)
    assert (seen >= 0).all()
    module = learner_of({"kind": "cnn"}).module(SHAPE, 2)
    state = {k: torch.from_numpy(v) for k, v in io.read_models(entry["weights"], None).items()}
    head = {"output.weight": torch.ones(1, 512), "output.bias": torch.zeros(1)}
    given = (torch.from_numpy(inputs) - 0.3) / 0.5
    logits = torch.func.functional_call(module, state | head, (given,))[:, 1]
    np.testing.assert_allclose(seen.sum(1), logits, rtol=1e-4)
    sphere = features.apply(map_of(entry, sphere=2.0), inputs)
    np.testing.assert_allclose(np.linalg.norm(sphere, axis=1), 2, rtol=1e-5)


def test_a_file_or_inputs_that_do_not_fit_are_refused(entry, inputs, tmp_path):
    stored = io.read_models(entry["weights"], None)
    part = tmp_path / "part.safetensors"
    io.write_models(part, {k: v for k, v in stored.items() if k != "conv2.bias"}, {})
    with pytest.raises(io.DataError, match=r"part.safetensors: conv2.bias must have shape \(32,\)"):
        features.apply(map_of(entry, weights=str(part)), inputs)
    with pytest.raises(io.DataError, match=r"hidden.weight must have shape \(512, 512\); found"):
        features.apply(map_of(entry), np.zeros((2, 1, 28, 28), np.float32))
    with pytest.raises(io.DataError, match="needs images"):
        features.apply(map_of(entry), np.zeros((2, 256), np.float32))
    with pytest.raises(io.DataError, match=r"mean \[0.1, 0.2\].* one for each of 1 channels"):
        features.apply(map_of(entry, mean=[0.1, 0.2]), inputs)
    stored["hidden.bias"][3] = np.nan
    io.write_models(part, stored, {})
    with pytest.raises(io.DataError, match=r"part.safetensors: features are not finite"):
        features.apply(map_of(entry, weights=str(part)), inputs)


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32", "float64"])
def test_weights_of_other_precision_are_read_as_float32(kind, weights, entry, inputs, tmp_path):
    """Each number of half precision is a float32 number."""
    stored = {k: torch.from_numpy(v) for k, v in io.read_models(weights, None).items()}
    given = {k: tensor.to(getattr(torch, kind)) for k, tensor in stored.items()}
    file = str(tmp_path / "w.safetensors")
    save_file(given, file)
    network = learner_of({"kind": "cnn"}).module(SHAPE, 2)
    state = layers.body_state(network, file)
    assert state.keys() == stored.keys()
    for name, tensor in given.items():
        assert state[name].dtype == np.float32
        assert np.array_equal(state[name], tensor.to(torch.float64).numpy().astype(np.float32))
    assert features.apply(map_of(entry, weights=file), inputs).dtype == np.float32


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("float8_e4m3fn", "F8_E4M3"),
        ("float8_e5m2", "F8_E5M2"),
        ("int8", "I8"),
        ("uint8", "U8"),
        ("int64", "I64"),
        ("bool", "BOOL"),
        ("complex64", "C64"),
    ],
)
def test_weights_that_need_a_scale_are_refused(kind, named, weights, entry, inputs, tmp_path):
    stored = {k: torch.from_numpy(v) for k, v in io.read_models(weights, None).items()}
    stored["conv2.bias"] = stored["conv2.bias"].to(getattr(torch, kind))
    file = str(tmp_path / "w.safetensors")
    save_file(stored, file)
    message = rf"w.safetensors: conv2.bias is stored as {named}; allowed: F64, F32, F16, BF16"
    with pytest.raises(io.DataError, match=message):
        features.apply(map_of(entry, weights=file), inputs)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + b"0" * 100, b"\x00" * 100])
def test_other_files_are_no_weights(content, entry, inputs, tmp_path):
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(io.DataError, match=r"w.pt: not a readable safetensors file"):
        features.apply(map_of(entry, weights=str(tmp_path / "w.pt")), inputs)


def test_its_path_is_part_of_the_learner(weights):
    known = seals.file_sum(weights)
    learner = SUMS | {"features": {"kind": "encoder", "network": "cnn", "weights": known}}
    assert learner_of(learner).with_weights(weights).features.weights == weights
    assert learner["features"]["weights"] == known
    assert learner_of(SUMS).with_weights("") == learner_of(SUMS)


@pytest.mark.parametrize("learner", [SUMS, {"kind": "mlp", "hidden": 4}], ids=["linear", "mlp"])
def test_noise_goes_on_the_input(entry, inputs, learner):
    """Votes are those of each model on the features of its own noisy inputs."""
    module, generator = learner_of(learner).module((512,), 2), np.random.default_rng(1)
    ensemble = {
        name: torch.from_numpy(generator.normal(size=(3, *p.shape)).astype(np.float32))
        for name, p in module.named_parameters()
    }
    seen, encode = features.before_noise(map_of(entry), inputs, True, CPU)
    assert seen is inputs
    noise = rng.generators(0, rng.Purpose.TEST_NOISE, range(3))
    votes, scores = vote(module, ensemble, seen, 0.4, noise, True, encode)
    for k, own in enumerate(rng.generators(0, rng.Purpose.TEST_NOISE, range(3))):
        noisy = inputs + np.float32(0.4) * own.standard_normal(SHAPE, np.float32)
        state = {name: p[k] for name, p in ensemble.items()}
        given = torch.from_numpy(features.apply(map_of(entry), noisy))
        logits = torch.func.functional_call(module, state, (given,))
        np.testing.assert_allclose(scores[k], logits.softmax(1), atol=1e-4)
        assert (votes[k] == logits.argmax(1).numpy()).mean() > 0.98
    silent, none = features.before_noise(map_of(entry), inputs, False, CPU)
    assert none is None
    assert np.array_equal(silent, features.apply(map_of(entry), inputs))
    dct = {"kind": "dct", "size": 4, "pixel_mean": 0.3}
    mapped, none = features.before_noise(map_of(dct), inputs, True, CPU)
    assert none is None
    assert mapped.shape == (len(inputs), 16)


DRAWS = {
    "bagging": (Bagging(12), 2, BaggedRows(271, 12, Threat(2, "replaced", "none", 0.0), None)),
    "statistic": (
        NoisyStatistic(0.06),
        8,
        StatisticRows(271, 0.06, 0.5**0.5, Threat(8, "replaced", "none", 0.0), None),
    ),
}


@pytest.mark.parametrize("name", DRAWS)
def test_certified_labels_hold_behind_an_encoder(name, entry, poisoned, inputs):
    """Rows become the triggered input under the other label; inside the certificate it holds."""
    sums = learner_of({"kind": "class_sums", "features": entry})
    assert sums.sums_bound(10) == 0.5**0.5
    draw, r, guarantee = DRAWS[name]
    n_models, sigma = 400, 0.1
    encode = features.mapping(map_of(entry), SHAPE, CPU)
    train = poisoned._replace(inputs=features.apply(map_of(entry), enlarged(poisoned.inputs)))
    module = learner_of(SUMS).module((512,), 2)

    def counted(rows, at, seed):
        ensemble = ensembles.train(rows, draw, learner_of(SUMS), 2, seed, range(n_models))
        noise = rng.generators(seed, rng.Purpose.TEST_NOISE, range(n_models))
        votes, _ = vote(module, ensemble, at, sigma, noise, encode=encode)
        return np.stack([(votes == c).sum(0) for c in range(2)], axis=1)

    some = inputs[:8]
    counts = counted(train, some, 0)
    labels, p = counts.argmax(1), bounds.majority_lower(counts.max(1), n_models, 1e-3)
    claims = Claims(labels, p, 1 - p)
    radius = guarantee.columns(claims, np.full(len(p), sigma))["radius_trigger"]
    covered = np.flatnonzero(radius > 0)
    assert len(covered) >= 3
    for i in covered:
        other = inputs[farther(inputs, poisoned, labels[i])]
        step = other.mean(0) - some[i]
        moved = some[i] + np.float32(0.999 * radius[i] / np.linalg.norm(step)) * step
        rows, theirs = train.inputs.copy(), train.labels.copy()
        own = np.flatnonzero(train.labels == labels[i])[:r]
        rows[own], theirs[own] = features.apply(map_of(entry), moved[None]), 1 - labels[i]
        votes = counted(train._replace(inputs=rows, labels=theirs), moved[None], 1 + i)
        lower = bounds.majority_lower(votes.max(1), n_models, 1e-3)
        assert lower[0] <= 0.5 or votes[0].argmax() == labels[i]


def farther(inputs, poisoned, label):
    """Return which inputs are nearer to the other class."""
    means = np.stack([enlarged(poisoned.inputs[poisoned.labels == c]).mean(0) for c in (0, 1)])
    distance = np.square(inputs[:, None] - means).sum((2, 3, 4))
    return distance.argmin(1) != label
