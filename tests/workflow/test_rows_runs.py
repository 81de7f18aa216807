"""Bagging and statistic from raw digits to curves in rows."""

import numpy as np
import pandas as pd

from certbd.artifacts import io
from certbd.training import ensembles
from certbd.training.gaussian.draw import Gaussian
from conftest import Workflow, learner_of

CONFIG = {
    "chunk_size": 100,
    "undefended": "tiny",
    "datasets": {"given": {"kind": "npz", "path": "given.npz", "classes": [0, 1]}},
    "attacks": {"clean": {"kind": "none"}},
    "noises": {"rows-alone": {"sigma_statistic": 0.04, "sigma_test": 0}},
    "learners": {
        "tiny": {"kind": "mlp", "hidden": 8, "epochs": 2, "batch_size": 64, "learning_rate": 0.01}
    },
    "experiments": [
        {
            "dataset": dataset,
            "attacks": [attack],
            "defense": defense,
            "noises": [noise],
            "learner": learner,
            "n_models": 200,
            "certify": {"alpha": 0.01},
        }
        for dataset, defense, noise, learner, attack in (
            ("digits01", "bagging", "draw-12-test-0.35", "class_mean", "one_pixel_0.3"),
            ("digits01", "statistic", "s-0.04-test-0.35", "dct5_sums", "one_pixel_0.3"),
            ("given", "statistic", "rows-alone", "dct5_sums", "clean"),
        )
    ],
}


def test_rows_and_labels_are_covered(tmp_path, digits):
    np.savez(
        tmp_path / "given.npz",
        train_inputs=digits.train_inputs,
        train_labels=digits.train_labels,
        test_inputs=digits.test_inputs,
        test_labels=digits.test_labels,
    )
    workflow = Workflow(tmp_path, CONFIG | {"data_root": str(tmp_path)})
    workflow.run("--cores", "1")
    results = tmp_path / "results"
    summary = pd.read_csv(results / "summary.csv")
    assert summary["covers_labels"].all()
    attacked, alone = summary[:2], summary.loc[2]
    assert (attacked["n_poisoned"] == 5).all()
    assert (attacked["clean_certified_at_attack"] > 0.3).all()
    assert (attacked["average_trigger_radius"] > 0.1).all()
    assert alone[["average_trigger_radius", "clean_certified_at_attack"]].isna().all()
    curves = pd.read_csv(results / "curves.csv")
    assert set(curves["certificate"]) == {"trigger", "rows"}
    rows = curves.query("certificate == 'rows' and split == 'benign'")
    for _, curve in rows.groupby(["attack", "defense"]):
        assert curve["radius"].tolist() == list(range(41))
        assert curve["certified_accuracy"].is_monotonic_decreasing
        assert curve["certified_accuracy"].iloc[0] > 0.9
    figures = {file.name for file in (results / "figures" / "digits01").iterdir()}
    assert {"certified_accuracy_rows.svg", "certified_accuracy_trigger.svg"} < figures
    assert "certified_accuracy_joint.svg" not in figures
    assert workflow.plan() == {}


def refusal(tmp_path, dataset):
    experiment = CONFIG["experiments"][2] | {"dataset": "given"}
    config = CONFIG | {"datasets": {"given": dataset}, "experiments": [experiment]}
    done = Workflow(tmp_path, config | {"data_root": str(tmp_path)}).call("-n")
    assert done.returncode != 0
    return done.stdout + done.stderr


def test_classes_may_not_be_read_off_labels_that_may_be_wrong(tmp_path):
    assert (
        "datasets.given.classes: left out; experiments[0] with defense statistic needs every class "
        "listed"
    ) in refusal(tmp_path, {"kind": "npz", "path": "given.npz"})


def test_classes_may_not_select_among_labels_that_may_be_wrong(tmp_path):
    assert (
        "datasets.given.classes: leaves out 2, 3, 4, 5, 6, 7, 8, 9, so a relabelled row would "
        "enter or leave the set that defense statistic certifies; allowed with attack clean: "
    ) in refusal(tmp_path, {"kind": "digits", "classes": [0, 1]})


def test_more_rows_than_there_are_cannot_be_drawn(tmp_path):
    noises = {"many": {"n_drawn": 300, "sigma_test": 0.3}}
    experiment = CONFIG["experiments"][0] | {"noises": ["many"]}
    workflow = Workflow(tmp_path, CONFIG | {"noises": noises, "experiments": [experiment]})
    done = workflow.call("-n")
    assert done.returncode != 0
    assert "noises.many.n_drawn: 300 of 265 training inputs" in done.stdout + done.stderr


def enlarged(inputs):
    return inputs.repeat(2, axis=2).repeat(2, axis=3)


def test_an_encoder_goes_through_every_stage(tmp_path, digits):
    np.savez(
        tmp_path / "large.npz",
        train_inputs=enlarged(digits.train_inputs),
        train_labels=digits.train_labels,
        test_inputs=enlarged(digits.test_inputs[:20]),
        test_labels=digits.test_labels[:20],
    )
    weights = tmp_path / "encoder.safetensors"
    clean = io.PoisonedSet(enlarged(digits.train_inputs), digits.train_labels, np.arange(0))
    learner = learner_of({"kind": "cnn", "epochs": 5, "batch_size": 64})
    for seed in (0, 1):
        trained = ensembles.train(clean, Gaussian(0.0), learner, 2, seed, range(1))
        encoder = {name: parameter[0].numpy() for name, parameter in trained.items()}
        io.write_models(tmp_path / f"encoder-{seed}.safetensors", encoder, {})
    (tmp_path / "encoder-0.safetensors").rename(weights)
    features = {"kind": "encoder", "network": "cnn", "weights": "encoder.safetensors"}
    search = {
        "dataset": "large", "attack": "one_pixel_0.3", "learner": "behind", "sigma_test": [0.1],
        "defense": "statistic", "sigma_statistic": [0.06, 5.0], "n_models": 100, "n_inputs": 20,
    }  # fmt: skip
    experiment = CONFIG["experiments"][1] | {
        "dataset": "large", "noises": ["little"], "learner": "behind", "n_models": 100,
        "certify": {"bound": "runner_up", "alpha": 0.1},
    }  # fmt: skip
    workflow = Workflow(
        tmp_path,
        CONFIG
        | {
            "data_root": str(tmp_path),
            "datasets": {"large": {"kind": "npz", "path": "large.npz", "classes": [0, 1]}},
            "noises": {"little": {"sigma_statistic": 0.06, "sigma_test": 0.1}},
            "learners": CONFIG["learners"]
            | {"behind": {"kind": "class_sums", "features": features}},
            "searches": {"pairs": search},
            "experiments": [experiment],
        },
    )
    workflow.run("--cores", "1", "all", "noise_search")
    results = tmp_path / "results"
    summary = pd.read_csv(results / "summary.csv")
    assert summary["clean_accuracy"].item() >= 0.9
    assert summary["covers_labels"].item()
    grid = pd.read_parquet(results / "searches" / "pairs.parquet")
    assert grid["parameter"].tolist() == ["sigma_statistic"] * 2
    assert grid["value"].tolist() == [0.06, 5.0]  # less noise
    assert workflow.plan() == {}
    (tmp_path / "encoder-1.safetensors").rename(weights)  # the same name, other content
    assert workflow.plan()["train_models"] == 1
    weights.unlink()
    done = workflow.call("-n")
    assert done.returncode != 0
    assert "learners.behind.features.weights:" in done.stdout + done.stderr
