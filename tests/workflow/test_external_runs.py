"""Votes that were made elsewhere, certified by the workflow."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from certbd.theory import bounds
from conftest import Workflow


@pytest.fixture
def external(tmp_path):
    """A workflow that certifies 40 votes on each of five inputs, made elsewhere."""
    votes = [[0] * 40, [1] * 40, [0] * 38 + [1] * 2, [1] * 20 + [0] * 20, [1] * 39 + [-1]]
    table = pd.DataFrame({"sample": range(5), "label": [0, 1, 0, 0, 1], "vote": votes})
    (tmp_path / "data").mkdir()
    table.to_parquet(tmp_path / "data" / "votes.parquet")
    experiment = {
        "kind": "external",
        "dataset": "elsewhere",
        "votes": "votes.parquet",
        "n_classes": 2,
        "n_models": 40,
        "sigma_test": 0.5,
        "sigma_train": 1.0,
        "attack": {"name": "known", "norm": 0.2, "n_poisoned": 4},
        "certify": {"alpha": 0.01},
    }
    return Workflow(tmp_path, {"experiments": [experiment]})


def test_votes_from_elsewhere_are_certified(external):
    external.run("--cores", "1")
    (row,) = pd.read_csv(external.folder / "results" / "summary.csv").to_dict("records")
    assert row["defense"] == "external"
    assert (row["n_test"], row["clean_accuracy"], row["abstain_rate"]) == (5, 0.8, 0.2)
    assert (row["attack_norm"], row["n_poisoned"]) == (0.2, 4)
    assert row["clean_certified_at_attack"] == 0.8
    assert pd.isna(row["undefended_accuracy"])
    assert pd.isna(row["attack_success"])
    (file,) = external.folder.glob("results/**/certificates.parquet")
    table = pd.read_parquet(file)
    p = bounds.majority_lower(40, 40, 0.01)
    assert table["p_lower"][0] == p
    assert table["radius_trigger"][0] == pytest.approx(norm.ppf(p) / np.sqrt(1 / 0.25 + 4))

    folder = external.folder / "data"
    assert external.plan("--config", f"data_root={folder}") == {}
    folder.rename(external.folder / "moved")
    assert external.plan("--config", "data_root=moved") == {}
    missing = external.call("-n")
    assert missing.returncode != 0
    assert "votes of the external experiment on elsewhere: data/votes.parquet is not a file" in (
        missing.stdout + missing.stderr
    )


def test_unusable_votes_from_elsewhere_are_named_and_nothing_is_written(external):
    path = external.folder / "data" / "votes.parquet"
    table = pd.read_parquet(path)
    table.assign(label=[0, 1, 2, 0, 1]).to_parquet(path)
    done = external.call("--cores", "1")
    assert done.returncode != 0
    assert "error: data/votes.parquet: column label, row 2: 2; allowed: " in done.stderr
    assert not list(external.folder.glob("results/**/certificates.parquet"))
    assert not list(external.folder.glob("results/*.csv"))


@pytest.mark.parametrize(("column", "value"), [("sigma", 0.2), ("sigma_train", 0.25)])
def test_noise_said_twice_and_differently_is_refused(external, column, value):
    path = external.folder / "data" / "votes.parquet"
    pd.read_parquet(path).assign(**{column: value}).to_parquet(path)
    done = external.call("--cores", "1")
    assert done.returncode != 0
    said = {"sigma": "0.5, as the key sigma_test", "sigma_train": "1.0, as the key sigma_train"}
    error = f"error: data/votes.parquet: column {column}, row 0: {value}; allowed: {said[column]}"
    assert error in done.stderr
    assert not list(external.folder.glob("results/**/certificates.parquet"))
