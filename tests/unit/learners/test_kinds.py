"""Learners and feature maps as entries: their facts, and one more of them in a file of its own."""

import numpy as np
import pytest
import torch

from certbd import rng
from certbd.config import entries
from certbd.config.checks import names
from certbd.data.domains import Replacement
from certbd.data.size import Size
from certbd.learners import kinds, maps
from certbd.learners.layers import LinearClassifier
from certbd.learners.networks import logits
from certbd.training import ensembles
from certbd.training.bagging.draw import Bagging
from certbd.training.flips.draw import Replaced
from certbd.training.gaussian.audit import SEARCHES
from certbd.training.gaussian.draw import Gaussian
from certbd.training.statistic.draw import NoisyStatistic
from conftest import learner_of, map_of

VIEWS = {
    "noisy": Gaussian(0.3),
    "flipped": Replaced(Replacement(0.9, 2), 0.9, 2),
    "rows": Bagging(9),
    "sums": NoisyStatistic(0.1),
}
MEDIAN = '''
"""The learner `class_median`: the class whose median, feature by feature, is nearest."""

from typing import ClassVar, Literal

from certbd.learners.linear import Linear


class ClassMedian(Linear):
    """The class whose median is nearest."""

    searched_by: ClassVar[str | None] = "ridge"
    kind: Literal["class_median"]

    def fit(self, copies, labels, n_classes):
        """Take each model's medians."""
        import torch

        pairs = zip(copies.flatten(2), labels, strict=True)
        medians = torch.stack(
            [
                torch.stack([rows[own == c].median(0).values for c in range(n_classes)])
                for rows, own in pairs
            ]
        )
        return {"weight": medians, "bias": medians.square().sum(-1) / -2}


KIND = ClassMedian
'''


@pytest.fixture(params=kinds.KINDS)
def learner(request):
    fast = {"epochs": 1} if entries.module(entries.LEARNERS, request.param).KIND.network else {}
    return learner_of({"kind": request.param}, **fast)


@pytest.fixture(scope="module")
def images(poisoned):
    """Sixty binary images, large enough for every network."""
    inputs = (poisoned.inputs[:60] > 0.5).astype(np.float32).repeat(2, axis=2).repeat(2, axis=3)
    return poisoned._replace(inputs=inputs, labels=np.arange(60) % 2, indices=np.arange(0))


def test_a_learner_learns_from_what_it_says(learner, images):
    assert learner.learns_from
    assert set(learner.learns_from) <= set(VIEWS)
    for view in learner.learns_from:
        ensemble = ensembles.train(images, VIEWS[view], learner, 2, 7, range(2))
        inputs = torch.from_numpy(images.inputs[:5])
        module = learner.module((1, 16, 16), 2)
        answers = logits(module, ensemble, inputs.expand(2, *inputs.shape))
        assert answers.shape == (2, 5, 2), view
        assert answers.isfinite().all(), view


def test_learners_say_which_views_they_learn_from():
    """A view that is left out is one that the certificates of a defence would not hold for."""
    every = ("noisy", "flipped", "rows")
    assert {kind: learner_of({"kind": kind}).learns_from for kind in kinds.KINDS} == {
        "nearest_class_mean": ("noisy", "rows"),
        "ridge": every,
        "class_sums": ("rows", "sums"),
        **dict.fromkeys(("mlp", "cnn", "preact_resnet", "resnet18"), every),
    }


def test_sums_are_refused_by_learners_without_any(learner, images):
    if "sums" not in learner.learns_from:
        with pytest.raises(NotImplementedError, match="does not learn from sums"):
            ensembles.train(images, VIEWS["sums"], learner, 2, 7, range(2))
        assert learner.sums_bound(2) is None
    else:
        assert learner.sums_bound(2) == pytest.approx(0.5**0.5)


def test_facts_are_those_of_modules_and_training(learner, images):
    module = learner.module((1, 16, 16), 2)
    assert not module.training
    assert {parameter.device.type for parameter in module.parameters()} == {"meta"}
    assert isinstance(module, LinearClassifier) == learner.linear != learner.network
    assert (learner.batch_rows(60) > 0) == learner.network
    assert learner.searched_by in {None, *SEARCHES}
    asked = []

    def generators():
        asked.append(True)
        return rng.generators(0, rng.Purpose.WEIGHTS, range(1))

    copies = torch.from_numpy(images.inputs)[None]
    labels = torch.from_numpy(images.labels)[None]
    learner.train(module, copies, labels, 2, weights=generators, batches=generators)
    assert bool(asked) == learner.network
    means = np.random.default_rng(0).random((3, 2, 256))
    if learner.by_class_means:
        assert learner.from_means(means)["weight"].shape == means.shape
    else:
        with pytest.raises(NotImplementedError, match="does not see its inputs through means"):
            learner.from_means(means)


def test_settings_are_given_back_as_they_were():
    """Through a map, too, whose class is found by its kind."""
    for kind in kinds.KINDS:
        entry = learner_of({"kind": kind})
        assert learner_of(entry.settings()) == entry
    settings = {"kind": "ridge", "penalty": 0.5, "features": {"kind": "dct", "size": 3}}
    entry = learner_of(settings)
    assert entry.settings()["features"] == {"kind": "dct", "size": 3, "pixel_mean": 0}
    assert entry.feature_map == entry.features == map_of(settings["features"])
    assert learner_of({"kind": "cnn"}).feature_map is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "ridge", "epochs": 3},
        {"kind": "ridge", "penalty": 0},
        {"kind": "cnn", "features": {"kind": "dct"}},
        {"kind": "mlp", "hidden": 3.0},
        {"kind": "mlp", "precision": "tf32"},
        {"kind": "ridge", "features": {"kind": "dct", "filters": 3}},
        {"kind": "ridge", "features": {"kind": "encoder", "network": "mlp", "weights": "w"}},
    ],
)
def test_other_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="validation error"):
        learner_of(wrong)


def test_every_map_but_an_encoder_is_lipschitz():
    known = {kind: entries.module(entries.MAPS, kind).KIND.lipschitz for kind in maps.KINDS}
    assert {kind for kind, lipschitz in known.items() if not lipschitz} == {"encoder"}


@pytest.mark.parametrize("kind", [kind for kind in maps.KINDS if kind != "encoder"])
def test_a_map_that_says_so_is_never_negative(kind, images):
    feature_map = map_of({"kind": kind})
    assert feature_map.lipschitz
    inputs = torch.from_numpy(images.inputs - np.float32(0.5))
    mapped = feature_map.mapping((1, 16, 16), torch.device("cpu"))(inputs)
    assert bool((mapped >= 0).all()) == feature_map.never_negative


def test_a_learner_is_added_by_one_file_and_its_name(tmp_path, monkeypatch, poisoned):
    (tmp_path / "class_median.py").write_text(MEDIAN)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    monkeypatch.setattr(kinds, "KINDS", (*kinds.KINDS, "class_median"))
    entry = learner_of({"kind": "class_median", "features": {"kind": "dct", "size": 4}})
    assert entry.footprint(Size(100, 10, (1, 8, 8), 2)).features == 16
    copies = Gaussian(0.3)(poisoned, rng.generators(7, 3, range(2)), torch.device("cpu"))[0]
    ensemble = ensembles.train(poisoned, Gaussian(0.3), entry, 2, 7, range(2))
    rows = copies[1, torch.from_numpy(poisoned.labels) == 1].flatten(1)
    assert torch.equal(ensemble["weight"][1, 1], rows.median(0).values)
    found = names.learner_misfits({"kind": "class_median"}, "statistic", "learner")
    assert list(found) == ["learner: kind class_median; allowed with defense statistic: class_sums"]
    assert not list(names.learner_misfits({"kind": "class_median"}, "discrete", ""))
