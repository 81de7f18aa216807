import numpy as np
import pandas as pd
import pytest
import torch

from certbd import rng
from certbd.artifacts import io
from certbd.certify import search
from certbd.config.threats import Threat
from certbd.report import plots
from certbd.theory import certificates
from certbd.training import ensembles
from certbd.training import side as sides
from certbd.training.bagging.guarantee import BaggedRows
from certbd.training.statistic.guarantee import StatisticRows
from conftest import learner_of, side_of, vote_side_of

CLASS_MEAN = learner_of({"kind": "nearest_class_mean"})
MLP = learner_of({"kind": "mlp"})
SUMS = learner_of({"kind": "class_sums", "constant": 0.3})
COMMON = {
    "sigma_test": [0.2, 0.4],
    "n_models": 200,
    "n_inputs": 60,
    "alpha": 0.001,
    "seed": 0,
    "bound": "majority",
}
SEARCH = COMMON | {"defense": "decoupled", "sigma_train": [0.5, 1.0]}
SEARCHES = {
    "decoupled": (SEARCH, CLASS_MEAN, 0.3, 2),
    "bagging": (
        COMMON | {"defense": "bagging", "n_drawn": [6, 12]}, CLASS_MEAN, 0.1, 2,
    ),
    "statistic": (
        COMMON | {"defense": "statistic", "sigma_statistic": [0.02, 0.05]}, SUMS,
        0.1, 2,
    ),
}  # fmt: skip
CPU = torch.device("cpu")


def asked(poisoned, norm):
    """Return the threat that a trigger on the poisoned rows poses."""
    return Threat(len(poisoned.indices), "replaced", "l2", norm)


def as_many(poisoned, defense):
    """Return a set of which four rows are to be covered where a defence covers rows."""
    return poisoned if defense == "decoupled" else poisoned._replace(indices=poisoned.indices[:4])


def test_held_out_inputs_are_not_trained_on(poisoned):
    kept, rows = search.hold_out(poisoned, 1000, rng.generator(0, rng.Purpose.HOLD_OUT))
    counts = np.bincount(poisoned.labels)
    assert np.array_equal(np.bincount(poisoned.labels[rows]), counts // 3)
    held = {poisoned.inputs[row].tobytes() for row in rows}
    assert not held & {image.tobytes() for image in kept.inputs}
    assert len(kept.labels) + len(rows) == len(poisoned.labels)
    _, fewer = search.hold_out(poisoned, 10, rng.generator(0, rng.Purpose.HOLD_OUT))
    assert len(fewer) == 10
    assert set(fewer) <= set(rows)


@pytest.mark.parametrize("defense", SEARCHES)
def test_a_pair_certifies_what_its_radii_cover(defense, poisoned):
    entry, learner, norm, harder = SEARCHES[defense]
    poisoned = as_many(poisoned, defense)
    grid = search.search_pairs(poisoned, asked(poisoned, norm), norm, learner, 2, entry, CPU)
    assert len(grid) == 4
    assert grid["best"].sum() == 1
    assert grid.loc[grid["best"], "worst_class"].item() == grid["worst_class"].max()
    assert (
        (grid["worst_class"] <= grid["certified"]) & (grid["certified"] <= grid["accuracy"])
    ).all()
    assert grid["certified"].max() > 0.5
    less = search.search_pairs(
        poisoned, asked(poisoned, harder * norm), harder * norm, learner, 2, entry, CPU
    )
    assert (less["certified"] <= grid["certified"]).all()
    assert less["certified"].sum() < grid["certified"].sum()
    assert np.array_equal(less["accuracy"], grid["accuracy"])


def test_pilots_are_apart_from_the_models_that_vote(poisoned, monkeypatch):
    seen = []
    train = ensembles.train

    def spy(*given):
        seen.append(given[6])
        return train(*given)

    monkeypatch.setattr(ensembles, "train", spy)
    search.search_pairs(poisoned, asked(poisoned, 0.3), 0.3, CLASS_MEAN, 2, SEARCH, CPU)
    assert set(seen) == {rng.PILOTS}


@pytest.mark.parametrize(("defense", "values"), [("bagging", [12]), ("statistic", [0.05])])
def test_the_guarantee_is_that_of_the_whole_training_set(defense, values, poisoned, monkeypatch):
    """Fitted on two thirds of the rows; the certificate counts them all."""
    seen = []
    of = sides.guarantee_of
    monkeypatch.setattr(sides, "guarantee_of", lambda *a: seen.append(of(*a)) or seen[-1])
    entry, learner, norm, _ = SEARCHES[defense]
    poisoned = as_many(poisoned, defense)
    parameter = {"bagging": "n_drawn", "statistic": "sigma_statistic"}[defense]
    search.search_pairs(
        poisoned, asked(poisoned, norm), norm, learner, 2, entry | {parameter: values}, CPU
    )
    n, four = len(poisoned.labels), asked(poisoned, 0.1)
    expected = {
        "bagging": BaggedRows(n, 12, four, 0.1),
        "statistic": StatisticRows(n, 0.05, 0.5**0.5, four, 0.1),
    }
    assert seen == [expected[defense]] * 2  # one per level of test noise


@pytest.mark.parametrize(("learner", "by_means"), [(CLASS_MEAN, True), (MLP, False)])
def test_constant_noise_has_the_class_means_guarantee_for_them_alone(poisoned, learner, by_means):
    sigma, labels = np.full(len(poisoned.labels), 0.7), poisoned.labels
    side, test = side_of(kind="gaussian", sigma=0.7), vote_side_of(kind="noise", level=0.4)
    guarantee = sides.guarantee_of(
        side, search._world(side, test, poisoned, asked(poisoned, 0.3), 0.3, learner, 2)
    )
    assert (guarantee.n_poisoned, guarantee.norm) == (13, 0.3)
    assert np.array_equal(guarantee.sigma, sigma)
    if not by_means:
        assert guarantee.class_variance is None
    else:
        expected = certificates.class_variance(labels, sigma)
        assert np.array_equal(guarantee.class_variance, expected)


def test_more_rows_than_are_left_to_train_on_are_refused(poisoned):
    entry = SEARCHES["bagging"][0] | {"n_drawn": [6, 200]}
    with pytest.raises(
        io.DataError, match=r"searches: n_drawn: 200 of 178 training inputs that are not"
    ):
        search.search_pairs(poisoned, asked(poisoned, 0.3), 0.3, CLASS_MEAN, 2, entry, CPU)


@pytest.mark.parametrize("parameter", ["sigma_train", "n_drawn", "sigma_statistic"])
def test_the_best_pair_has_the_best_worst_class(parameter, tmp_path):
    grid = pd.DataFrame(
        [
            (1, 0.2, 0.9, 0.8, 0.5),
            (1, 0.4, 0.9, 0.7, 0.6),
            (2, 0.2, 1, 0.75, 0.6),
            (2, 0.4, 1, 1, 0),
        ],
        columns=["value", "sigma_test", "accuracy", "certified", "worst_class"],
    ).assign(parameter=parameter)
    found = search.best(grid)
    assert (found["value"], found["sigma_test"]) == (2, 0.2)
    assert f"{parameter} 2, sigma_test 0.2" in search.describe(found)
    plots.noise_search(
        grid.assign(best=grid.index == found.name), "title", parameter, tmp_path / "grid.svg"
    )
    assert (tmp_path / "grid.svg").read_text().startswith("<?xml")
