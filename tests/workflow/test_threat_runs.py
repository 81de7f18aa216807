"""One's own data under threats: predictions by name, new inputs, and what stays as it was."""

import json
import math
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import binom

from conftest import ROOT, Workflow

N, ALPHA = 250, 0.001
THREATS = {
    "rows": {"rows": 4},
    "share": {"share": 0.01, "norm": 0.1},
    "added": {"rows": 9, "how": "added"},
    "triggered": {"rows": 6, "how": "triggered", "norm": 0.2},
    "patch": {"rows": 1, "patch": 1},
}
CONFIG = {
    "device": "cpu",
    "chunk_size": 200,
    "undefended": "none",
    "datasets": {
        "mail": {"kind": "table", "path": "mail.csv", "label_column": "kind", "id_column": "key",
                 "classes": ["ham", "spam"], "ranges": {"*": [0, 10]}, "clip": True,
                 "predict": "tomorrow.csv"},
        "photos": {"kind": "image_folder", "path": "photos", "classes": ["dark", "light"],
                   "predict": "roll"},
    },
    "threats": THREATS,
    "noises": {
        "drawn": {"n_drawn": 9, "sigma_test": 0.3},
        "drawn-wide": {"n_drawn": 9, "sigma_test": 0.8},
        "pair": {"sigma_train": 1.0, "sigma_test": 0.3},
    },
    "learners": {"mean": {"kind": "nearest_class_mean"}},
    "experiments": [
        {"dataset": "mail", "threats": ["rows", "added", "share"], "defense": "bagging",
         "noises": ["drawn"], "learner": "mean", "n_models": N},
        {"dataset": "mail", "threats": ["triggered"], "defense": "decoupled", "noises": ["pair"],
         "learner": "mean", "n_models": N},
        {"dataset": "photos", "threats": ["patch"], "defense": "bagging",
         "noises": ["drawn-wide"], "learner": "mean", "n_models": N},
    ],
}  # fmt: skip


def write_data(folder):
    """A table and photos of two classes; some rows of both are poisoned before they arrive."""
    draws = np.random.default_rng(0)
    kind = np.arange(300) % 2
    table = pd.DataFrame(draws.normal(3.5 + 3 * kind[:, None], 2, (300, 5)), columns=list("abcde"))
    table["key"] = [f"m{number:03}" for number in draws.permutation(300)]
    table["kind"] = np.where(kind, "spam", "ham")
    table.loc[3, ["a", "kind"]] = [25.0, "ham"]
    table.to_csv(folder / "mail.csv", index=False)
    table.drop(columns="kind").iloc[:7].to_csv(folder / "tomorrow.csv", index=False)
    table.iloc[5:12].sample(frac=1, random_state=1).to_csv(folder / "later.csv", index=False)
    for name, level in (("dark", 60), ("light", 190), ("roll", 120)):
        place = folder / "roll" if name == "roll" else folder / "photos" / name
        place.mkdir(parents=True)
        for number, pixels in enumerate(
            draws.normal(level, 20, (5 if name == "roll" else 60, 8, 8))
        ):
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place / f"{number:02}.png")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("threats")
    (folder / "data").mkdir()
    write_data(folder / "data")
    workflow = Workflow(folder, CONFIG)
    workflow.said = workflow.run("--cores", "2")
    return workflow


def folder_of(workflow, dataset, defense, noise, threat):
    run = workflow.folder / "results" / dataset / "none" / defense / noise / "mean" / "seed-0"
    return run / f"majority-0.001-per_input-n{N}" / threat


def rows_by_hand(votes, n, m, added):
    """The largest r that bagging covers, from counts, by the formulas of theory.md alone."""
    least = next(k for k in range(N, 0, -1) if binom.sf(k - 2, N, 0.5) > ALPHA / 2)
    grid = np.linspace(0.5, 1, 20_001)
    tail = binom.sf(votes - 1, N, grid) + binom.cdf(N - least, N, grid)
    if votes < least or not (tail > ALPHA).any():
        return -1
    p = grid[tail > ALPHA][0] - 1 / 40_000
    q = [math.comb(n - r, m) / math.comb(n, m) for r in range(n - m + 1)]
    return max(r for r in range(n - m + 1) if 2 * p - 1 > (1 - q[r]) * (1 if added else 2))


def test_each_prediction_is_named_and_says_what_stands(finished):
    provenance = json.loads((finished.folder / "results" / "provenance.json").read_text())
    assert {row["threat"] for row in provenance["settings"]["rows"]} == set(THREATS)
    table = pd.read_csv(finished.folder / "data" / "mail.csv").set_index("key")
    n = None
    for threat, column, asked in (("rows", "replaced", 4), ("added", "added", 9)):
        place = folder_of(finished, "mail", "bagging", "drawn", threat)
        text = (place / "predictions.csv").read_bytes()
        assert text.startswith(b"\xef\xbb\xbfsplit,sample,source,id,true_class,predicted_class,")
        named = pd.read_csv(place / "predictions.csv", encoding="utf-8-sig")
        stored = pd.read_parquet(place / "predictions.parquet")
        assert (named["certified"] == "yes").tolist() == stored["certified"].tolist()
        own = table.loc[named["id"]]
        assert own["kind"].tolist() == named["true_class"].tolist()
        assert [list(table.index).index(key) for key in named["id"]] == named["source"].tolist()
        assert named["radius"].isna().all()  # the threat is of rows alone
        assert set(named["predicted_class"]) <= {"ham", "spam", "abstained"}
        n = 300 - len(named)
        for row in named.itertuples():
            expected = rows_by_hand(row.votes, n, 9, column == "added")
            assert abs(row.rows - expected) <= 1
            assert (row.certified == "yes") == (row.rows >= asked)
        assert 0.3 < (named["certified"] == "yes").mean() < 1


def test_the_summary_has_a_row_per_threat(finished):
    summary = pd.read_csv(finished.folder / "results" / "summary.csv")
    assert summary["threat"].tolist() == ["rows", "added", "share", "triggered", "patch"]
    assert summary["attack"].unique().tolist() == ["none"]
    for column in ("attack_norm", "n_poisoned", "certified_at_attack", "undefended_accuracy"):
        assert summary[column].isna().all()
    assert summary["threat_trigger"].tolist() == ["none", "none", "l2", "l2", "patch"]
    assert summary["threat_how"].tolist()[:4] == ["replaced", "added", "replaced", "triggered"]
    assert summary["threat_rows"].tolist()[2] == 3  # 1 % of 220 or so, rounded up
    assert (summary["clean_certified_at_attack"] > 0.3).all()
    assert summary["median_rows"].isna().tolist() == [False, False, False, True, False]
    for row in summary.iloc[:2].itertuples():
        half = row.clean_certified_at_attack >= 0.5
        assert half == (row.median_rows >= row.threat_rows)
    said = finished.said
    assert "mail: 7 new inputs" in said
    assert "Done. Look at" in said


def test_threats_share_models_and_votes(finished):
    results = finished.folder / "results" / "mail" / "none"
    chunks = sorted(path.name for path in results.rglob("chunk-*.safetensors"))
    names = [f"chunk-{models}.safetensors" for models in ("0-199", "200-249")]
    assert chunks == sorted(names * 2)  # bagging and decoupled
    assert len(list(results.glob("bagging/drawn/mean/seed-0/votes/*.parquet"))) == 2
    assert len(list(results.glob("bagging/drawn/mean/seed-0/*/*/certificates.parquet"))) == 3


@pytest.fixture
def workflow(finished, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder, copy_function=shutil.copy2)
    again = object.__new__(Workflow)
    again.folder, again.config = folder, json.loads(json.dumps(CONFIG))
    return again


def test_another_threat_and_other_new_inputs_train_nothing_and_move_no_vote(workflow):
    place = folder_of(workflow, "mail", "bagging", "drawn", "share")
    votes = place.parent.parent / "new" / "votes" / "chunk-200-249.parquet"
    before = pd.read_parquet(votes).set_index(["model", "sample"])["vote"]
    benign = {path: path.read_bytes() for path in place.parent.parent.glob("votes/*.parquet")}
    workflow.config["threats"]["more"] = {"rows": 2, "norm": 0.15}
    workflow.config["experiments"][0]["threats"].append("more")
    workflow.config["datasets"]["mail"] |= {"predict": "later.csv", "poisoned": "found.csv"}
    sources = pd.read_parquet(workflow.folder / "results" / "mail" / "sources.parquet")
    found = sources.groupby("split").head(3)  # three training rows, three test rows
    found[["id"]].to_csv(workflow.folder / "data" / "found.csv", index=False)
    workflow.write_config()
    planned = workflow.plan()
    assert not {"make_dataset", "make_poison", "train_models", "collect_votes"} & set(planned)
    said = workflow.run("--cores", "2")
    assert "mail: 7 new inputs; columns that are not read: 'kind'" in said
    assert all(path.read_bytes() == content for path, content in benign.items())
    after = pd.read_parquet(votes).set_index(["model", "sample"])["vote"]
    earlier = pd.read_csv(workflow.folder / "data" / "tomorrow.csv")["key"].tolist()
    later = pd.read_csv(workflow.folder / "data" / "later.csv")["key"].tolist()
    shared = set(earlier) & set(later)
    assert len(shared) == 2
    for key in shared:
        old, new = (
            votes.xs(keys.index(key), level="sample")
            for votes, keys in ((before, earlier), (after, later))
        )
        assert old.tolist() == new.tolist()
    named = pd.read_csv(place / "new" / "predictions.csv", encoding="utf-8-sig")
    assert named["split"].unique().tolist() == ["new"]
    assert named["id"].tolist() == later
    assert named["true_class"].isna().all()
    assert named["radius_unit"].unique().tolist() == ["l2"]
    assert (place.parent / "more" / "predictions.csv").exists()
    summary = pd.read_csv(workflow.folder / "results" / "summary.csv").iloc[0]
    assert summary["n_poisoned"] == 3
    assert summary["n_test"] == (sources["split"] == "benign").sum() - 3
    rows = folder_of(workflow, "mail", "bagging", "drawn", "rows") / "predictions.csv"
    three = pd.read_csv(rows, encoding="utf-8-sig").iloc[:3]
    held = (three["certified"] == "yes") & (three["predicted_class"] == three["true_class"])
    assert summary["certified_at_attack"] == pytest.approx(held.mean())
    assert np.isnan(summary["attack_success"])  # nobody has said what the attacker aims at
    script = ROOT / "workflow" / "scripts" / "show_summary.py"
    command = [sys.executable, script, workflow.folder / "results" / "summary.csv"]
    shown = subprocess.run(command, check=True, text=True, capture_output=True).stdout
    assert "3 training rows known to be poisoned" in " ".join(shown.split())


def test_photos_are_known_by_their_files(finished):
    place = folder_of(finished, "photos", "bagging", "drawn-wide", "patch")
    named = pd.read_csv(place / "predictions.csv", encoding="utf-8-sig")
    assert named["source"].str.fullmatch(r"(dark|light)/\d\d\.png").all()
    assert [file.split("/")[0] for file in named["source"]] == named["true_class"].tolist()
    assert ((named["radius"] > 1) == (named["certified"] == "yes")).all()  # 1 x 1 pixel, grey
    new = pd.read_csv(place / "new" / "predictions.csv", encoding="utf-8-sig")
    assert new["source"].tolist() == [f"{number:02}.png" for number in range(5)]


@pytest.mark.parametrize(
    ("predict", "told"),
    [
        ("nowhere.csv", "datasets.mail.predict: .*nowhere.csv does not exist"),
        ("short.csv", "columns 'a', 'b'; allowed: those of the training table"),
        ("roll", "datasets.mail.predict: .*roll: not a table by its name"),
    ],
)
def test_new_inputs_of_another_form_are_refused_before_any_job(workflow, predict, told):
    (workflow.folder / "data" / "short.csv").write_text("a,b\n1,2\n")
    workflow.config["datasets"]["mail"]["predict"] = predict
    workflow.write_config()
    done = workflow.call("--cores", "1")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    assert pd.Series([done.stdout + done.stderr]).str.contains(told).all(), done.stderr[-2000:]
