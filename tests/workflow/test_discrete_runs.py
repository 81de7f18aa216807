"""Discrete smoothing of binary digits, from raw data to figures, and what is refused."""

import copy

import numpy as np
import pandas as pd
import pytest

from certbd.theory import discrete
from conftest import Workflow

SMALL = {
    "chunk_size": 40,
    "undefended": "tiny",
    "learners": {
        "tiny": {"kind": "mlp", "hidden": 8, "epochs": 2},
        "smoothed": {"kind": "ridge", "penalty": 0.3},
    },
    "noises": {"few": {"beta": 0.8}, "labels": {"beta": 0.8, "beta_labels": 0.7}},
    "attacks": {"none": {"kind": "none"}},
    "experiments": [
        {
            "dataset": "digits01-binary",
            "attacks": [attack],
            "defense": "discrete",
            "noises": [noise],
            "learner": "smoothed",
            "n_models": 40,
            "certify": {"alpha": 0.05},
        }
        for attack, noise in (("one_image", "few"), ("none", "labels"))
    ],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workflow = Workflow(tmp_path_factory.mktemp("discrete"), SMALL)
    workflow.run("--cores", "2")
    return workflow


def test_flips_of_labels_and_pixels_are_certified(finished):
    summary = pd.read_csv(finished.folder / "results" / "summary.csv")
    assert summary["covers_labels"].all()
    assert summary["n_poisoned"].tolist()[0] == 1
    assert pd.isna(summary["n_poisoned"][1])
    assert summary["threat_trigger"].tolist()[0] == "l0"
    assert summary["threat_size"].tolist()[0] == 3  # a pixel and a label, and a pixel
    for column in ("average_trigger_radius", "average_joint_radius", "average_paper_radius"):
        assert summary[column].isna().all()
    for file in finished.folder.glob("results/**/certificates.parquet"):
        table = pd.read_parquet(file)
        flips = discrete.certified_flips(table["p_lower"], 0.8, 2)
        assert table["radius_l0"].tolist() == flips.tolist()
        assert ((table["radius_l0"] < 0) == (table["prediction"] < 0)).all()
        assert table["radius_l0"].max() >= 1
        assert table["sigma"].isna().all()
        if "one_image" in file.as_posix():  # one pixel and one label, and one pixel of the test
            assert (table["covers_attack"] == (table["radius_l0"] >= 3)).all()


def test_curves_are_at_whole_numbers_and_fall_to_nothing(finished):
    curves = pd.read_csv(finished.folder / "results" / "curves.csv")
    assert set(curves["certificate"]) == {"l0"}
    for _, line in curves.groupby(["attack", "split"]):
        assert line["radius"].tolist() == list(range(len(line)))
        assert np.all(np.diff(line["certified_accuracy"]) <= 0)
    assert (curves.groupby("attack")["certified_rate"].min() == 0).all()
    figures = finished.folder / "results" / "figures" / "digits01-binary"
    kinds = ("attack_success", "certified_accuracy_l0")
    names = {f"{kind}.{suffix}" for kind in kinds for suffix in ("svg", "pdf")}
    assert {file.name for file in figures.iterdir()} == names


def test_reach_is_tabulated_without_any_data(tmp_path):
    workflow = Workflow(tmp_path, SMALL | {"reach": {"betas": [0.9, 0.8], "values": [2]}})
    workflow.run("--cores", "1", "reach")
    table = pd.read_csv(tmp_path / "results" / "reach.csv")
    assert table["reach"].tolist()[:3] == [0, 1, 2]
    row = table[(table["beta"] == 0.8) & (table["n_models"] == 1000)].iloc[0]
    assert (row["reach"], row["images_one_pixel"], row["images_four_pixel"]) == (4, 1, 0)
    assert (tmp_path / "results" / "figures" / "reach.svg").exists()


def changed(table=None, **entries):
    config = copy.deepcopy(SMALL)
    if table is None:
        config["experiments"][0].update(entries)
    else:
        config[table] = config.get(table, {}) | entries
    return config


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (
            changed(certify={"alpha": 0.001}),
            "n_models: 40 models certify not one changed coordinate, even if all agree; needed for "
            "this noise and alpha: 52 or more",
        ),
        (
            changed(dataset="digits01"),
            "defense discrete on dataset digits01, attack one_image, noise few: features of 17 "
            "values are not of a domain of 2",
        ),
        (changed(attacks=["blending"]), "kind: blending adds numbers outside any domain"),
        (changed(attacks=["one_pixel"]), "norm: it adds 0.5 to a pixel of 2 values; allowed: 1"),
        (changed("noises", few={"beta": 0.5}), "noises.few.beta: 0.5 with values: 2; allowed: "),
        (changed("noises", few={"beta": 0.9, "values": 1}), "noises.few.values: 1 is less than"),
        (
            changed("noises", few={"beta": 0.9, "beta_labels": 0.4}),
            "beta must be between 1/2 (a value drawn at random) and 1",
        ),
        (
            changed("datasets", **{"digits01-binary": {"kind": "digits", "subset": {"test": 1}}}),
            "inputs, none of them among the test inputs; needed: a larger subset.test, or another",
        ),
    ],
)
def test_what_certifies_nothing_is_refused_before_any_job(tmp_path, config, named):
    done = Workflow(tmp_path, config).call("--cores", "1")
    assert done.returncode != 0
    assert named in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert [file.name for file in (tmp_path / "results").iterdir()] == [".gitignore"]


def test_values_of_unknown_data_are_checked_when_they_are_read(tmp_path):
    inputs, labels = np.zeros((12, 3)), np.arange(12) % 2
    inputs[:, 1], inputs[7, 2] = labels, 0.3
    np.savez(tmp_path / "mine.npz", inputs=inputs, labels=labels)
    config = changed(
        "datasets", mine={"kind": "npz", "path": str(tmp_path / "mine.npz"), "classes": [0, 1]}
    )
    config["experiments"] = [config["experiments"][1] | {"dataset": "mine"}]
    done = Workflow(tmp_path, config).call("--cores", "1")
    assert done.returncode != 0
    assert "0.30000001192092896 at [2]; allowed: 0 or 1" in done.stdout + done.stderr
