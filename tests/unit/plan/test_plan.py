"""The plan of a configuration: what is in which identity, and what is refused. No Snakemake."""

import copy
import hashlib
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from snakemake.utils import update_config

from certbd.config import entries
from certbd.plan import paths, refusals
from certbd.plan.files import PlanError
from certbd.plan.places import run_of
from certbd.plan.plan import Plan
from certbd.plan.stages import STAGES
from certbd.plan.targets import Targets, where_to_look
from conftest import ROOT

SCRIPTS = ROOT / "workflow" / "scripts"
GOLDEN = ROOT / "tests" / "golden" / "settings.json"
DATA_ROOT = os.environ.get("CERTBD_DATA_ROOT")
DEFAULT = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


def read(changes=None):
    raw = copy.deepcopy(DEFAULT)
    update_config(raw, copy.deepcopy(changes or {}))
    return Plan.read(raw, scripts=SCRIPTS)


@pytest.fixture(scope="module")
def plan():
    return read()


def identities(plan, index=0):
    run, certification = plan.config.rows[index]
    where = place_of(plan, run, certification)
    return {name: plan.identity(name, where) for name in stages_of(plan, run)}


def place_of(plan, run, certification):
    axes = run._asdict() | certification._asdict()
    if run not in plan.config.external:
        axes["training"] = plan.config.training_side(run).folder
    return SimpleNamespace(**axes)


def stages_of(plan, run):
    stages = ["data", "poison", "undefended", "models", "votes", "certificates", "audit"]
    return stages + ["sigma"] * plan.optimises(run)


def changed(before, after):
    return {name for name in before if before[name] != after[name]}


def experiments(**keys):
    return {"experiments": [entry | keys for entry in DEFAULT["experiments"][:1]]}


def test_the_number_of_models_is_in_no_model_and_no_vote(plan):
    more = read(experiments(n_models=2000))
    assert changed(identities(plan), identities(more)) == {"certificates", "audit"}


def test_bound_and_alpha_are_in_certificates_alone(plan):
    other = read(experiments(certify={"bound": "clopper_pearson", "alpha": 0.01}))
    assert changed(identities(plan), identities(other)) == {"certificates", "audit"}


def test_test_inputs_are_in_no_training(plan):
    digits = DEFAULT["datasets"]["digits01"] | {"subset": {"test": 40}}
    fewer = read({"datasets": {"digits01": digits}})
    assert "models" not in changed(identities(plan), identities(fewer))
    assert {"data", "votes"} < changed(identities(plan), identities(fewer))
    fewer = read({"datasets": {"digits01": digits | {"subset": {"train": 200}}}})
    assert "models" in changed(identities(plan), identities(fewer))


def test_the_budget_of_the_audit_and_the_place_of_data_are_in_nothing_else(plan):
    other = read({"audit": {"inputs": 5}, "data_root": "elsewhere", "device": "cpu"})
    assert changed(identities(plan), identities(other)) == {"audit"}


@pytest.mark.parametrize("keys", [{"seed": 1}, {"learner": "mlp32-decay"}])
def test_the_seed_and_the_learner_are_in_models_and_what_follows(plan, keys):
    other = read(experiments(**keys))
    expected = {"models", "votes", "certificates", "audit"}
    assert changed(identities(plan), identities(other)) - {"undefended"} == expected


def test_entries_that_differ_in_the_test_side_share_models_and_no_votes():
    noises = {"other": {"sigma_train": 1.0, "sigma_test": 0.7}}
    entry = DEFAULT["experiments"][2] | {"noises": ["train-1-test-0.4", "other"]}
    both = read({"noises": noises, "experiments": [entry]})
    (one, _), (two, _) = both.config.rows[:2]
    assert both.trained(one, paths.MODELS) == both.trained(two, paths.MODELS)
    models, votes = (
        {identities(both, row)[stage] for row in (0, 1)} for stage in ("models", "votes")
    )
    assert (len(models), len(votes)) == (1, 2)


def test_folders_of_models_tell_training_sides_apart(plan):
    assert set(plan.sides) == {
        *(f"gaussian-sigma-{sigma}" for sigma in (0.25, 0.5, 0.7, 1.0)),
        *(f"per_sample-sigma-{sigma}-search-b454c3351bcaff0a" for sigma in (0.25, 0.5)),
        "bagging-n_drawn-12", "statistic-sigma_statistic-0.04", "flips-beta-0.85-values-2",
    }  # fmt: skip


def test_a_folder_that_two_training_sides_share_is_refused(plan, monkeypatch):
    one = plan.sides["gaussian-sigma-0.25"]
    monkeypatch.setattr(type(one), "folder", "gaussian")
    assert refusals.by_folder([one, one]) == {"gaussian": one}
    with pytest.raises(ValueError, match="does not tell it apart"):
        Plan(plan.config, SCRIPTS)


def test_a_folder_with_signs_that_a_path_may_not_have_is_refused(plan, monkeypatch):
    one = plan.sides["gaussian-sigma-0.25"]
    monkeypatch.setattr(type(one), "folder", "gaussian-[1, 2]")
    with pytest.raises(ValueError, match="does not tell it apart"):
        refusals.by_folder([one])


def test_paths_name_their_axes(plan):
    for run, certification in plan.config.rows:
        path = paths.certificates_of(run, certification)
        assert run_of(SimpleNamespace(**run._asdict())) == run
        for value in (*run, certification.bound, f"n{certification.n_models}"):
            assert str(value) in path


def test_rows_of_the_summary_say_whether_labels_are_covered(plan):
    targets = Targets(plan)
    covered = {row[0].defense: targets.summary_row(*row)["covers_labels"] for row in targets.rows}
    assert covered == dict.fromkeys(("rab", "cert_ssb", "decoupled"), False) | dict.fromkeys(
        ("discrete", "bagging", "statistic"), True
    )


def test_targets_of_the_default_run(plan):
    targets = Targets(plan)
    assert len(targets.rows) == len(targets.own_rows) == len(targets.audited) == 19
    assert targets.attacked == targets.datasets == ["digits01", "digits", "digits01-binary"]
    assert len(targets.figures) == len(set(targets.figures)) == 22
    row = targets.summary_row(*targets.rows[0])
    assert (row["n_poisoned"], row["attack_norm"], row["undefended"]) == (13, 0.5, 0)
    assert len(targets.summary_inputs()["certificates"]) == 19


def test_a_side_without_an_audit_and_an_unsearched_learner_are_known_as_not_tried(
    plan, monkeypatch
):
    targets, has = Targets(plan), entries.has
    assert not any(targets.untried(*row) for row in targets.rows)
    monkeypatch.setattr(
        entries, "has", lambda folder, kind, part: kind != "bagging" and has(folder, kind, part)
    )
    assert {run.defense for run, _ in set(targets.rows) - set(targets.audited)} == {"bagging"}
    mean = entries.module(entries.LEARNERS, "nearest_class_mean").KIND
    monkeypatch.setattr(mean, "searched_by", None)
    rows = [row for row in targets.rows if targets.untried(*row) == ["joint"]]
    named = {run.defense for run, _ in rows}
    assert named == {"decoupled"}


def test_where_to_look():
    page = Path("results/report.html").absolute()
    assert where_to_look(["results/summary.csv", "results/report.html"]) == f"Done. Look at {page}"
    assert where_to_look(["results/audit.csv", "results/audit.shown"]).endswith("report.html")
    assert where_to_look([f"{k}.svg" for k in range(5)]).endswith("2.svg and 2 more")
    assert where_to_look([]) == "Done."


def discrete(**keys):
    return {"experiments": [DEFAULT["experiments"][4] | keys]}


VOTES = {
    "kind": "external", "dataset": "mine", "votes": "v.parquet", "n_classes": 2, "n_models": 10,
    "certify": {"alpha": 0.1},
}  # fmt: skip
REFUSED = [
    (
        {"noises": {"draw-12-test-0.35": {"n_drawn": 300}}},
        "noises.draw-12-test-0.35.n_drawn: 300 of 265 training inputs of digits01",
    ),
    (
        {"attacks": {"one_pixel": {"rate": 0.003}}},
        "attacks.one_pixel on dataset digits01: rate: 0.003 of 265 training inputs is 0",
    ),
    (
        {"chunk_size": 10} | discrete(n_models=10),
        "n_models: 10 models certify not one changed coordinate, even if all agree",
    ),
    (discrete(dataset="digits01"), "features of 17 values are not of a domain of 2"),
    (
        {"attacks": {"none": {"kind": "none"}}}
        | {"experiments": [DEFAULT["experiments"][5] | {"attacks": ["none"]}]},
        "datasets.digits01.classes: leaves out 2, 3, 4, 5, 6, 7, 8, 9, so a relabelled row",
    ),
    (
        {"datasets": {"mine": {"kind": "npz", "path": "nowhere.npz"}}}
        | experiments(dataset="mine"),
        "datasets.mine: data/nowhere.npz does not exist",
    ),
    (
        {"learners": {"net": {"kind": "resnet18", "pretrained": "nowhere.safetensors"}}}
        | experiments(learner="net"),
        "learners.net.pretrained: data/nowhere.safetensors is not a file; set data_root",
    ),
    (
        {"experiments": [VOTES]},
        "votes of the external experiment on mine: data/v.parquet is not a file",
    ),
]


@pytest.mark.parametrize(("changes", "named"), REFUSED)
def test_what_cannot_be_run_is_refused(changes, named):
    with pytest.raises(PlanError) as caught:
        read(changes)
    assert named in str(caught.value)


def test_the_content_of_files_is_in_identities_and_not_their_place(tmp_path):
    entry = {"kind": "npz", "path": "mine.npz", "classes": [0, 1]}
    changes = {"datasets": {"mine": entry}} | experiments(dataset="mine", attacks=["blending"])
    found = []
    for folder, value in (("one", 0.0), ("two", 0.0), ("three", 1.0)):
        (tmp_path / folder).mkdir()
        inputs = np.full((80, 3), value)
        np.savez(tmp_path / folder / "mine.npz", inputs=inputs, labels=np.arange(80) % 2)
        found.append(identities(read(changes | {"data_root": str(tmp_path / folder)})))
    assert changed(found[0], found[1]) == set()
    assert changed(found[0], found[2]) == set(found[0])


def settings_of(plan):
    """Return a digest of every stage's settings and the stages it reads, without fingerprints."""
    found = {}
    for run, certification in plan.config.rows:
        where = place_of(plan, run, certification)
        network = SimpleNamespace(**vars(where) | {"learner": plan.config.undefended})
        for stage in ["external"] if run in plan.config.external else stages_of(plan, run):
            here = network if stage == "undefended" else where
            settings = json.loads(json.dumps(plan.settings(stage)(here)))
            if stage == "models":
                settings["training_data"].pop("code")
            axes = [str(getattr(here, axis)) for axis in STAGES[stage].axes]
            reads = sorted(plan.inputs_of(stage, here))
            found.setdefault(stage, {})["/".join(axes)] = [settings, reads]
    return {stage: digest(places) for stage, places in found.items()}


def digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


@pytest.mark.parametrize("config", sorted(json.loads(GOLDEN.read_text())))
def test_settings_are_those_that_are_stored(config):
    """What moves a digest reruns that stage of everybody's results: say so in the changelog."""
    changes = yaml.safe_load((ROOT / "config" / config).read_text())
    tables = DEFAULT["datasets"] | changes.get("datasets", {})
    used = [tables.get(entry["dataset"], {"kind": "external"}) for entry in changes["experiments"]]
    if {entry["kind"] for entry in used} != {"digits"} and not DATA_ROOT:
        pytest.skip("CERTBD_DATA_ROOT names no folder with the published data")
    plan = read(changes | {"data_root": DATA_ROOT or "data"})
    assert settings_of(plan) == json.loads(GOLDEN.read_text())[config]


ENTRIES = {  # file that is edited: stages of a row whose code it is
    ("training/bagging/guarantee.py", "bagging"): {"certificates"},
    ("training/bagging/guarantee.py", "decoupled"): set(),
    ("training/bagging/draw.py", "bagging"): {"models", "audit"},
    ("training/gaussian/guarantee.py", "cert_ssb"): {"certificates"},
    ("training/gaussian/entry.py", "bagging"): set(),
    ("attacks/kinds/one_pixel.py", "rab"): {"poison"},
    ("attacks/kinds/blending.py", "rab"): set(),
    ("learners/kinds/mlp.py", "rab"): {"undefended", "models", "votes", "audit"},
    ("learners/kinds/ridge.py", "rab"): set(),
    ("certify/bounds/majority.py", "rab"): {"certificates", "audit"},
    ("certify/bounds/kl.py", "rab"): set(),
    ("testing/noise.py", "rab"): {"votes", "certificates", "audit"},
    ("defences/rab.py", "rab"): set(),  # its facts are in the settings
}


@pytest.mark.parametrize(("edited", "defense"), ENTRIES)
def test_an_entry_is_in_the_code_of_the_jobs_that_use_it(edited, defense, tmp_path, plan):
    scripts = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    before = codes(plan, defense)
    assert before == codes(Plan(plan.config, scripts), defense)
    file = scripts / "certbd" / edited
    file.write_text(f"{file.read_text()}\nX = 1\n")
    found = changed(before, codes(Plan(plan.config, scripts), defense))
    assert found == ENTRIES[edited, defense]


def codes(plan, defense):
    run, certification = next(row for row in plan.config.rows if row[0].defense == defense)
    where, found = place_of(plan, run, certification), {}
    for stage in stages_of(plan, run):
        network = {"learner": plan.config.undefended} if stage == "undefended" else {}
        found[stage] = plan.code_of(stage, SimpleNamespace(**vars(where) | network))
    return found
