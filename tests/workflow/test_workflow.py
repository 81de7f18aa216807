"""The smallest real run, from raw data to figures, and what is rebuilt when something changes."""

import copy
import io
import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest

from certbd.report import metrics
from conftest import Workflow

SMALL = {
    "chunk_size": 10,
    "undefended": "tiny",
    "learners": {
        "tiny": {"kind": "mlp", "hidden": 8, "epochs": 2, "batch_size": 64, "learning_rate": 0.01}
    },
    "noises": {
        "small": {"sigma": 0.3, "search": {"pilots": 2, "draws": 2, "steps": 3}},
        "other": {"sigma": 0.4, "search": {"pilots": 2, "draws": 2, "steps": 3}},
    },
    "experiments": [
        {
            "dataset": "digits01",
            "attacks": ["one_pixel"],
            "defense": defense,
            "noises": [noise],
            "learner": learner,
            "n_models": 20,
            "certify": {"alpha": 0.05},
        }
        for defense, noise, learner in (
            ("rab", "small", "tiny"),
            ("cert_ssb", "small", "tiny"),
            ("decoupled", "train-1-test-0.4", "class_mean"),
        )
    ],
}
FIGURES = {"plot_certified_accuracy", "plot_attack_success", "plot_sigma_distribution"}
FROM_CURVES = (FIGURES - {"plot_sigma_distribution"}) | {"build_report"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workflow = Workflow(tmp_path_factory.mktemp("two-cores"), SMALL)
    workflow.run("--cores", "2")
    return workflow


@pytest.fixture
def workflow(finished, tmp_path):
    """A copy of the finished run, file times included."""
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder, copy_function=shutil.copy2)
    again = object.__new__(Workflow)
    again.folder, again.config = folder, copy.deepcopy(SMALL) | {"replace_tables": True}
    again.write_config()
    return again


def test_tables_of_other_experiments_are_not_replaced_without_a_word(workflow):
    """Two ways out: another folder, or the key; figures that the new tables do not draw go then."""
    results = workflow.folder / "results"
    before = (results / "summary.csv").read_bytes()
    workflow.config |= {"replace_tables": False}
    workflow.config["experiments"] = workflow.config["experiments"][2:]
    workflow.write_config()
    done = workflow.call("--cores", "1")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert (
        "results has tables of 2 experiments that this configuration lacks: digits01/one_pi" in said
    )
    assert "Allowed: --directory OTHER" in said
    assert "Traceback" not in said
    assert "rule certify_votes" not in said
    assert (results / "summary.csv").read_bytes() == before
    workflow.run("--cores", "1", "results/reach.csv")  # touches none of them
    workflow.run("--cores", "1", "--config", "replace_tables=true")
    assert pd.read_csv(results / "summary.csv")["defense"].tolist() == ["decoupled"]
    figures = {file.stem for file in (results / "figures" / "digits01").iterdir()}
    assert figures == {
        "attack_success", "certified_accuracy_joint", "certified_accuracy_trigger",
    }  # fmt: skip


def edit(workflow, module, text):
    path = workflow.folder / "workflow" / "scripts" / "certbd" / module
    path.write_text(path.read_text() + text)


def test_every_experiment_is_in_the_summary(finished):
    summary = pd.read_csv(finished.folder / "results" / "summary.csv")
    curves = pd.read_csv(finished.folder / "results" / "curves.csv")
    assert tuple(summary.columns) == metrics.SUMMARY
    assert tuple(curves.columns) == metrics.CURVES
    assert summary["defense"].tolist() == ["rab", "cert_ssb", "decoupled"]
    assert (summary["n_poisoned"] == 13).all()
    figures = finished.folder / "results" / "figures" / "digits01"
    names = {
        "attack_success", "certified_accuracy_joint", "certified_accuracy_paper",
        "certified_accuracy_trigger", "sigma_distribution",
    }  # fmt: skip
    assert {file.name for file in figures.iterdir()} == {
        f"{name}.{suffix}" for name in names for suffix in ("svg", "pdf")
    }


def test_votes_do_not_depend_on_the_number_of_cores(finished, tmp_path):
    single = Workflow(tmp_path, SMALL)
    single.run("results/summary.csv", "--cores", "1")
    files = [*finished.folder.glob("results/**/*.parquet"), finished.folder / "results/summary.csv"]
    assert len(files) == 1 + 1 + 6 + 3 + 3 + 3 + 1 + 1  # predictions and sources, too
    for file in files:
        other = tmp_path / file.relative_to(finished.folder)
        if file.suffix == ".parquet":
            assert pq.read_table(file).equals(pq.read_table(other)), file
        else:
            assert file.read_bytes() == other.read_bytes(), file


def test_a_second_run_does_nothing(workflow):
    assert "Nothing to be done" in workflow.run("--cores", "2")


def test_another_alpha_certifies_anew_and_does_nothing_above(workflow):
    for experiment in workflow.config["experiments"]:
        experiment["certify"]["alpha"] = 0.1
    workflow.write_config()
    assert workflow.plan() == {"certify_votes": 3, "make_summary": 1} | dict.fromkeys(
        FROM_CURVES, 1
    )


def test_another_style_redraws_figures_and_nothing_else(workflow):
    edit(workflow, "report/plots.py", "\nX = 1\n")
    assert workflow.plan() == workflow.plan("figures") == dict.fromkeys(FIGURES, 1)
    edit(workflow, "report/looks.py", "\nX = 1\n")
    assert workflow.plan() == dict.fromkeys(FIGURES | {"build_report"}, 1)


def test_another_noise_level_computes_what_is_new(workflow):
    workflow.config["experiments"][0]["noises"].append("other")
    workflow.write_config()
    new = {"train_models": 2, "collect_votes": 2, "certify_votes": 1, "make_summary": 1}
    assert workflow.plan() == new | dict.fromkeys(FROM_CURVES, 1)


def test_more_models_train_only_the_new_chunks(workflow):
    for experiment in workflow.config["experiments"]:
        experiment["n_models"] = 30
    workflow.write_config()
    new = {"train_models": 3, "collect_votes": 3, "certify_votes": 3, "make_summary": 1}
    assert workflow.plan() == new | dict.fromkeys(FROM_CURVES, 1)


def times_and_bytes(workflow, pattern):
    """Time of the last change, and content, of the files that match."""
    files = sorted(workflow.folder.glob(pattern))
    assert files
    return {str(file): (file.stat().st_mtime_ns, file.read_bytes()) for file in files}


def test_200_models_raised_to_1000_train_800_and_leave_the_200_alone(workflow):
    run = workflow.config["experiments"][2] | {"seed": 1, "n_models": 200}
    workflow.config |= {"chunk_size": 100, "experiments": [run]}
    workflow.write_config()
    workflow.run("results/summary.csv", "--cores", "2")
    made = "results/**/seed-1/**/chunk-*"
    old = times_and_bytes(workflow, made)
    run["n_models"] = 1000
    workflow.write_config()
    plan = workflow.plan("results/summary.csv")
    assert plan == {"train_models": 8, "collect_votes": 8, "certify_votes": 1, "make_summary": 1}
    run["n_models"] = 300
    workflow.write_config()
    workflow.run("results/summary.csv", "--cores", "2")
    grown = times_and_bytes(workflow, made)
    assert (len(old), len(grown)) == (4, 6)
    assert {file: grown[file] for file in old} == old


def test_more_test_inputs_vote_again_and_train_nothing(workflow):
    digits = {"kind": "digits", "classes": [0, 1]}
    workflow.config["experiments"] = [workflow.config["experiments"][1]]  # cert_ssb
    workflow.config["datasets"] = {"digits01": digits | {"subset": {"test": 60}}}
    workflow.write_config()
    plan = workflow.plan("results/summary.csv")
    once = ["make_dataset", "make_poison", "train_undefended", "optimise_sigma"]
    once += ["certify_votes", "make_summary"]
    assert plan == dict.fromkeys(once, 1) | {"collect_votes": 2}
    old = times_and_bytes(workflow, "results/**/per_sample-*/**/*.safetensors")
    (sigma_file,) = workflow.folder.glob("results/**/sigma.parquet")
    sigma = pd.read_parquet(sigma_file)
    workflow.run("results/summary.csv", "--cores", "2")
    assert times_and_bytes(workflow, "results/**/per_sample-*/**/*.safetensors") == old
    other = pd.read_parquet(sigma_file)
    pd.testing.assert_frame_equal(
        other[other["split"] == "train"], sigma[sigma["split"] == "train"]
    )
    assert (other["split"] == "benign").sum() == 60
    (row,) = pd.read_csv(workflow.folder / "results" / "summary.csv").to_dict("records")
    assert row["n_test"] == 60
    workflow.config["datasets"]["digits01"]["subset"]["train"] = 200
    workflow.write_config()
    assert workflow.plan("results/summary.csv")["train_models"] == 2


def test_chunks_of_another_checkout_are_taken_over(finished, tmp_path):
    other = Workflow(tmp_path, SMALL)
    for part in ("results", ".snakemake/metadata"):
        shutil.copytree(finished.folder / part, tmp_path / part, dirs_exist_ok=True)  # keeps times
    assert other.plan() == {}
    (tmp_path / "results" / "summary.csv").unlink()
    assert other.plan("results/summary.csv") == {"make_summary": 1}


def test_another_spelling_of_a_path_reruns_nothing(workflow):
    for spelling in ("data/", "./data", str(workflow.folder / "data")):
        assert workflow.plan("--config", f"data_root={spelling}") == {}


def test_another_working_folder_plans_the_whole_run(finished, tmp_path):
    shutil.copytree(finished.folder / "config", tmp_path / "config")
    assert finished.plan("--directory", str(tmp_path))["build_report"] == 1


def test_another_device_or_a_comment_reruns_nothing(workflow):
    edit(workflow, "rng.py", "\n# a comment\n")
    assert workflow.plan("--config", "device=cpu") == {}


def test_another_generator_retrains(workflow):
    edit(workflow, "rng.py", "\nX = 1\n")
    assert {"train_models", "collect_votes", "optimise_sigma", "make_poison"} <= set(
        workflow.plan()
    )


def test_models_can_be_dropped_once_they_have_voted(workflow):
    workflow.config["keep_models"] = False
    workflow.config["experiments"] = [workflow.config["experiments"][2] | {"seed": 1}]
    workflow.write_config()
    workflow.run("--cores", "2")
    run = "results/digits01/one_pixel/decoupled/train-1-test-0.4/class_mean/seed-1"
    assert len(list(workflow.folder.glob(f"{run}/votes/*.parquet"))) == 2
    assert not list(workflow.folder.glob("results/**/seed-1/*.safetensors"))


def test_a_run_without_attack_leaves_attack_columns_empty(workflow):
    workflow.config["attacks"] = {"clean": {"kind": "none"}}
    _, searched, decoupled = workflow.config["experiments"]
    workflow.config["experiments"] = [
        decoupled | {"attacks": ["clean"]},
        searched | {"attacks": ["clean"], "certify": {"bound": "kl"}},
        searched | {"attacks": ["clean"], "certify": {"multiplicity": "simultaneous"}},
    ]
    workflow.write_config()
    workflow.run("--cores", "2")
    text = (workflow.folder / "results" / "summary.csv").read_text()
    counts = pd.read_csv(io.StringIO(text), dtype=str)[["storage_trimmed", "storage_aligned"]]
    assert counts.to_numpy().tolist()[1:] == [["0", "0"], ["0", "0"]]  # whole numbers, no 0.0
    row, *_ = pd.read_csv(workflow.folder / "results" / "summary.csv").to_dict("records")
    assert pd.isna(row["n_poisoned"])  # whether anything is poisoned nobody knows
    assert pd.isna(row["attack_norm"])
    for column in ("attack_success", "certified_at_attack", "clean_certified_at_attack"):
        assert pd.isna(row[column])
    assert row["clean_accuracy"] > 0


@pytest.mark.parametrize("fault", ["damaged", "stale or mixed in"])
def test_votes_that_cannot_be_trusted_are_named_and_certify_nothing(workflow, fault):
    (votes,) = workflow.folder.glob("results/**/rab/**/chunk-0-9.parquet")
    (others,) = workflow.folder.glob("results/**/decoupled/**/chunk-0-9.parquet")
    votes.write_bytes(votes.read_bytes()[:300] if fault == "damaged" else others.read_bytes())
    (certificates,) = workflow.folder.glob("results/**/rab/**/certificates.parquet")
    certificates.unlink()
    target = str(certificates.relative_to(workflow.folder))
    done = workflow.call(target, "--cores", "1")
    assert done.returncode != 0
    assert f"error: {votes.relative_to(workflow.folder)}: {fault}: " in done.stderr
    assert not certificates.exists()


def test_scores_are_kept_where_a_bound_needs_them(workflow):
    run = workflow.config["experiments"][2]
    workflow.config["experiments"] = [
        run | {"certify": {"alpha": 0.05, "bound": bound}} for bound in ("kl", "majority")
    ]
    workflow.write_config()
    workflow.run("--cores", "2")
    summary = pd.read_csv(workflow.folder / "results" / "summary.csv")
    assert summary["bound"].tolist() == ["kl", "majority"]
    assert (summary["clean_accuracy"] > 0.5).all()
    votes = next(workflow.folder.glob("results/**/decoupled/**/chunk-0-9.parquet"))
    assert "score" in pq.read_schema(votes).names
