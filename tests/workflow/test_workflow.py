"""The smallest real run, from raw data to figures, and what is rebuilt when something changes."""

import copy
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from scipy.stats import norm

from certbd import bounds, metrics
from certbd.sources import CIFAR10_BATCHES, IMAGENETTE
from conftest import ROOT, Workflow

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
    again.folder, again.config = folder, copy.deepcopy(SMALL)
    return again


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
    single.run("--cores", "1")
    files = [*finished.folder.glob("results/**/*.parquet"), finished.folder / "results/summary.csv"]
    assert len(files) == 1 + 1 + 6 + 3 + 3 + 1
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
    edit(workflow, "plots.py", "\nX = 1\n")
    assert workflow.plan() == dict.fromkeys(FIGURES | {"build_report"}, 1)
    assert workflow.plan("figures") == dict.fromkeys(FIGURES, 1)


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
    made = "results/**/seed-1/*/chunk-*"
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
    assert not list(workflow.folder.glob(f"{run}/models/*.safetensors"))


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
    assert [line.split(",")[-2:] for line in text.splitlines()[2:]] == [["0", "0"], ["0", "0"]]
    row, *_ = pd.read_csv(workflow.folder / "results" / "summary.csv").to_dict("records")
    assert row["n_poisoned"] == row["attack_norm"] == 0
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


def one_change(**changes):
    config = copy.deepcopy(SMALL)
    for path, value in changes.items():
        *parents, key = path.split("__")
        entry = config
        for parent in parents:
            entry = entry[int(parent) if parent.isdigit() else parent]
        entry[key] = value
    return config


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (one_change(chunksize=10), "unknown key 'chunksize' (did you mean 'chunk_size'?)"),
        (
            one_change(experiments__0__attacks=["two_pixel"]),
            "experiments[0].attacks: 'two_pixel' is not defined under attacks; defined: blending",
        ),
        (
            one_change(noises={"small": {"sigma": -0.3}}),
            "noises.small.sigma: -0.3 is less than or equal to the minimum of 0; allowed: a number",
        ),
        (
            one_change(attacks={"one_pixel": {"kind": "one_pixel", "norm": 0.5, "rate": 0.003}}),
            "attacks.one_pixel on dataset digits01: rate: 0.003 of 271 training inputs is 0",
        ),
        (
            one_change(experiments__0__certify={"alpha": 1.0}),
            "experiments[0].certify.alpha: 1.0 is greater than or equal to the maximum of 1",
        ),
        (
            one_change(experiments__0__n_models=0),
            "experiments[0].n_models: 0 is less than the minimum of 1",
        ),
        (
            one_change(experiments__0__n_models=15),
            "experiments[0].n_models: 15 is not a multiple of chunk_size, which is 10",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_before_any_job(tmp_path, config, named):
    workflow = Workflow(tmp_path, config)
    done = workflow.call("--cores", "1")
    assert done.returncode != 0
    assert named in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert [file.name for file in (tmp_path / "results").iterdir()] == [".gitignore"]


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def stand_in(data):
    """Put files where published datasets lie: a dry run reads labels, names and bytes alone."""
    labels = np.repeat(np.arange(10, dtype=np.uint8), 600)
    for split in ("train", "t10k"):
        for what, values in (
            ("images-idx3", np.zeros((len(labels), 0, 0), np.uint8)),
            ("labels-idx1", labels),
        ):
            touch(file := data / "MNIST" / "raw" / f"{split}-{what}-ubyte")
            header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
            file.write_bytes(header + values.tobytes())
    for file in (*CIFAR10_BATCHES, "batches.meta"):
        touch(data / "cifar-10-batches-py" / file)
    for folder in (
        *(
            f"imagenette2/{split}/{name}"
            for split in ("train", "val")
            for name in IMAGENETTE.values()
        ),
        *(f"cifar10_images/{s}/{c}" for s in ("train", "test") for c in ("airplane", "bird")),
    ):
        for number in range(200):
            touch(data / folder / f"{number}.jpg")


@pytest.mark.parametrize("name", sorted(file.name for file in (ROOT / "config").glob("*.yaml")))
def test_every_shipped_config_dry_runs(tmp_path, name):
    workflow = Workflow(tmp_path)
    config = yaml.safe_load((ROOT / "config" / name).read_text())
    stand_in(tmp_path / "data")
    for experiment in config["experiments"]:
        for key in ("votes", "labels"):
            if key in experiment:
                touch(tmp_path / "data" / experiment[key])
    assert workflow.plan("--configfile", f"config/{name}")


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
