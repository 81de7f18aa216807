import numpy as np
import pandas as pd
import pytest
import torch

from certbd import certificates, ensembles, plots, rng, search

CLASS_MEAN = {"kind": "nearest_class_mean"}
MLP = {"kind": "mlp", "hidden": 8, "epochs": 2, "batch_size": 64, "learning_rate": 0.01}
SEARCH = {
    "sigma_train": [0.5, 1.0], "sigma_test": [0.2, 0.4], "n_models": 200, "n_inputs": 60,
    "alpha": 0.001, "seed": 0,
}  # fmt: skip
CPU = torch.device("cpu")


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


def test_a_pair_certifies_what_its_radii_cover(poisoned):
    attack = search.Attack(0.3, 13)
    grid = search.search_noise(poisoned, attack, CLASS_MEAN, 2, SEARCH, CPU)
    assert len(grid) == 4
    assert grid["best"].sum() == 1
    assert grid.loc[grid["best"], "worst_class"].item() == grid["worst_class"].max()
    assert (
        (grid["worst_class"] <= grid["certified"]) & (grid["certified"] <= grid["accuracy"])
    ).all()
    assert grid["certified"].max() > 0.5
    harder = search.search_noise(poisoned, search.Attack(0.6, 13), CLASS_MEAN, 2, SEARCH, CPU)
    assert (harder["certified"] <= grid["certified"]).all()
    assert harder["certified"].sum() < grid["certified"].sum()
    assert np.array_equal(harder["accuracy"], grid["accuracy"])


def test_pilots_are_apart_from_the_models_that_vote(poisoned, monkeypatch):
    seen = []
    train = ensembles.train

    def spy(*given):
        seen.append(given[6])
        return train(*given)

    monkeypatch.setattr(ensembles, "train", spy)
    search.search_noise(poisoned, search.Attack(0.3, 13), CLASS_MEAN, 2, SEARCH, CPU)
    assert set(seen) == {rng.PILOTS}


@pytest.mark.parametrize(("learner", "by_means"), [(CLASS_MEAN, True), (MLP, False)])
def test_the_guarantee_is_that_of_the_whole_training_set(poisoned, learner, by_means):
    guarantee = search.guarantee_of(poisoned.labels, 0.7, learner, search.Attack(0.3, 13))
    assert (guarantee.n_poisoned, guarantee.attack_norm) == (13, 0.3)
    assert np.array_equal(guarantee.sigma, np.full(len(poisoned.labels), 0.7))
    if not by_means:
        assert guarantee.class_variance is None
    else:
        expected = certificates.class_variance(poisoned.labels, guarantee.sigma)
        assert np.array_equal(guarantee.class_variance, expected)


def test_the_best_pair_has_the_best_worst_class(tmp_path):
    grid = pd.DataFrame(
        [
            (1, 0.2, 0.9, 0.8, 0.5),
            (1, 0.4, 0.9, 0.7, 0.6),
            (2, 0.2, 1, 0.75, 0.6),
            (2, 0.4, 1, 1, 0),
        ],
        columns=["sigma_train", "sigma_test", "accuracy", "certified", "worst_class"],
    )
    found = search.best(grid)
    assert (found["sigma_train"], found["sigma_test"]) == (2, 0.2)
    assert "sigma_train 2, sigma_test 0.2" in search.describe(found)
    plots.noise_search(grid.assign(best=grid.index == found.name), "title", tmp_path / "grid.svg")
    assert (tmp_path / "grid.svg").read_text().startswith("<?xml")
