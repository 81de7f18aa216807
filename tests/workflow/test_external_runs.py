"""Votes that were made elsewhere, certified by the workflow."""

import shutil
from math import comb

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


def test_votes_of_models_on_drawn_rows_are_certified_for_rows(external):
    entry = external.config["experiments"][0]
    for key in ("sigma_train", "attack"):
        del entry[key]
    entry |= {"sigma_test": 0, "n_rows": 500, "n_drawn": 6, "threats": ["three", "many", "added"]}
    noisy = entry | {"noise": "noisy", "sigma_test": 0.5, "threats": ["both"]}
    data = external.folder / "data"
    shutil.copy(data / "votes.parquet", data / "noisy.parquet")
    noisy["votes"] = "noisy.parquet"
    statistic = {key: value for key, value in entry.items() if key != "n_drawn"}
    statistic |= {
        "noise": "sums",
        "sigma_statistic": 0.04,
        "statistic_norm": 1,
        "threats": ["three"],
    }
    external.config["experiments"] += [noisy, statistic]
    external.config["threats"] = {
        "three": {"rows": 3}, "many": {"share": 0.5}, "added": {"rows": 9, "how": "added"},
        "both": {"rows": 3, "norm": 0.1},
    }  # fmt: skip
    external.write_config()
    external.run("--cores", "1")
    summary = pd.read_csv(external.folder / "results" / "summary.csv")
    assert summary["threat"].tolist() == ["three", "many", "added", "both", "three"]
    assert summary["threat_rows"].tolist() == [3, 250, 9, 3, 3]
    assert summary["clean_certified_at_attack"].tolist() == [0.8, 0, 0.8, 0.8, 0.8]
    assert summary["covers_labels"].all()
    tables = {path.parts[-6] + path.parts[-2]: pd.read_parquet(path)
              for path in external.folder.glob("results/**/certificates.parquet")}  # fmt: skip
    p = bounds.majority_lower(40, 40, 0.01)
    rows = [r for r in range(100) if 2 * p - 1 > 2 * (1 - comb(500 - r, 6) / comb(500, 6))]
    assert tables["giventhree"]["radius_rows"][0] == max(rows)
    assert tables["giventhree"]["radius_trigger"].isna().all()
    assert tables["giventhree"]["radius_paper"].isna().all()
    assert tables["noisyboth"]["radius_trigger"][0] > 0.1
    reach = norm.ppf(p) * 500 * 0.04 / 2
    assert tables["sumsthree"]["radius_rows"][0] == np.ceil(reach) - 1
    named = pd.read_csv(
        next(external.folder.glob("results/**/noisy/**/predictions.csv")), encoding="utf-8-sig"
    )
    assert named["predicted_class"].tolist()[:2] == ["0", "1"]


def test_half_of_what_certificates_of_rows_need_is_refused(external):
    entry = external.config["experiments"][0]
    external.config["threats"] = {"one": {"rows": 1}}
    for changes, told in (
        ({"n_rows": 9}, "n_drawn, or sigma_statistic and statistic_norm, is missing"),
        ({"n_drawn": 9}, "n_drawn and sigma_train; allowed: one"),
        ({"statistic_norm": 9}, "statistic_norm alone; allowed: sigma_statistic and"),
        ({"sigma_test": 0}, "sigma_test: 0; allowed with n_rows alone"),
        ({"threats": ["one"]}, "is nothing that these votes cover; allowed: how triggered"),
    ):
        external.config["experiments"] = [entry | changes]
        external.write_config()
        done = external.call("-n")
        assert told in done.stdout + done.stderr, changes


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
