"""Bagging and statistic from raw digits to curves in rows."""

import pandas as pd

from conftest import Workflow

CONFIG = {
    "chunk_size": 100,
    "undefended": "tiny",
    "attacks": {"clean": {"kind": "none"}},
    "noises": {"rows-alone": {"sigma_statistic": 0.04, "sigma_test": 0}},
    "learners": {
        "tiny": {"kind": "mlp", "hidden": 8, "epochs": 2, "batch_size": 64, "learning_rate": 0.01}
    },
    "experiments": [
        {
            "dataset": "digits01",
            "attacks": [attack],
            "defense": defense,
            "noises": [noise],
            "learner": learner,
            "n_models": 200,
            "certify": {"alpha": 0.01},
        }
        for defense, noise, learner, attack in (
            ("bagging", "draw-12-test-0.35", "class_mean", "one_pixel_0.3"),
            ("statistic", "s-0.04-test-0.35", "dct5_sums", "one_pixel_0.3"),
            ("statistic", "rows-alone", "dct5_sums", "clean"),
        )
    ],
}


def test_rows_and_labels_are_covered(tmp_path):
    workflow = Workflow(tmp_path, CONFIG)
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


def test_more_rows_than_there_are_cannot_be_drawn(tmp_path):
    noises = {"many": {"n_drawn": 300, "sigma_test": 0.3}}
    experiment = CONFIG["experiments"][0] | {"noises": ["many"]}
    workflow = Workflow(tmp_path, CONFIG | {"noises": noises, "experiments": [experiment]})
    done = workflow.call("-n")
    assert done.returncode != 0
    assert "noises.many.n_drawn: 300 of 271 training inputs" in done.stdout + done.stderr
