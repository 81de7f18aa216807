"""What ``show_summary.py`` says of files, right and wrong."""

import subprocess
import sys

import pandas as pd
import pytest

from conftest import ROOT

COLUMNS = (
    "dataset,attack,defense,noise,learner,seed,n_models,bound,n_test,n_poisoned,attack_norm,"
    "undefended_attack_success,attack_success,clean_accuracy,abstain_rate,certified_at_attack,"
    "clean_certified_at_attack,clean_certified_at_attack_worst_class,largest_trigger_radius,"
    "threat,threat_rows,threat_how,threat_trigger,threat_size,median_rows"
)
SUMMARY = f"{COLUMNS}\n"
ROW = (
    "digits01,one_pixel,rab,sigma-0.5,mlp,0,1000,majority,95,13,0.5,"
    "0.9777,0.0,0.9999,0.0101,,0.25,0.125,0.16499,one_pixel,13,triggered,l2,0.5,\n"
)
ROWS_ALONE = (
    "mine,none,bagging,drawn,mean,{seed},1000,majority,80,,,,,0.98,0.0,,0.7,0.5,,"
    "fifteen,15,added,none,,{rows}\n"
)
MODELS = "diverged,constant\n1,2\n"


def show(*arguments):
    command = [sys.executable, ROOT / "workflow" / "scripts" / "show_summary.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def summary(tmp_path):
    (tmp_path / "models.csv").write_text(MODELS)
    (tmp_path / "summary.csv").write_text(SUMMARY + ROW)
    return tmp_path / "summary.csv"


def test_it_shows_a_summary_and_what_lies_beside_it(summary):
    done = show(summary)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    heading = (
        "digits01, 95 benign test inputs; attack one_pixel: norm 0.500 on 13 rows, succeeds in"
    )
    at = next(place for place, line in enumerate(lines) if line.startswith(heading))
    assert "97.7 % undefended" in " ".join(" ".join(lines[at : at + 2]).split())
    row = next(line for line in lines if line.startswith("rab"))
    assert row.split() == ["rab", "sigma-0.5", "0.0", "99.9", "1.0", "25.0", "12.5", "0.164"]
    assert max(map(len, lines)) <= 100
    assert "models that diverged: 1; that see one class under their noise: 2" in done.stdout
    assert "report" not in done.stdout
    summary.with_name("report.html").touch()
    assert f"report        {summary.with_name('report.html')}" in show(summary).stdout


def test_rows_alone_are_told_and_what_differs_tells_rows_apart(summary):
    same = [ROWS_ALONE.format(seed=seed, rows=rows) for seed, rows in ((0, 25), (1, -1))]
    summary.write_text(SUMMARY + ROW + "".join(same))
    lines = show(summary).stdout.splitlines()
    assert "mine, 80 benign test inputs; threat fifteen: 15 rows added" in lines
    first, second = (line.split() for line in lines if line.startswith("bagging"))
    assert first == ["bagging", "drawn", "0", "-", "98.0", "0.0", "70.0", "50.0", "25", "-"]
    assert second[2] == "1"
    assert second[-2] == "none"
    summary.write_text(SUMMARY + ROW + same[0])
    assert "seed" not in show(summary).stdout


def test_a_reader_that_has_seen_enough_ends_it_without_a_word(summary):
    summary.write_text(SUMMARY + ROW * 2000)
    command = [sys.executable, ROOT / "workflow" / "scripts" / "show_summary.py", summary]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""


def test_help_says_what_it_reads():
    done = show("--help")
    assert done.returncode == 0
    assert "summary.csv" in done.stdout


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "summary.csv: no such file; `snakemake --cores N` makes it"),
        (b"", "summary.csv: not a readable table: No columns"),
        (b"\xff\xfe\x00", "summary.csv: not a readable table: 'utf-8'"),
        (b'"a', "summary.csv: not a readable table"),
        (b"a,b\n1,2\n", "summary.csv: column dataset is missing; allowed: summary.csv as a run"),
        (SUMMARY.encode(), "summary.csv: no rows"),
        (
            (SUMMARY + ROW.replace(",0.25,", ",much,")).encode(),
            "holds something that is not a number",
        ),
    ],
)
def test_a_summary_that_cannot_be_read_is_named(summary, content, named):
    summary.unlink()
    if content is not None:
        summary.write_bytes(content)
    done = show(summary)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert named in done.stderr
    assert done.stderr.count("\n") == 1
    assert not done.stdout


@pytest.mark.parametrize("content", [None, "", "model\n1\n", "diverged,constant\nno,2\n"])
def test_so_is_a_list_of_models(summary, content):
    summary.with_name("models.csv").unlink()
    if content is not None:
        summary.with_name("models.csv").write_text(content)
    done = show(summary)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {summary.with_name('models.csv')}: ")
    assert not done.stdout


def test_no_file_or_a_folder_is_no_summary(tmp_path):
    assert "required: file" in show().stderr
    assert "not a readable table" in show(tmp_path).stderr
    assert "Traceback" not in show(tmp_path / "x", "y").stderr


def test_a_list_of_no_models_is_fine(summary):
    pd.DataFrame(columns=["diverged", "constant"]).to_csv(summary.with_name("models.csv"))
    assert show(summary).returncode == 0
