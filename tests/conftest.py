"""Fixtures: the embedded digits, poison sets of them, and copies of the workflow to run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from certbd import rng
from certbd.artifacts import io
from certbd.attacks.attack import Backdoor, read
from certbd.attacks.poison import poison
from certbd.data import datasets
from certbd.learners import feature_map
from certbd.learners import learner as learners
from certbd.testing import side as test_sides
from certbd.testing.side import TestSide
from certbd.training import side as sides
from certbd.training.side import TrainingSide

ROOT = Path(__file__).parent.parent
CONFIGS = sorted(
    path.relative_to(ROOT / "config").as_posix()
    for folder in ("", "papers", "studies", "audits")
    for path in (ROOT / "config" / folder).glob("*.yaml")
)
"""Every configuration that is shipped, by its path below config/."""
PARTS = ("Snakefile", "workflow", "config", "profiles", "envs", "results/.gitignore")


def backdoor(kind: str, norm: float = 1.0, **settings: Any) -> Backdoor:
    """Return an attack; the rate is 0.05 where it is not given."""
    made = read({"kind": kind, "norm": norm, "rate": 0.05} | settings)
    assert isinstance(made, Backdoor)
    return made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let whole runs come first, because they take longest: then all cores end together."""
    items.sort(key=lambda item: "workflow" not in item.path.parts)


@pytest.fixture(scope="session")
def digits() -> io.DataSplits:
    return datasets.load({"kind": "digits", "classes": [0, 1]})


@pytest.fixture(scope="session")
def poisoned(digits: io.DataSplits) -> io.PoisonedSet:
    attack = backdoor("one_pixel", 0.5)
    trigger = attack.make_trigger((1, 8, 8), rng.generator(0, 2))
    return poison(digits.train_inputs, digits.train_labels, attack, trigger, rng.generator(0, 1))


def learner_of(settings: dict[str, Any], **changes: Any) -> learners.Learner:
    """Read a learner's settings, some of them changed; what is left out is the default."""
    return learners.read(settings | changes)


def map_of(settings: dict[str, Any], **changes: Any) -> feature_map.FeatureMap:
    """Read a feature map's settings, some of them changed."""
    return feature_map.read(settings | changes)


def side_of(**settings: Any) -> TrainingSide:
    """Read a training side's settings."""
    return sides.read(settings)


def vote_side_of(**settings: Any) -> TestSide:
    """Read a test side's settings."""
    return test_sides.read(settings)


def plain_profile(folder: Path) -> list[str]:
    """Return arguments that let Snakemake print each job, not a line per stage."""
    settings = yaml.safe_load((ROOT / "profiles" / "default" / "config.yaml").read_text())
    settings.pop("logger")
    (folder / "plain").mkdir(exist_ok=True)
    (folder / "plain" / "config.yaml").write_text(yaml.safe_dump(settings))
    return ["--workflow-profile", str(folder / "plain")]


class Workflow:
    """A copy of the workflow in a folder of its own."""

    def __init__(self, folder: Path, config: dict[str, Any] | None = None) -> None:
        self.folder = folder
        for part in PARTS:
            source, target = ROOT / part, folder / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, target, ignore=ignore)
            else:
                shutil.copy(source, target)
        self.config = config
        self.write_config()

    def write_config(self) -> None:
        if self.config is not None:
            (self.folder / "test.yaml").write_text(yaml.safe_dump(self.config))

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run snakemake and return what came of it."""
        configfile = ["--configfile", "test.yaml"] if self.config is not None else []
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return subprocess.run(
            [sys.executable, "-m", "snakemake", *arguments, *configfile],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *arguments: str) -> str:
        """Run snakemake, which must succeed, and return all that it printed."""
        done = self.call(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def plan(self, *arguments: str) -> dict[str, int]:
        """Return the number of jobs of each rule that a dry run lists."""
        text = self.run("-n", *arguments)
        if "Nothing to be done" in text:
            return {}
        table = text.split("Job stats")[1].split(" total ")[0]
        lines = re.findall(r"^ ([a-z0-9 ]+?) +(\d+) *$", table, re.MULTILINE)
        jobs = {words.replace(" ", "_"): int(n) for words, n in lines}
        return {rule: n for rule, n in jobs.items() if rule not in ("total", "all", "figures")}
