"""The workflow from other folders, as a module, through other commands, and where it cannot run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from conftest import ROOT, Workflow, plain_profile

SMALL = {
    "device": "cpu",
    "chunk_size": 10,
    "undefended": "tiny",
    "learners": {"tiny": {"kind": "mlp", "hidden": 8, "epochs": 2}},
    "experiments": [
        {
            "dataset": "digits01",
            "attacks": ["one_pixel"],
            "defense": "decoupled",
            "noises": ["train-1-test-0.4"],
            "learner": "class_mean",
            "n_models": 10,
            "certify": {"alpha": 0.05},
        }
    ],
}
DATA = "results/digits01/data.npz"
MODULE = """
module certbd:
    snakefile: "{clone}/workflow/Snakefile"
    prefix: "certificates"
    config: config["certbd"]


use rule * from certbd as certbd_*


rule count:
    default_target: True
    input:
        rules.certbd_all.input,
    output:
        "rows.txt",
    shell:
        "wc -l < certificates/results/summary.csv > {{output}}"
"""
SBATCH = """#!/bin/sh
for script; do :; done
number=$(($(ls "$JOBS" | wc -l) + 1))
echo RUNNING > "$JOBS/$number"
state() { sh "$script" && echo COMPLETED > "$JOBS/$number" || echo FAILED > "$JOBS/$number"; }
state > /dev/null 2>&1 &
echo $number
"""
SQUEUE = """#!/bin/sh
for last; do :; done
cat "$JOBS/${last#--jobs=}"
"""


def snakemake(folder, *arguments, python=sys.executable, **variables):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-m", "snakemake", *arguments],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def clone(tmp_path):
    return Workflow(tmp_path / "clone").folder


@pytest.fixture
def elsewhere(tmp_path):
    folder = tmp_path / "else where"
    folder.mkdir()
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL))
    return folder


def write_own(folder, settings):
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(settings))


@pytest.mark.parametrize("where", ["directory", "snakefile"])
def test_another_folder_has_the_clones_settings(clone, elsewhere, where):
    small = ("-n", DATA, "--configfile", str(elsewhere / "small.yaml"))
    if where == "directory":
        code, text = snakemake(clone, "--directory", str(elsewhere), *small)
    else:
        code, text = snakemake(elsewhere, "-s", str(clone / "Snakefile"), *small)
    assert code == 0, text
    assert "make_dataset" in text
    code, text = snakemake(elsewhere, "-s", str(clone / "Snakefile"), "-n", DATA)
    assert code == 0, text


def test_settings_of_the_working_directory_lie_between_the_clones_and_the_command_lines(
    clone, elsewhere
):
    write_own(elsewhere, {"data_root": "mine", "chunk_size": "own", "nonsense": 1})
    run = ("-s", str(clone / "Snakefile"), "-n", DATA)
    code, text = snakemake(elsewhere, *run)
    assert code != 0
    assert "unknown key 'nonsense'" in text
    (elsewhere / "config" / "config.yaml").write_text("chunk_size: own")
    code, text = snakemake(elsewhere, *run)
    assert code != 0
    assert "chunk_size: 'own' is not of type 'integer'" in text
    code, text = snakemake(elsewhere, *run, "--configfile", "small.yaml")
    assert code == 0, text
    code, text = snakemake(elsewhere, *run, "--config", "chunk_size=0")
    assert "chunk_size: 0 is less" in text


def test_a_link_to_the_clones_settings_is_no_second_file(clone, elsewhere):
    (elsewhere / "config").symlink_to(clone / "config")
    plain = plain_profile(elsewhere)  # which says what it reads
    code, text = snakemake(elsewhere, "-s", str(clone / "Snakefile"), "-n", DATA, *plain)
    assert code == 0, text
    assert text.count("config/config.yaml") == 1


def test_the_last_line_names_what_this_run_made(clone, elsewhere):
    """In a folder with a space in its path, where an older report lies."""
    (elsewhere / "results").mkdir()
    (elsewhere / "results" / "report.html").touch()
    run = ("-s", str(clone / "Snakefile"), "--configfile", "small.yaml", "--cores", "1")
    code, text = snakemake(elsewhere, *run, DATA)
    assert code == 0, text
    assert f"Done. Look at {elsewhere / DATA}\n" in text
    poison = "results/digits01/one_pixel"
    code, text = snakemake(elsewhere, *run, "--until", "make_poison")
    assert code == 0, text
    made = f"{elsewhere / poison}/poisoned.npz, {elsewhere / poison}/triggered.npz"
    assert f"Done. Look at {made}\n" in text
    code, text = snakemake(elsewhere, *run, "reach")
    assert code == 0, text
    figure = elsewhere / "results" / "figures" / "reach"
    reach = f"{elsewhere}/results/reach.csv, {figure}.svg, {figure}.pdf"
    assert f"Done. Look at {reach}\n" in text


def test_another_workflow_imports_it_under_a_prefix(clone, tmp_path):
    outer = tmp_path / "outer"
    outer.mkdir()
    (outer / "Snakefile").write_text(MODULE.format(clone=clone))
    write_own(outer, {"of_the_outer_workflow": 1})
    (outer / "outer.yaml").write_text(yaml.safe_dump({"certbd": SMALL}))
    run = ("--cores", "1", "--configfile", "outer.yaml")
    code, text = snakemake(outer, *run)
    assert code == 0, text
    assert "localrules directive" not in text
    assert (outer / "rows.txt").read_text().strip() == "2"
    results = outer / "certificates" / "results"
    assert (results / "report.html").is_file()
    assert pd.read_csv(results / "summary.csv")["n_models"].tolist() == [10]
    assert not (outer / "results").exists()
    more = {**SMALL, "datasets": {"digits01": {"subset": {"test": 80}}}}
    (outer / "outer.yaml").write_text(yaml.safe_dump({"certbd": more}))
    code, text = snakemake(outer, "-n", *run)
    assert "certbd_collect_votes" in text
    assert "certbd_train_models" not in text  # the same training set: see for_training


def test_a_module_without_settings_has_the_clones(clone, tmp_path):
    (tmp_path / "outer").mkdir()
    text = MODULE.format(clone=clone).replace('    config: config["certbd"]\n', "")
    (tmp_path / "outer" / "Snakefile").write_text(text)
    write_own(tmp_path / "outer", {"of_the_outer_workflow": 1})
    code, text = snakemake(tmp_path / "outer", "-n", "--quiet")
    assert code == 0, text


def test_the_generic_profile_works_from_another_folder(clone, elsewhere, tmp_path):
    for name in ("bin", "jobs"):
        (tmp_path / name).mkdir()
    for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", "#!/bin/sh\n")):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o700)
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    code, text = snakemake(
        clone, "--profile", "profiles/generic", "--directory", str(elsewhere), DATA,
        "--configfile", str(elsewhere / "small.yaml"), PATH=path, JOBS=str(tmp_path / "jobs"),
    )  # fmt: skip
    assert code == 0, text
    assert (elsewhere / DATA).is_file()
    assert (tmp_path / "jobs" / "1").read_text() == "COMPLETED\n"


@pytest.mark.parametrize("name", ["a b", "a'b", 'a"b', "a$b", "a&b", "a;b", "a(b", "a\tb", "a`b"])
def test_a_place_that_a_shell_would_read_is_refused_at_once(clone, tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "venv").symlink_to(Path(sys.executable).parent.parent)
    python = folder / "venv" / "bin" / Path(sys.executable).name
    plain = plain_profile(tmp_path)  # which leaves a tab as it is
    code, text = snakemake(clone, "-n", DATA, *plain, python=python)
    assert code != 0
    assert f"Python is {python}: Snakemake does not quote its path" in text
    assert "Traceback" not in text
    for file in ("Makefile", "Snakefile"):
        shutil.copy(ROOT / file, folder / file)
    for target in ("help", "demo"):
        done = subprocess.run(
            ["make", target], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode != 0
        assert f"certbd cannot run in {folder}: Snakemake does not quote" in done.stderr
        assert done.stderr.count("\n") == 1
    assert sorted(file.name for file in folder.iterdir()) == ["Makefile", "Snakefile", "venv"]


@pytest.mark.parametrize("name", ["plain", "grüße", "a+b,c@d=e%f~g#h"])
def test_other_places_are_not(tmp_path, name):
    (tmp_path / name).mkdir()
    for file in ("Makefile", "Snakefile"):
        shutil.copy(ROOT / file, tmp_path / name / file)
    done = subprocess.run(
        ["make", "help"], cwd=tmp_path / name, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
