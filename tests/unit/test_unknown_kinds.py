"""A kind that nobody has described raises wherever it is asked for: no default stands for one."""

from pathlib import Path

import numpy as np
import pytest

from certbd.artifacts.io import PoisonedSet
from certbd.attacks import attack
from certbd.certify import claims
from certbd.certify.tally import Tally
from certbd.config import defences
from certbd.config.axes import Certification
from certbd.data import datasets
from certbd.data.dataset import Dataset
from certbd.learners import features
from certbd.testing import side as testing
from certbd.training import ensembles
from certbd.training import side as training
from certbd.training.statistic.draw import NoisyStatistic
from certbd.training.world import World
from conftest import learner_of, map_of, side_of, vote_side_of

IMAGES = np.full((6, 1, 4, 4), 0.5, np.float32)
GIVEN = PoisonedSet(IMAGES, np.arange(6) % 2, np.arange(0))
TALLY = Tally(np.array([[9, 1]]), np.array([[9.0, 1.0]]))
GAUSSIAN, FLIPS = side_of(kind="gaussian", sigma=1.0), side_of(kind="flips", beta=0.9)
FLIPPED = vote_side_of(kind="flips", beta=0.9)
WORLD = World(GIVEN, vote_side_of(kind="noise", level=0.1), 2, False, None, None, None, None)


def claim(bound):
    return claims.claim(TALLY, Certification(10, bound, 0.1, "per_input"), 1)


UNKNOWN = {
    "attack": (
        lambda: attack.read({"kind": "nine_pixel", "norm": 1.0, "rate": 0.1}),
        "'nine_pixel' is not in its KINDS",
    ),
    "attack without a name": (
        lambda: attack.read({"kind": "", "seed": 0}),
        "'' is not in its KINDS",
    ),
    "learner": (
        lambda: learner_of({"kind": "forest", "hidden": 3}),
        "'forest' is not in its KINDS",
    ),
    "learner: sums": (
        lambda: ensembles.train(
            GIVEN, NoisyStatistic(0.1), learner_of({"kind": "ridge"}), 2, 0, range(2)
        ),
        "ridge does not learn from sums",
    ),
    "learner: means": (
        lambda: learner_of({"kind": "ridge"}).from_means(np.ones((1, 2, 16))),
        "ridge does not see its inputs through means",
    ),
    "weights": (
        lambda: learner_of({"kind": "ridge"}).with_weights("a.safetensors"),
        "a.safetensors: a learner of kind ridge has no weights",
    ),
    "features": (
        lambda: features.apply(map_of({"kind": "wavelet"}), IMAGES),
        "'wavelet' is not in its KINDS",
    ),
    "bound": (lambda: claim("bernstein"), "'bernstein' is not in its KINDS"),
    "bound of a job": (lambda: claims.is_scored("Majority"), "'Majority' is not in its KINDS"),
    "defence": (lambda: defences.read("bootstrap"), "defense 'bootstrap': there is none"),
    "defence of a training side's name": (
        lambda: defences.read("gaussian"),
        "defense 'gaussian': there is none",
    ),
    "training side": (
        lambda: side_of(kind="bootstrap", n_bootstrap=3),
        "'bootstrap' is not in its KINDS",
    ),
    "training side without noise": (
        lambda: training.draw_of(GAUSSIAN, 2, None),
        "gaussian: its noise on training inputs is not given",
    ),
    "guarantee without noise": (
        lambda: training.guarantee_of(GAUSSIAN, WORLD),
        "gaussian: its noise on training inputs is not given",
    ),
    "guarantee of class sums without their bound": (
        lambda: training.guarantee_of(side_of(kind="statistic", sigma_statistic=0.1), WORLD),
        "the bound of the learner's sums is not given",
    ),
    "guarantee of flips with Gaussian test noise": (
        lambda: training.guarantee_of(FLIPS, WORLD),
        "flips: its test side is .'kind': 'noise', 'level': 0.1.",
    ),
    "guarantee of flips with other flips in the vote": (
        lambda: training.guarantee_of(
            FLIPS, WORLD._replace(test=vote_side_of(kind="flips", beta=0.8))
        ),
        "flips: its test side is .'kind': 'flips', 'beta': 0.8",
    ),
    "test side": (lambda: testing.read({"kind": "exact"}), "'exact' is not in its KINDS"),
    "dataset": (lambda: datasets.read({"kind": "wine"}), "'wine' is not in its KINDS"),
    "dataset: outline": (
        lambda: datasets.outline({"kind": "external"}, Path()),
        "'external' is not in its KINDS",
    ),
    "dataset: reading": (
        lambda: datasets.load({"kind": "Digits", "content": ""}),
        "'Digits' is not in its KINDS",
    ),
}
"""What is asked for, and what the message says."""


@pytest.mark.parametrize("kind", UNKNOWN)
def test_an_unknown_kind_raises(kind):
    ask, told = UNKNOWN[kind]
    with pytest.raises((ValueError, NotImplementedError), match=told):
        ask()


class Wine(Dataset):
    """A kind that says how it is read, and no more."""

    kind: str = "wine"

    def open(self, path):
        raise NotImplementedError

    def shape(self, files):
        raise NotImplementedError


@pytest.mark.parametrize("settings", [{}, {"binarise": 0.5}])
def test_a_fact_that_a_dataset_does_not_say_has_no_default(settings):
    with pytest.raises(AttributeError, match=r"'Wine' .* no attribute 'stored_values'"):
        Wine.model_validate(settings).n_values  # noqa: B018
    with pytest.raises(AttributeError, match=r"'Wine' .* no attribute 'channels'"):
        Wine.model_validate(settings).channels  # noqa: B018


@pytest.mark.parametrize("bound", ["majority", "clopper_pearson", "runner_up", "hoeffding", "kl"])
def test_a_known_bound_claims(bound):
    assert claim(bound).predicted.tolist() == [0]
