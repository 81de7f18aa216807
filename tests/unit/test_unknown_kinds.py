"""A kind that nobody has described raises wherever it is asked for: no default stands for one."""

from pathlib import Path

import numpy as np
import pytest

from certbd.artifacts.io import PoisonedSet
from certbd.attacks import attack
from certbd.certify import claims, coverage
from certbd.certify.tally import Tally
from certbd.config.axes import Certification
from certbd.data import datasets
from certbd.data.dataset import Dataset
from certbd.learners import features, models
from certbd.data import domains
from certbd.learners import features
from certbd.training import ensembles
from certbd.training.draws import Gaussian, NoisyStatistic, draw_of
from certbd.training.noise import sigma_of
from conftest import learner_of, map_of

IMAGES = np.full((6, 1, 4, 4), 0.5, np.float32)
GIVEN = PoisonedSet(IMAGES, np.arange(6) % 2, np.arange(0))
TALLY = Tally(np.array([[9, 1]]), np.array([[9.0, 1.0]]))


def claim(bound):
    return claims.claim(TALLY, Certification(10, bound, 0.1, "per_input"), 1)


def guarantee(defense, noise, sigma):
    learner = {"kind": "ridge", "features": None}
    return coverage.guarantee_of(defense, noise, learner, GIVEN.labels, 2, sigma, (0, None))


UNKNOWN = {
    "attack": lambda: attack.read({"kind": "nine_pixel", "norm": 1.0, "rate": 0.1}),
    "attack without a trigger": lambda: attack.read({"kind": "", "seed": 0}),
    "learner: module": lambda: models.build({"kind": "forest", "hidden": 3}, (16,), 2),
    "attack: positions": lambda: attacks.positions("nine_pixel", 28, 28),
    "attack: trigger": lambda: attacks.add_trigger(IMAGES, IMAGES[0], "nine_pixel"),
    "attack: domain": lambda: attacks.check_domain({"kind": "wave", "norm": 1}, "digits", 17),
    "learner: module": lambda: learner_of({"kind": "forest", "hidden": 3}).module((16,), 2),
    "learner: training": lambda: ensembles.train(
        GIVEN, Gaussian(0.1), learner_of({"kind": "forest"}), 2, 0, range(2)
    ),
    "learner: guarantee": lambda: coverage.guarantee_of(
        "decoupled", None, {"kind": "forest", "features": None}, GIVEN.labels, 2, np.ones(6), (0, 1)
    ),
    "learner: sums": lambda: ensembles.train(
        GIVEN, NoisyStatistic(0.1), learner_of({"kind": "ridge"}), 2, 0, range(2)
    ),
    "learner: means": lambda: learner_of({"kind": "ridge"}).from_means(np.ones((1, 2, 16))),
    "weights": lambda: learner_of({"kind": "ridge"}).with_weights("a.safetensors"),
    "features": lambda: features.apply(map_of({"kind": "wavelet"}), IMAGES),
    "bound": lambda: claim("bernstein"),
    "defence": lambda: guarantee("bootstrap", {"n_bootstrap": 3}, np.ones(6)),
    "defence without noise": lambda: guarantee("bagging", None, np.ones(6)),
    "defence without training noise": lambda: guarantee("decoupled", {"train": 1.0}, None),
    "training side": lambda: draw_of({"n_bootstrap": 3}, 2),
    "split": lambda: sigma_of("validation", 3, {"train": 1.0, "test": 0.5}, None, None),
    "dataset": lambda: datasets.read({"kind": "wine"}),
    "dataset: outline": lambda: datasets.outline({"kind": "external"}, Path()),
    "dataset: reading": lambda: datasets.load({"kind": "Digits", "content": ""}),
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_an_unknown_kind_raises(kind):
    with pytest.raises((ValueError, KeyError, NotImplementedError)):
        UNKNOWN[kind]()


class Wine(Dataset):
    """A kind that says how it is read, and no more."""

    kind: str = "wine"

    def open(self, path):
        raise NotImplementedError

    def shape(self, files):
        raise NotImplementedError


@pytest.mark.parametrize("settings", [{}, {"binarise": 0.5}])
def test_a_dataset_whose_values_nobody_has_counted_is_named_with_what_to_do(settings):
    with pytest.raises(AttributeError, match=r"'Wine' .* no attribute 'stored_values'"):
        Wine.model_validate(settings).n_values  # noqa: B018
    with pytest.raises(AttributeError, match=r"'Wine' .* no attribute 'channels'"):
        Wine.model_validate(settings).channels  # noqa: B018


@pytest.mark.parametrize("bound", ["majority", "clopper_pearson", "runner_up", "hoeffding", "kl"])
def test_a_known_bound_claims(bound):
    assert claim(bound).predicted.tolist() == [0]
