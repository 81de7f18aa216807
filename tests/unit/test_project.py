"""Files that must agree with each other."""

import re
import subprocess

import pytest
import yaml
from packaging.requirements import Requirement

from conftest import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
PYTHON = {"python_full_version": "3.12.0", "python_version": "3.12", "sys_platform": "linux"}


@pytest.mark.parametrize("name", ["torch", "tables"])
def test_conda_environments_have_the_locks_versions(name):
    locked = set()
    for line in re.findall(r"^[a-z].*?==[^\\\n]*", LOCK, re.MULTILINE):
        requirement = Requirement(line.strip())
        if requirement.marker is None or requirement.marker.evaluate(PYTHON):
            locked.add(f"{requirement.name}{requirement.specifier}")
    environment = yaml.safe_load((ROOT / "envs" / f"{name}.yaml").read_text())
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert set(pip) <= locked


def test_the_lock_names_no_address_and_has_hashes():
    assert "http" not in LOCK
    assert "--index" not in LOCK
    assert LOCK.count("--hash=sha256:") > 500


def test_make_help_names_every_target():
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    made = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    local = re.search(
        r"^localrules:\n((?:    .*\n)+)", (ROOT / "Snakefile").read_text(), re.MULTILINE
    )
    targets = {name.strip(" ,") for name in local[1].splitlines()} - {"all"}
    assert [name for name in made if f"make {name}" not in shown.stdout] == []
    assert {"report", "figures"} <= targets
    assert [name for name in targets if f"target {name}" not in shown.stdout] == []
