"""The guides' own files, commands and changes, followed as a newcomer would."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import norm

from certbd.audit import outcomes
from conftest import ROOT, Workflow

BLOCK = re.compile(r"^```(python|yaml|sh|diff)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"# (\S+\.(?:py|yaml))\n")


def follow(guide, folder):
    """Write a guide's files, make its changes, run its commands; return what these printed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path}
    environment.pop("PYTHONPATH", None)
    printed = []
    for language, text in BLOCK.findall(guide.read_text()):
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
            (folder / name[1]).write_text(text)
    return printed


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    folder = Workflow(tmp_path_factory.mktemp("newcomer")).folder
    return folder, follow(ROOT / "docs" / "tutorial.md", folder)


@pytest.mark.parametrize("dataset", ["shapes", "sensors"])
def test_own_data_become_certified_predictions(followed, dataset):
    folder, printed = followed
    (path,) = folder.glob(f"results/{dataset}/**/certificates.parquet")
    table = pd.read_parquet(path)
    certified = table["covers_attack"] & (table["prediction"] == table["label"])
    assert certified.mean() > 0.5
    assert any(f"{table['covers_attack'].sum()} of {len(table)} predictions certified" in text
               for text in printed)  # fmt: skip


def test_the_run_ends_with_where_to_look(followed):
    folder, printed = followed
    page = folder / "results" / "report.html"
    assert page.is_file()
    assert [f"Done. Look at {page}" in text for text in printed].count(True) == 2


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    folder = Workflow(tmp_path_factory.mktemp("extended")).folder
    follow(ROOT / "docs" / "extending.md", folder)
    return folder


def test_added_attack_dataset_learner_and_defence_certify(extended):
    summary = pd.read_csv(extended / "results" / "summary.csv")
    assert summary["attack"].tolist() == ["stripe", "pattern"]
    assert summary["learner"].tolist() == ["class_mean", "class_median"]
    assert summary["covers_labels"].tolist() == [True, False]
    assert (summary["clean_certified_at_attack"] > 0.3).all()


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


def test_a_defence_whose_audit_nobody_has_described_is_refused(extended):
    """Each of the two lines alone is not enough: no trials and no checks of something else."""
    library = extended / "workflow" / "scripts" / "certbd"
    (path,) = extended.glob("results/**/bootstrap/**/audit.parquet")
    command = [sys.executable, "-m", "snakemake", str(path.relative_to(extended)), "--cores", "1"]
    command += ["--configfile", "extended.yaml"]
    for name, line, told in (
        (
            "audit/audit.py",
            '    "bootstrap": (claim_trials, _rows_sides),\n',
            "defence bootstrap is tried",
        ),
        ("audit/streams.py", "    Bootstrap: _bootstrap,\n", "the draw Bootstrap takes"),
    ):
        text = (library / name).read_text()
        assert line in text
        (library / name).write_text(text.replace(line, ""))
        done = subprocess.run(command, cwd=extended, capture_output=True, text=True, check=False)
        (library / name).write_text(text)
        assert done.returncode
        (log,) = extended.glob("results/**/bootstrap/**/audit_certificates.log")
        assert told in log.read_text()
