import numpy as np
import pandas as pd
import pytest
import torch

from certbd import rng
from certbd.artifacts import io
from certbd.certify import search, search_words
from certbd.config import defences
from certbd.config.threats import Threat
from certbd.report import search_plots
from certbd.theory import certificates
from certbd.training import ensembles
from certbd.training import side as sides
from certbd.training.bagging.guarantee import BaggedRows
from certbd.training.statistic.guarantee import StatisticRows
from conftest import learner_of

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
    pairs = ["value", "sigma_test"]
    grid, less = (table.sort_values(pairs, ignore_index=True) for table in (grid, less))
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
def test_constant_noise_has_the_class_means_guarantee_for_them_alone(
    learner, by_means, poisoned, monkeypatch
):
    seen, of = [], sides.guarantee_of
    monkeypatch.setattr(sides, "guarantee_of", lambda *a: seen.append(of(*a)) or seen[-1])
    entry = SEARCH | {"sigma_train": [0.7], "sigma_test": [0.4], "n_models": 20}
    search.search_pairs(poisoned, asked(poisoned, 0.3), 0.3, learner, 2, entry, CPU)
    (guarantee,), sigma = seen, np.full(len(poisoned.labels), 0.7)
    assert (guarantee.n_poisoned, guarantee.norm) == (13, 0.3)
    assert np.array_equal(guarantee.sigma, sigma)
    if not by_means:
        assert guarantee.class_variance is None
    else:
        expected = certificates.class_variance(poisoned.labels, sigma)
        assert np.array_equal(guarantee.class_variance, expected)


@pytest.mark.parametrize("defense", ["bagging", "statistic"])
def test_rows_alone_are_certified_without_test_noise(defense, poisoned):
    entry, learner, _, _ = SEARCHES[defense]
    entry, shares = entry | {"sigma_test": [0.0]}, []
    for rows in (2, 6, 60):
        threat = Threat(rows, "replaced", "none", 0.0)
        grid = search.search_pairs(poisoned, threat, None, learner, 2, entry, CPU)
        shares.append(grid.sort_values("value")["certified"].to_numpy())
    assert shares[0].max() > 0.6
    assert np.all(shares[0] >= shares[1])
    assert shares[0].sum() > shares[1].sum()
    assert not shares[2].any()


def test_every_defence_that_trains_is_searched_by_the_key_of_its_own(poisoned):
    known = {name: defences.read(name).searched for name in defences.names()}
    assert known == {
        "rab": "sigma", "cert_ssb": "sigma", "decoupled": "sigma_train", "discrete": "beta",
        "bagging": "n_drawn", "statistic": "sigma_statistic",
    }  # fmt: skip
    fast = learner_of({"kind": "mlp", "hidden": 4, "epochs": 1})
    few = poisoned._replace(inputs=poisoned.inputs[:60], labels=poisoned.labels[:60])
    entry = COMMON | {"n_models": 30, "n_inputs": 9, "sigma_test": [0.0], "alpha": 0.1}
    threat = Threat(1, "triggered", "l2", 0.01)
    for defense, values in (("rab", [0.2, 0.4]), ("cert_ssb", [0.3])):
        asked_of = entry | {"defense": defense, "sigma": values}
        grid = search.search_pairs(few, threat, 0.01, fast, 2, asked_of, CPU)
        assert sorted(grid["value"]) == values
        assert grid["sigma_test"].isna().all()
    binary = few._replace(inputs=(few.inputs >= 0.5).astype(np.float32))
    asked_of = entry | {"defense": "discrete", "beta": [0.9]}
    one = Threat(1, "replaced", "l0", 1)
    grid = search.search_pairs(binary, one, None, fast, 2, asked_of, CPU)
    assert grid["sigma_test"].isna().all()
    assert 0 <= grid["certified"].item() <= grid["accuracy"].item()


def test_another_set_is_searched_on_and_the_given_one_is_certified(digits, poisoned):
    """The rows that count are those of the given set; its labels have no other part."""
    trusted = io.PoisonedSet(digits.train_inputs, digits.train_labels, np.arange(0))
    entry, learner, _, _ = SEARCHES["bagging"]
    threat, entry = Threat(10, "replaced", "none", 0.0), entry | {"sigma_test": [0.0]}
    both = [
        search.search_pairs(trusted, threat, None, learner, 2, entry, CPU, given=given)
        for given in (poisoned, poisoned._replace(labels=1 - poisoned.labels))
    ]
    assert both[0].equals(both[1])
    half = poisoned._replace(inputs=poisoned.inputs[::2], labels=poisoned.labels[::2])
    fewer = search.search_pairs(trusted, threat, None, learner, 2, entry, CPU, given=half)
    assert sorted(fewer["accuracy"]) == sorted(both[0]["accuracy"])
    assert fewer["certified"].sum() < both[0]["certified"].sum()  # 10 rows of half as many


def test_more_rows_than_are_left_to_train_on_are_refused(poisoned):
    entry = SEARCHES["bagging"][0] | {"n_drawn": [6, 200]}
    with pytest.raises(
        io.DataError, match=r"searches: n_drawn: 200 of 178 training inputs that are not"
    ):
        search.search_pairs(poisoned, asked(poisoned, 0.3), 0.3, CLASS_MEAN, 2, entry, CPU)


GRID = pd.DataFrame(
    [
        (1, 0.2, 0.9, 0.8, 0.5, False),
        (1, 0.4, 0.9, 0.7, 0.6, False),
        (2, 0.2, 1, 0.75, 0.6, False),
        (2, 0.4, 1, 1, 0, True),
    ],
    columns=["value", "sigma_test", "accuracy", "certified", "worst_class", "unpredicted"],
).assign(agreement=0.6, possible=True, best=[False, False, True, False])


@pytest.mark.parametrize("parameter", ["sigma_train", "n_drawn", "sigma_statistic"])
def test_the_best_pair_is_said_and_framed(parameter, tmp_path):
    grid = GRID.assign(parameter=parameter)
    said = search_words.describe(grid, "4 rows replaced")
    assert f"{parameter} 2, sigma_test 0.2" in said
    lines = search_words.table(grid).splitlines()
    assert lines[3].endswith("75.0 %   60.0 %  100.0 %  best")
    assert lines[4].endswith("a class never predicted")
    assert max(map(len, lines)) <= 80
    search_plots.noise_search(grid, "title", parameter, tmp_path / "grid.svg")
    assert (tmp_path / "grid.svg").read_text().startswith("<?xml")


def test_a_pair_under_which_a_class_is_never_predicted_is_never_framed(tmp_path):
    grid = GRID.assign(parameter="n_drawn", best=False)
    assert search_words.best(grid) is None
    some = grid.assign(certified=[0, 0, 0, 1.0])
    assert "some class is never predicted" in search_words.describe(some, "4 rows replaced")
    nothing = search_words.describe(grid.assign(certified=0.0), "4 rows replaced")
    assert nothing.startswith("nothing certifies (4 rows replaced), because models agree too")
    never = grid.assign(certified=0.0, possible=False, unpredicted=False)
    assert "even if all models agree" in search_words.describe(never, "4 rows replaced")
    assert search_words.table(never).splitlines()[1].endswith("cannot certify")
    search_plots.noise_search(grid, "title", "m", tmp_path / "grid.svg")


def test_a_search_frames_no_pair_of_zeros_and_ranks_by_the_worst_class(poisoned):
    entry, learner, norm, _ = SEARCHES["bagging"]
    threat = Threat(4, "replaced", "l2", norm)
    grid = search.search_pairs(poisoned, threat, norm, learner, 2, entry, CPU)
    worst = grid["worst_class"].to_numpy()
    assert np.all(worst[:-1] >= worst[1:])
    assert grid["best"].tolist() == [True, False, False, False]
    far = search.search_pairs(poisoned, threat, 50.0, learner, 2, entry, CPU)
    assert not far["certified"].any()
    assert not far["best"].any()
    assert not far["possible"].any()
    assert grid["possible"].any()
    one_class = poisoned._replace(labels=np.where(np.arange(len(poisoned.labels)) < 6, 1, 0))
    easy = Threat(1, "replaced", "none", 0.0)
    alone = entry | {"n_drawn": [6], "sigma_test": [0.0]}
    unpredicted = search.search_pairs(one_class, easy, None, learner, 2, alone, CPU)
    assert unpredicted["unpredicted"].all()
    assert (unpredicted["certified"] > 0.5).all()  # most inputs are of the other class
    assert not unpredicted["best"].any()
