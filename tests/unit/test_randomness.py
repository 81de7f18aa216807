"""Checks of random numbers: sound streams pass, each kind of fault is caught."""

import numpy as np
import pandas as pd
import pytest

from certbd import randomness, rng
from certbd.domains import shifts

SOUND = np.random.default_rng(1).standard_normal((200, 100))
LEVELS = {
    "copies": ({"train": 0.3, "test": 0.3}, "mlp"),
    "means": ({"train": 0.3, "test": 0.3}, "nearest_class_mean"),
    "optimised": (None, "mlp"),
    "sums": ({"sigma_statistic": 0.1, "test": 0.3}, "class_sums"),
    "rows": ({"n_drawn": 7, "test": 0.3}, "nearest_class_mean"),
    "rows alone": ({"n_drawn": 7, "test": 0.0}, "nearest_class_mean"),
    "flips": ({"beta": 0.9, "values": 2, "beta_labels": 0.9}, "mlp"),
    "values": ({"beta": 0.7, "values": 5, "beta_labels": 0.7}, "mlp"),
}


def failed(checks, level=1e-6):
    return {name for name, _, p_value in checks if p_value < level}


@pytest.mark.parametrize("name", LEVELS)
def test_the_streams_of_every_kind_of_run_pass(name):
    levels, learner = LEVELS[name]
    table = randomness.check_run(levels, learner, 0, 100, (60, 16, 3))
    judged = randomness.judge(table)
    assert judged["passed"].all()
    assert table["p_value"].between(0, 1).all()
    streams = {"train"} if name == "rows alone" else {"train", "test"}
    assert streams <= set(table["stream"])
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
