"""The guides' own files, commands and changes, followed as a newcomer would."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from certbd.audit import outcomes
from conftest import ROOT, Workflow

BLOCK = re.compile(r"^```(python|yaml|sh|diff)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"# (\S+\.(?:py|yaml))\n")


def follow(guide, folder, until=None):
    """Write a guide's files, make its changes, run its commands; return what these printed.

    `until` is the heading before which to stop.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path}
    environment.pop("PYTHONPATH", None)
    printed = []
    for language, text in BLOCK.findall(guide.read_text().partition(until or "\0")[0]):
        if language == "sh":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, text + done.stdout + done.stderr
            printed.append(done.stdout + done.stderr)
        elif language == "diff":
            command = ["git", "apply", "-"]
            done = subprocess.run(
                command, cwd=folder, input=text, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr + text
        else:
            name = NAMED.match(text)
            assert name, f"which file is this? {text}"
            (folder / name[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / name[1]).write_text(text)
    return printed


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    folder = Workflow(tmp_path_factory.mktemp("newcomer")).folder
    return folder, follow(ROOT / "docs" / "tutorial.md", folder)


def predictions_of(project):
    """Return every table of predictions below a project's folder, by threat and split."""
    return {
        (path.parts[-2], path.parts[-3]) if path.parts[-2] == "new" else (path.parts[-2],):
        pd.read_csv(path, encoding="utf-8-sig")
        for path in sorted(project.glob("results/**/predictions.csv"))
    }  # fmt: skip


def test_a_folder_of_images_becomes_predictions(followed):
    folder, printed = followed
    tables = predictions_of(folder / "shapes")
    assert set(tables) == {
        ("backdoor",), ("rows-5",), ("new", "backdoor"), ("new", "rows-5"),
    }  # fmt: skip
    for threat in ("backdoor", "rows-5"):
        table, new = tables[(threat,)], tables[("new", threat)]
        assert (table["certified"] == "yes").mean() > 0.9
        assert table["source"].str.fullmatch(r"(disc|ring)/(disc|ring|late)-\d+\.png").all()
        assert (table["true_class"] == table["source"].str.split("/").str[0]).all()
        assert new["predicted_class"].tolist() == ["disc", "ring"] * 3
        assert new["source"].tolist() == [f"{number}.png" for number in range(6)]
    text = "".join(printed)
    assert "training rows per class: disc 11" in text
    assert "3 rows replaced, trigger of l2 norm 0.3: can be certified if models agree" in text


def test_a_raw_table_becomes_predictions_with_a_searched_pair(followed):
    folder, printed = followed
    text, results = " ".join("".join(printed).split()), folder / "spam" / "results"
    assert "best: n_drawn 20, sigma_test 0.1:" in text
    assert "best: sigma_statistic 0.02, sigma_test 0.1:" in text
    assert "searched on earlier, which you vouch for" in text
    assert "a change of 0.1 in one value alone is a factor of at most" in text
    summary = pd.read_csv(results / "summary.csv")
    assert (summary["threat_rows"] == 12).all()  # 1 % of 1146
    assert (summary["clean_certified_at_attack"] > 0.85).all()
    grid = pd.read_csv(results / "searches" / "drawn.csv")
    assert (grid["searched_on"] == "trusted: earlier").all()
    tables = [pd.read_csv(path, encoding="utf-8-sig") for path in results.glob("**/poisoned/*.csv")]
    assert len(tables) == 2
    raw = pd.read_csv(folder / "spam" / "data" / "spambase.data", header=None)
    for table in tables:
        assert raw[57][table["source"]].tolist() == table["true_class"].tolist()
        assert table["note"].isna().all()


def test_each_project_ends_with_where_to_look(followed):
    folder, printed = followed
    for project in ("shapes", "spam"):
        page = folder / project / "results" / "report.html"
        assert page.is_file()
        assert any(f"Done. Look at {page}" in text for text in printed)


def test_the_readmes_second_screen_is_four_commands_to_predictions(tmp_path):
    folder = Workflow(tmp_path).folder
    draws = np.random.default_rng(0)
    kind = np.arange(400) % 2
    table = pd.DataFrame(draws.normal(3.5 + 3 * kind[:, None], 1.5, (400, 6)))
    table.columns = [f"word{column}" for column in table.columns]
    table["kind"] = np.where(kind, "spam", "ham")
    table.loc[::100, "kind"] = "spam"  # poisoned before it arrives
    table.to_csv(folder / "mail.csv", index=False)
    readme = (ROOT / "README.md").read_text()
    screen = readme.partition("## Your own data, your threat\n")[2].partition("\n## ")[0]
    (tmp_path / "screen.md").write_text(screen)
    (commands,) = (text for language, text in BLOCK.findall(screen) if language == "sh")
    assert len(commands.splitlines()) == 4
    (printed,) = follow(tmp_path / "screen.md", folder)
    assert "can be certified if models agree" in printed
    tables = predictions_of(folder / "mail")
    assert set(tables) == {("one-percent",), ("backdoor",)}
    for named in tables.values():
        assert table["kind"][named["source"]].tolist() == named["true_class"].tolist()
        assert (named["certified"] == "yes").mean() > 0.5
    assert f"predictions   {Path('mail', 'results', 'mail')}" in printed


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    folder = Workflow(tmp_path_factory.mktemp("extended")).folder
    follow(ROOT / "docs" / "extending.md", folder)
    return folder


def test_added_entries_certify(extended):
    summary = pd.read_csv(extended / "results" / "summary.csv")
    assert summary["attack"].tolist() == ["stripe", "pattern"]
    assert summary["defense"].tolist() == ["bootstrap", "decoupled"]
    assert summary["learner"].tolist() == ["class_mean", "class_median"]
    assert summary["bound"].tolist() == ["majority", "chernoff"]
    assert summary["covers_labels"].tolist() == [True, False]
    assert (summary["clean_certified_at_attack"] > 0.3).all()
    figures = {path.name for path in (extended / "results" / "figures").rglob("*.svg")}
    assert "certified_accuracy_rows.svg" in figures
    page = (extended / "results" / "report.html").read_text()
    assert len(re.findall(r'"colour": ?"#000000"', page)) > 0


def test_the_added_training_side_is_searched(extended):
    grid = pd.read_parquet(extended / "results" / "searches" / "rows.parquet")
    assert set(grid["parameter"]) == {"n_bootstrap"}
    assert (extended / "results" / "searches" / "rows.svg").is_file()


def test_the_added_defence_certifies_as_its_formula_says(extended):
    (path,) = extended.glob("results/**/bootstrap/**/certificates.parquet")
    table = pd.read_parquet(path)
    n, m, r = 265, 12, 5
    q = (1 - r / n) ** m
    given = (table["p_lower"] - (1 - q)) / q
    covered = table["radius_trigger"] > 0
    assert covered.equals(given > 1 / (2 * q))
    radius = 0.35 * (norm.ppf(given[covered]) - norm.ppf(1 / (2 * q)))
    assert table.loc[covered, "radius_trigger"].tolist() == pytest.approx(radius.tolist())
    rows = table["radius_rows"].to_numpy()
    assert ((1 - rows / n) ** m > 1.5 - table["p_lower"])[rows >= 0].all()
    assert ((1 - (rows + 1) / n) ** m <= 1.5 - table["p_lower"])[rows >= 0].all()


def test_the_added_defence_and_learner_are_audited(extended):
    audit = pd.read_csv(extended / "results" / "audit.csv")
    tried = {
        (defense, certificate, side)
        for defense, certificate, side in audit[["defense", "certificate", "side"]].to_numpy()
    }
    assert {
        ("bootstrap", "rows", "train"), ("bootstrap", "trigger", "test"),
        ("bootstrap", "trigger", "both"), ("decoupled", "joint", "test"),
        ("decoupled", "joint", "train"), ("decoupled", "joint", "both"),
    } <= tried  # fmt: skip
    assert (audit["trials"] > 0).all()
    assert (audit["without_votes"] == 0).all()
    inside = audit[outcomes.inside(audit)]
    assert outcomes.explained(inside["violations"].sum(), inside["trials"].sum(), 0.05)
    checks = pd.read_csv(extended / "results" / "noise_audit.csv")
    rows = checks[(checks["defense"] == "bootstrap") & (checks["stream"] == "train")]
    assert rows["check"].tolist() == ["draws of each row"]
    assert rows["numbers"].tolist() == [12 * 100]
    assert checks["passed"].all()
    assert "bootstrap" in (extended / "results" / "report.html").read_text()


BASE = {
    "chunk_size": 20,
    "undefended": "small",
    "learners": {"small": {"kind": "mlp", "hidden": 8, "epochs": 2}},
    "searches": {
        "rows": {
            "dataset": "digits01", "attack": "one_pixel_0.3", "defense": "decoupled",
            "learner": "class_mean", "sigma_train": [1.0], "sigma_test": [0.3], "n_models": 20,
        }
    },
    "experiments": [
        {
            "dataset": "digits01", "attacks": ["one_pixel_0.3"], "defense": "bagging",
            "noises": ["draw-12-test-0.35"], "learner": "class_mean", "n_models": 20,
            "certify": {"alpha": 0.1},
        },
        {
            "dataset": "digits01", "attacks": ["one_pixel_0.3"], "defense": "decoupled",
            "noises": ["train-1-test-0.4"], "learner": "class_mean", "n_models": 20,
            "certify": {"alpha": 0.1},
        },
    ],
}  # fmt: skip
TABLES = {
    "make_summary": 1, "build_report": 1, "plot_certified_accuracy": 1, "plot_attack_success": 1,
}  # fmt: skip
ONE_MORE = {
    "attack": (
        {"attacks": ["stripe"]},
        {"attacks": {"stripe": {"kind": "stripe", "norm": 0.3, "rate": 0.02}}},
        {"make_poison": 1, "train_undefended": 1, "train_models": 1, "collect_votes": 1},
    ),
    "learner": (
        {"learner": "median", "defense": "decoupled", "noises": ["train-1-test-0.4"]},
        {"learners": {"median": {"kind": "nearest_class_median"}}},
        {"train_models": 1, "collect_votes": 1},
    ),
    "bound": ({"certify": {"alpha": 0.1, "bound": "chernoff"}}, {}, {}),
    "training side": (
        {"defense": "bootstrap", "noises": ["boot"]},
        {"noises": {"boot": {"n_bootstrap": 12, "sigma_test": 0.35}}},
        {"train_models": 1, "collect_votes": 1},
    ),
    "dataset": (
        {"dataset": "wine", "attacks": ["mine"], "learner": "class_mean", "defense": "decoupled",
         "noises": ["train-1-test-0.4"]},
        {"datasets": {"wine": {"kind": "wine"}},
         "attacks": {"mine": {"kind": "blending", "norm": 0.05, "rate": 0.02}}},
        {"make_dataset": 1, "make_poison": 1, "train_undefended": 1, "train_models": 1,
         "collect_votes": 1},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run, to whose code entries were added afterwards."""
    workflow = Workflow(tmp_path_factory.mktemp("finished"), BASE)
    workflow.run("all", "noise_search", "--cores", "2")
    follow(ROOT / "docs" / "extending.md", workflow.folder, until="## All five, run")
    return workflow


def test_entries_added_leave_every_result_valid(finished):
    assert finished.plan("all", "noise_search") == {}


@pytest.mark.parametrize("added", ONE_MORE)
def test_an_experiment_with_an_added_entry_makes_its_own_jobs_alone(added, finished):
    experiment, tables, jobs = ONE_MORE[added]
    changed = BASE["experiments"][0] | experiment
    finished.config = BASE | tables | {"experiments": [*BASE["experiments"], changed]}
    finished.config["learners"] = BASE["learners"] | tables.get("learners", {})
    finished.write_config()
    assert finished.plan("all") == {"certify_votes": 1} | jobs | TABLES
