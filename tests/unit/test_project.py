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
        r"^ *localrules:\n((?:     .*\n)+)", (ROOT / "Snakefile").read_text(), re.MULTILINE
    )
    targets = {name.strip(" ,") for name in local[1].splitlines()} - {"all"}
    assert [name for name in made if f"make {name}" not in shown.stdout] == []
    assert {"report", "figures"} <= targets
    assert [name for name in targets if f"target {name}" not in shown.stdout] == []


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "profiles").iterdir()))
def test_profiles_name_rules_that_exist(name):
    rules = set()
    for file in (ROOT / "workflow" / "rules").glob("*.smk"):
        rules |= set(
            re.findall(r"^(?:use )?rule (?:\w+ as )?(\w+)(?: with)?:", file.read_text(), re.M)
        )
    profile = yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())
    assert {*profile.get("set-resources", {}), *profile.get("groups", {})} <= rules


def test_the_slurm_profile_sends_every_rule_with_a_gpu_to_its_partition():
    wanted = set()
    for file in (ROOT / "workflow" / "rules").glob("*.smk"):
        for rule in file.read_text().split("\nrule ")[1:]:
            if "gpu=" in rule.split("\nuse rule ")[0]:
                wanted.add(rule.split(":")[0])
    for file in (ROOT / "workflow" / "rules").glob("*.smk"):
        copies = re.findall(r"use rule (\w+) as (\w+) with", file.read_text())
        wanted |= {copy for rule, copy in copies if rule in wanted}
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())
    resources = profile["set-resources"].items()
    assert {rule for rule, entry in resources if "slurm_partition" in entry} == wanted
    assert wanted
