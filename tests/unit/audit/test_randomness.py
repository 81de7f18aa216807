"""Checks of random numbers: sound streams pass, each kind of fault is caught."""

import numpy as np
import pandas as pd
import pytest
import torch

from certbd import rng
from certbd.artifacts.io import PoisonedSet
from certbd.audit import randomness, streams, worlds
from certbd.config import entries
from certbd.data.domains import shifts
from certbd.training import side as sides
from certbd.training.bagging.draw import Bagging
from certbd.training.gaussian.draw import Gaussian
from conftest import learner_of, side_of

SOUND = np.random.default_rng(1).standard_normal((200, 100))
SIDES = {
    "copies": ({"kind": "gaussian", "sigma": 0.3}, "mlp"),
    "means": ({"kind": "gaussian", "sigma": 0.3}, "nearest_class_mean"),
    "optimised": ({"kind": "per_sample", "sigma": 0.3, "search": {}}, "mlp"),
    "sums": ({"kind": "statistic", "sigma_statistic": 0.1}, "class_sums"),
    "rows": ({"kind": "bagging", "n_drawn": 7}, "nearest_class_mean"),
    "rows alone": ({"kind": "bagging", "n_drawn": 7}, "nearest_class_mean"),
    "flips": ({"kind": "flips", "beta": 0.9}, "mlp"),
    "values": ({"kind": "flips", "beta": 0.7, "values": 5}, "mlp"),
}
SHAPE, CLASSES = (60, 16), 3


def procedure_of(name, n_models=100):
    settings, kind = SIDES[name]
    side, learner = side_of(**settings), learner_of({"kind": kind})
    draw = sides.draw_of(side, CLASSES, np.full(SHAPE[0], 0.3))
    return worlds.Procedure(learner, side, draw, CLASSES, 0, n_models, False, torch.device("cpu"))


def failed(checks, level=1e-6):
    return {name for name, _, p_value in checks if p_value < level}


@pytest.mark.parametrize("name", SIDES)
def test_the_streams_of_every_kind_of_run_pass(name):
    table = streams.check_run(procedure_of(name), SHAPE, noisy=name != "rows alone")
    judged = randomness.judge(table)
    assert judged["passed"].all()
    assert table["p_value"].between(0, 1).all()
    wanted = {"train"} if name == "rows alone" else {"train", "test"}
    assert wanted <= set(table["stream"])
    assert ("train and test" in set(table["stream"])) == (
        name in ("copies", "means", "optimised", "sums")
    )
    assert ", 0 failed" in randomness.describe(judged)


def test_p_values_of_sound_noise_are_uniform():
    generator, values = np.random.default_rng(0), []
    for _ in range(200):
        table = pd.DataFrame(randomness.check_normal(generator.standard_normal((20, 30))))
        values.append(table[2])
    shares = (np.array(values) < 0.1).mean(0)
    assert (shares < 0.2).all()
    assert (shares > 0.03).all()


@pytest.mark.parametrize(
    ("fault", "caught"),
    [
        (lambda z: z + 0.05, "mean"),
        (lambda z: z * 1.05, "variance"),
        (lambda z: (z**2 - 1) / np.sqrt(2), "third moment"),
        (lambda z: np.sign(z), "Kolmogorov-Smirnov"),
        (lambda z: np.sign(z) * np.sqrt(np.abs(z)), "fourth moment"),
        (lambda z: np.concatenate([z[:-1], z[:1]]), "largest correlation of two models"),
        (lambda z: z + 0.3 * z[0], "mean squared correlation of models"),
    ],
)
def test_faults_of_normal_noise_are_caught(fault, caught):
    assert failed(randomness.check_normal(SOUND)) == set()
    assert caught in failed(randomness.check_normal(fault(SOUND)))


def test_test_noise_that_repeats_training_noise_is_caught():
    other = np.random.default_rng(2).standard_normal(SOUND.shape)
    assert failed(randomness.check_pairs(SOUND, other)) == set()
    assert failed(randomness.check_pairs(SOUND, 0.9 * other + 0.1 * SOUND)) == {"correlation"}


def test_faults_of_drawn_rows_are_caught():
    generators = rng.generators(0, rng.Purpose.TRAIN_NOISE, range(2000))
    rows = np.stack([g.choice(40, 5, replace=False) for g in generators])
    assert failed(randomness.check_rows(rows, 40)) == set()
    often = rows.copy()
    often[often == 39] = 0
    assert "draws of each row" in failed(randomness.check_rows(often, 40))
    assert "models with a row drawn twice" in failed(randomness.check_rows(often, 40))
    assert "rows shared by two models" in failed(randomness.check_rows(rows.repeat(2, 0), 40))


def test_faults_of_shifts_are_caught():
    def drawn(beta):
        return np.stack([shifts(g, (500,), beta, 4) for g in rng.generators(0, 3, range(200))])

    assert failed(randomness.check_shifts(drawn(0.8), 0.8, 4)) == set()
    assert failed(randomness.check_shifts(drawn(0.79), 0.8, 4)) == {"share kept"}
    biased = drawn(0.8)
    biased[(biased == 3) & (np.arange(500) % 2 == 0)] = 1
    assert failed(randomness.check_shifts(biased, 0.8, 4)) == {"values that replace"}
    repeated = np.concatenate([drawn(0.8)[:100]] * 2)
    assert "correlation" in failed(randomness.check_shifts(repeated, 0.8, 4))


def test_a_table_is_judged_by_all_its_checks():
    table = pd.DataFrame({"p_value": [0.5, 0.002, 4e-4]})
    assert randomness.judge(table)["passed"].tolist() == [True, True, True]
    table = pd.DataFrame({"p_value": [0.5, 0.002, 3e-4]})
    assert randomness.judge(table)["passed"].tolist() == [True, True, False]
    assert "3 checks, 1 failed" in randomness.describe(randomness.judge(table))


class WithReplacement(Bagging):
    """A draw that somebody has added."""


@pytest.mark.parametrize("draw", [WithReplacement(7), object(), None, "rows", {"n_drawn": 7}])
def test_numbers_of_an_unknown_draw_are_not_checked_but_refused(draw):
    procedure = procedure_of("rows")
    unknown = worlds.Procedure(**vars(procedure) | {"draw": draw})
    with pytest.raises(
        ValueError, match=f"{type(draw).__name__} is not that of training side bagging"
    ):
        streams.check_run(unknown, SHAPE, True)


@pytest.mark.parametrize("name", SIDES)
def test_the_numbers_checked_are_those_that_training_takes(name, monkeypatch):
    """Also where a stream is long, so that its first numbers stand for it."""
    monkeypatch.setattr(streams, "MOST_NUMBERS", 700)
    procedure, seen = procedure_of(name, n_models=10), {}
    original = randomness.table

    def table(stream, drawn, checks):
        seen.setdefault(stream, drawn)
        return original(stream, drawn, checks)

    monkeypatch.setattr(streams, "table", table)
    part = entries.module(entries.TRAINING, procedure.side.kind, "audit")
    for name_of in ("table", "MOST_NUMBERS"):
        if hasattr(part, name_of):
            monkeypatch.setattr(part, name_of, getattr(streams, name_of))
    streams.check_run(procedure, SHAPE, noisy=True)
    generators = streams.training_generators(procedure)
    nothing = PoisonedSet(np.zeros(SHAPE, np.float32), np.arange(60) % 3, np.arange(0))
    if name in ("means", "sums"):
        size = CLASSES * (16 + (name == "sums"))
        taken = np.stack([g.standard_normal(size) for g in generators])
    elif name.startswith("rows"):
        numbered = nothing._replace(labels=np.arange(60))
        taken = procedure.draw(numbered, generators, procedure.device)[1].numpy()
    else:
        unit = Gaussian(1.0) if name in ("copies", "optimised") else procedure.draw
        taken = unit(nothing, generators, procedure.device)[0].flatten(1).numpy()
        taken = (taken * 4).round() if name == "values" else taken
    assert len(seen["train"]) == 10
    width = seen["train"].shape[1]
    assert np.array_equal(seen["train"], taken[:, :width])


def test_memory_of_the_checks_does_not_grow_with_models_and_features():
    procedure = procedure_of("means", n_models=2000)
    table = streams.check_run(procedure, (4, 50_000), noisy=True)
    assert (table["numbers"] <= streams.MOST_NUMBERS).all()
