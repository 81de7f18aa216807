"""Entries of the registries: what a folder lists is there, and reading it costs little."""

import os
import subprocess
import sys

import pytest

from certbd.config import defences, entries, schema
from certbd.config.fields import Entry
from conftest import ROOT

FOLDERS = (entries.ATTACKS, entries.DATASETS, entries.LEARNERS, entries.MAPS)
HEAVY = "{'torch', 'torchvision', 'sklearn', 'PIL', 'onnxruntime'}"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_registry_lists_the_modules_of_its_folder(folder):
    files = (ROOT / "workflow/scripts/certbd" / folder.replace(".", "/")).glob("*.py")
    assert {file.stem for file in files} - {"__init__"} == set(entries.names(folder))
    for kind in entries.names(folder):
        entry = entries.module(folder, kind).KIND
        assert issubclass(entry, Entry)
        assert entry.model_json_schema()["properties"]["kind"]["const"] == kind


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("kind", ["", "wine", "None", "__init__", "kinds", "os"])
def test_what_a_registry_does_not_list_is_named_with_what_it_does(folder, kind):
    known = ", ".join(entries.names(folder))
    with pytest.raises(ValueError, match=f"certbd.{folder}: '{kind}' is not in .*; known: {known}"):
        entries.read(folder, {"kind": kind})


def test_sides_bounds_and_defences_have_the_modules_of_their_names():
    library = ROOT / "workflow/scripts/certbd"
    for kind in entries.names(entries.TRAINING):
        for part in ("entry", "draw", "guarantee", "audit"):
            assert entries.has(entries.TRAINING, kind, part)
    folders = {path.name for path in (library / "training").iterdir() if path.is_dir()}
    assert folders - {"__pycache__"} == set(entries.names(entries.TRAINING))
    for folder in (entries.BOUNDS, entries.DEFENCES):
        files = {path.stem for path in (library / folder.replace(".", "/")).glob("*.py")}
        assert files - {"__init__"} == set(entries.names(folder))


def test_defences_differ_in_colour_and_read_keys_that_exist():
    known = {name: defences.read(name) for name in defences.names()}
    assert len({defence.colour for defence in known.values()}) == len(known) == 6
    keys = schema.whole()["$defs"]["noise"]["properties"]
    for defence in known.values():
        assert set(defence.needs) <= set(keys)
        assert {*defence.training_keys.values(), *defence.testing_keys.values()} <= set(keys)
        assert set(defence.training_keys) <= set(defence.side.model_fields)


def test_facts_of_defences_are_those_that_their_theorems_prove():
    """``docs/theory.md``: labels are covered in sections 6 and 7, rows in section 7."""
    known = {name: defences.read(name) for name in defences.names()}
    labels = {name for name, defence in known.items() if defence.side.covers_labels}
    rows = {name for name, defence in known.items() if defence.side.covers_rows}
    assert labels == {"discrete", "bagging", "statistic"}
    assert rows == {"bagging", "statistic"}
    assert {name: defence.curves for name, defence in known.items()} == {
        "rab": ("trigger", "joint", "paper"),
        "cert_ssb": ("trigger", "joint", "paper"),
        "decoupled": ("trigger", "joint"),
        "discrete": ("l0",),
        "bagging": ("trigger", "rows"),
        "statistic": ("trigger", "rows"),
    }
    assert {name: defence.features for name, defence in known.items()} == {
        "rab": "none", "cert_ssb": "none", "decoupled": "lipschitz", "discrete": "none",
        "bagging": "any", "statistic": "any",
    }  # fmt: skip


def test_entries_are_read_without_the_libraries_of_jobs():
    code = (
        "import sys; from certbd.config import entries\n"
        f"for folder in {FOLDERS}:\n"
        "    for kind in entries.names(folder):\n"
        "        entries.module(folder, kind).KIND.model_json_schema()\n"
        "from certbd.config import schema; schema.whole()\n"
        f"assert not {HEAVY} & set(sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow" / "scripts")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
