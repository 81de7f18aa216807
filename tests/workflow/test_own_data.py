"""One's own data from raw files to the summary, and what is refused before any job."""

import copy
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from conftest import Workflow

CONFIG = {
    "device": "cpu",
    "chunk_size": 10,
    "undefended": "tiny",
    "datasets": {
        "photos": {"kind": "image_folder", "path": "photos"},
        "people": {
            "kind": "table",
            "path": "people.csv",
            "label_column": "label",
            "ranges": {"age": [0, 120]},
        },
    },
    "attacks": {
        "pixel": {"kind": "one_pixel", "norm": 0.5, "rate": 0.05},
        "pattern": {"kind": "blending", "norm": 0.5, "rate": 0.05},
    },
    "noises": {"small": {"sigma": 0.3}},
    "learners": {"tiny": {"kind": "mlp", "hidden": 8, "epochs": 2}},
    "experiments": [
        {
            "dataset": dataset,
            "attacks": [attack],
            "defense": "rab",
            "noises": ["small"],
            "learner": "tiny",
            "n_models": 10,
            "certify": {"alpha": 0.05},
        }
        for dataset, attack in (("photos", "pixel"), ("people", "pattern"))
    ],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    draws = np.random.default_rng(0)
    for split, n in (("train", 20), ("test", 4)):
        for name, level in (("dark", 60), ("light", 190)):
            (folder / "data" / "photos" / split / name).mkdir(parents=True)
            for number, pixels in enumerate(draws.normal(level, 20, (n, 6, 6, 3))):
                file = folder / "data" / "photos" / split / name / f"{number:02}.png"
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file)
    old = np.arange(40) % 2
    table = pd.DataFrame({"age": 20 + 60 * old, "score": draws.uniform(0, 1, 40)})
    table.assign(label=np.where(old, "old", "young")).to_csv(
        folder / "data" / "people.csv", index=False
    )
    workflow = Workflow(folder, CONFIG)
    workflow.run("--cores", "1")
    return workflow


@pytest.fixture
def workflow(finished, tmp_path):
    """A copy of the finished run, file times included."""
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder, copy_function=shutil.copy2)
    again = object.__new__(Workflow)
    again.folder, again.config = folder, copy.deepcopy(CONFIG)
    return again


def test_own_data_reach_the_summary(finished):
    summary = pd.read_csv(finished.folder / "results" / "summary.csv")
    assert summary["dataset"].tolist() == ["photos", "people"]
    assert summary["n_test"].tolist() == [8, 10]
    assert summary["n_poisoned"].tolist() == [2, 1]


def test_moved_data_rerun_nothing_and_changed_data_do(workflow):
    (workflow.folder / "data").rename(workflow.folder / "moved")
    assert workflow.plan("--config", f"data_root={workflow.folder / 'moved'}") == {}
    workflow.config["data_root"] = "moved"
    workflow.config["datasets"]["people"]["path"] = str(workflow.folder / "moved" / "people.csv")
    workflow.config["datasets"]["photos"]["classes"] = ["dark", "light"]
    workflow.write_config()
    assert workflow.plan() == {}
    table = workflow.folder / "moved" / "people.csv"
    table.write_text(table.read_text().replace("20,", "21,", 1))
    plan = workflow.plan()
    assert plan["make_dataset"] == plan["make_poison"] == plan["train_models"] == 1


def refusal(workflow):
    """Return what a run that cannot start says."""
    workflow.write_config()
    done = workflow.call("--cores", "1")
    text = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Traceback" not in text
    assert "make_dataset" not in text
    return text


def test_missing_data_are_refused_before_any_job(workflow):
    (workflow.folder / "data" / "photos").rename(workflow.folder / "photos")
    assert (
        "datasets.photos: data/photos does not exist; set the folder that relative paths start "
        "from (--config data_root=FOLDER) or the key path"
    ) in refusal(workflow)


def test_a_pixel_trigger_on_a_table_is_refused_before_any_job(workflow):
    workflow.config["experiments"][1]["attacks"] = ["pixel"]
    assert (
        "attacks.pixel on dataset people: kind: a one_pixel trigger needs images, not rows of "
        "features; blending fits both"
    ) in refusal(workflow)


def test_labels_are_checked_before_any_job(workflow):
    workflow.config["datasets"]["people"]["classes"] = ["young", "middle"]
    named = "people.csv: column label, row 1: label 'old'; allowed: one of 'young', 'middle'"
    assert named in refusal(workflow)


def test_an_unusable_value_is_named_and_nothing_is_written(workflow):
    shutil.rmtree(workflow.folder / "results" / "people")
    table = workflow.folder / "data" / "people.csv"
    table.write_text(table.read_text().replace("20,", "121,", 1))
    done = workflow.call("--cores", "1")
    assert done.returncode != 0
    assert "error: data/people.csv: column age, row 0: 121; allowed: a number" in done.stderr
    assert not list(workflow.folder.glob("results/people/*.npz"))
