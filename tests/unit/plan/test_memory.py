"""Memory that jobs ask for: sizes are those of arrays and models, and searches stay within it."""

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from certbd.audit import descent, trials, worlds
from certbd.data import datasets
from certbd.learners import features, networks
from certbd.learners.kinds import KINDS
from certbd.learners.maps import encoder, random_conv
from certbd.plan import memory
from certbd.testing import votes
from conftest import ROOT, learner_of

SIZE = memory.Size(10_000, 2000, (3, 32, 32), 10)
IMAGES = ((1, 28, 28), (3, 32, 32), (3, 64, 64))
LEARNERS = (
    {"kind": "nearest_class_mean"},
    {"kind": "ridge", "penalty": 0.1},
    {"kind": "class_sums", "constant": 1.0},
    {"kind": "mlp", "hidden": 64, "batch_size": 64},
    {"kind": "cnn", "batch_size": 128},
    {"kind": "preact_resnet", "batch_size": 64},
    {"kind": "resnet18", "batch_size": 32, "pretrained": "none"},
)
ROUNDED = ("preact_resnet", "resnet18")
"""Kinds whose size is said for whatever number of classes and channels."""
FEATURES = (
    {"kind": "pixels", "pixel_mean": 0.3},
    {"kind": "dct", "size": 5, "pixel_mean": 0.3},
    {"kind": "dct", "size": 5, "pixel_mean": 0.3, "sphere": 1.0},
    {"kind": "random_conv", "filters": 6, "width": 3, "pool": 5, "seed": 0},
)
TABLE = {"kind": "table", "label_column": "label", "header": True}
LARGE = """
import resource, sys
import numpy as np, torch
from certbd.artifacts import io
from certbd.audit import attackers
torch.set_num_threads(1)
draws, n, d = np.random.default_rng(0), 10_000, 3072
inputs = draws.random((n, d), dtype=np.float32)
training = io.PoisonedSet(inputs, np.arange(n) % 2, np.arange(200))
attacker = attackers.ClassMeans(
    training, np.ones(n), {"weight": torch.rand(16, 2, d)}, torch.randn(16, d)
)
known = (inputs[:30], np.full(30, 0.5), np.zeros(30, int), np.ones(30))
for worlds, _ in (attacker.worst(*known, True), attacker.worst_trigger(*known, 200)):
    for world in worlds:
        assert world.inputs.shape == (n, d)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def write(folder, kind, suffix=""):
    """Write a small dataset of a kind; return its entry and path."""
    draws = np.random.default_rng(0)
    if kind == "table":
        table = pd.DataFrame(draws.random((12, 7)), columns=list("abcdefg"))
        path = folder / f"table{suffix or '.csv'}"
        table = table.assign(label=np.arange(12) % 2)
        table.to_parquet(path) if suffix else table.to_csv(path, index=False)
        return TABLE, path
    if kind == "npz":
        path = folder / "arrays.npz"
        inputs = draws.random((12, 2, 5, 3) if suffix else (12, 6))
        np.savez(path, inputs=inputs, labels=np.arange(12) % 2)
        return {"kind": "npz"}, path
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for number in range(8):
            image = draws.integers(0, 255, (9, 11, 3) if suffix else (9, 11), np.uint8)
            Image.fromarray(image).save(folder / name / f"{number}.png")
    return {"kind": "image_folder"}, folder


@pytest.mark.parametrize("suffix", ["", ".parquet"])
@pytest.mark.parametrize("kind", ["table", "npz", "image_folder"])
def test_the_shape_of_an_input_is_read_from_the_head_of_a_file(kind, suffix, tmp_path):
    entry, path = write(tmp_path, kind, suffix)
    files = datasets.outline(entry, path).files
    shape = datasets.read(entry).shape(files)
    assert datasets.load(entry, path).train_inputs.shape[1:] == shape
    if kind == "image_folder":
        shape = datasets.read(entry | {"size": 4}).shape(files)
        assert datasets.load(entry | {"size": 4}, path).train_inputs.shape[1:] == shape


def test_every_kind_of_dataset_has_a_size_and_others_are_refused():
    loaded = datasets.load({"kind": "digits", "classes": [0, 1]})
    assert loaded.train_inputs.shape[1:] == datasets.read({"kind": "digits"}).shape([])
    for kind, shape in (("mnist", (1, 28, 28)), ("cifar10", (3, 32, 32))):
        assert datasets.read({"kind": kind}).shape([]) == shape
    assert datasets.read({"kind": "imagenette"}).shape([]) == (3, 224, 224)
    for kind in ("wine", "Digits", "", "external", "csv"):
        with pytest.raises(ValueError, match=f"'{kind}' is not in its KINDS; known: digits, "):
            datasets.read({"kind": kind})
    for entry in ({"kind": "image_folder"}, TABLE, {"kind": "npz"}):
        assert datasets.read(entry).shape([ROOT / "README.md"]) == ()


@pytest.mark.parametrize("shape", IMAGES)
@pytest.mark.parametrize("learner", LEARNERS, ids=[learner["kind"] for learner in LEARNERS])
def test_models_and_what_they_keep_are_no_larger_than_said(learner, shape):
    size = SIZE._replace(shape=shape)
    entry = learner_of(learner)
    said, module = entry.footprint(size), entry.module(shape, size.n_classes)
    held = sum(tensor.nbytes for tensor in module.state_dict().values())
    assert held <= said.model <= 1.5 * held + 10_000 or learner["kind"] in ROUNDED
    assert held <= said.model
    if "batch_size" in learner:
        # parameters are kept once, whatever the batch
        kept = networks.saved_bytes(module, (learner["batch_size"], *shape)) - held
        assert kept <= said.batch


@pytest.mark.parametrize("entry", FEATURES, ids=[str(entry["kind"]) for entry in FEATURES])
def test_features_are_counted(entry):
    shape = (3, 32, 32)
    learner = learner_of(LEARNERS[0], features=entry)
    encode = features.mapping(learner.feature_map, shape, torch.device("cpu"))
    mapped = encode(torch.zeros(2, *shape)).flatten(1)
    assert mapped.shape[1] == learner.footprint(SIZE).features


def test_every_learner_of_the_schema_has_a_size_and_others_are_refused():
    schema = yaml.safe_load((ROOT / "config/schemas/config.schema.yaml").read_text())
    kinds = schema["$defs"]["learners_entry"]["properties"]["kind"]["enum"]
    assert [learner["kind"] for learner in LEARNERS] == list(KINDS) == kinds
    for kind in ("vit", "Ridge", "", "encoder", "svm"):
        with pytest.raises(ValueError, match=rf"'{kind}' is not in its KINDS; known: nearest_cl"):
            learner_of({"kind": kind}).footprint(SIZE)
    with pytest.raises(ValueError, match="'wavelet' is not in its KINDS; known: pixels, dct"):
        learner_of(LEARNERS[0], features={"kind": "wavelet"}).footprint(SIZE)


def test_memory_grows_with_inputs_models_and_features():
    learner = learner_of(LEARNERS[0]).footprint(SIZE)
    large = SIZE._replace(training=100_000, test=100_000)
    for of in (memory.of_poison, lambda size: memory.of_data(size, [])):
        assert of(large) > of(SIZE)
    assert memory.of_data(SIZE, [ROOT / "README.md"] * 99_999) < memory.of_data(SIZE, [])
    assert memory.of_training(large, learner, 10, "cpu") > memory.of_training(
        SIZE, learner, 10, "cpu"
    )
    assert memory.of_voting(SIZE, learner, 10_000, False, "cpu") > memory.of_voting(
        SIZE, learner, 1000, False, "cpu"
    )
    assert memory.of_certificates(SIZE, 5000, True) > memory.of_certificates(SIZE, 5000, False)
    assert memory.of_training(SIZE, learner, 10, "cuda") > memory.of_training(
        SIZE, learner, 10, "cpu"
    )
    nothing = SIZE._replace(shape=())
    assert math.isfinite(
        memory.of_audit(nothing, learner_of(LEARNERS[0]).footprint(nothing), "cpu")
    )


def test_a_search_on_a_large_set_stays_within_what_its_job_asks_for():
    """10 000 inputs of 3072 numbers, as two classes of CIFAR-10: 8.1 GB with all worlds at once."""
    done = subprocess.run(
        [sys.executable, "-c", LARGE],
        env={"PYTHONPATH": str(ROOT / "workflow" / "scripts"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    asked = memory.of_audit(SIZE, learner_of(LEARNERS[0]).footprint(SIZE), "cpu")
    assert float(done.stdout) < asked < 3000


def test_what_is_counted_is_what_the_modules_take():
    assert memory.CACHE * memory.MB >= networks.CACHE_BYTES
    assert memory.EVALUATED * memory.MB >= descent.EVALUATION_BYTES
    assert memory.VOTING * memory.MB >= worlds.ENSEMBLE_BYTES
    assert encoder.ENCODER >= 4 * votes.NOISY_BYTES
    assert memory.PILOTS == trials.PILOTS
    assert random_conv.ROWS is features.ROWS
