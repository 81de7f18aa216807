"""How fast this machine trains and votes: measured in seconds on made-up data, and kept.

What is measured are the functions that jobs call, on inputs of the data's shape: a few models on
some of the rows, scaled to all rows and epochs.
"""

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from certbd import rng
from certbd.artifacts.io import PoisonedSet, atomic
from certbd.data.size import Size
from certbd.learners.learner import Learner
from certbd.training.side import TrainingSide

MOST_SECONDS = 20.0
"""Of a calibration, over all that is not known yet."""
ROWS, INPUTS = 512, 256
"""Most rows to train networks on, most inputs to vote on."""
MANY_ROWS = 20_000
"""The same for learners in closed form."""
SCHEDULING = 0.25
"""Seconds of Snakemake's own for each job."""
VOTES_PER_SECOND, BYTES_PER_SECOND = 5e6, 1e8
"""Of counting votes and of reading data: small parts of a run, so constants."""


class Rate(NamedTuple):
    """Seconds of one job beyond its start, of one model in it, and of one vote."""

    fixed: float
    model: float
    vote: float


class Rates:
    """Rates that are known, in a file; those that are missing are measured when asked for."""

    def __init__(self, path: Path, n_unknown: int) -> None:
        self._path, self._known = path, _read(path)
        self._share = MOST_SECONDS / max(1, n_unknown + 2)

    def start(self, kind: str) -> float:
        """Return the seconds that a job of a kind takes to start, ``torch`` or ``tables``."""
        if kind not in self._known["start"]:
            self._known["start"][kind] = _start(kind)
            self._write()
        return float(self._known["start"][kind])

    def of(self, learner: Learner, side: TrainingSide, size: Size, level: float) -> Rate:
        """Return the rates of a learner under a training side on data of some size."""
        key = key_of(learner, side, size)
        if key not in self._known["rates"]:
            self._known["rates"][key] = measure(learner, side, size, level, self._share)
            self._write()
        return Rate(*self._known["rates"][key])

    def _write(self) -> None:
        with atomic(self._path) as temporary:
            temporary.write_text(json.dumps(self._known, indent=1, sort_keys=True) + "\n")


def key_of(learner: Learner, side: TrainingSide, size: Size) -> str:
    """Return what tells rates apart."""
    parts = [learner.settings(), side.settings(), [*size.shape, size.training, size.n_classes]]
    return json.dumps(parts, sort_keys=True)


def unknown(path: Path, keys: set[str]) -> int:
    """Return how many rates are still to be measured."""
    return len(keys - set(_read(path)["rates"]))


def _read(path: Path) -> dict[str, Any]:
    """Return what was measured on this machine; nothing of another one."""
    here = f"{platform.machine()} {platform.processor()} python {platform.python_version()}"
    empty: dict[str, Any] = {"machine": here, "start": {}, "rates": {}}
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return empty
    return found if found.get("machine") == here else empty


def _start(kind: str) -> float:
    """Time what a job imports, in a process of its own."""
    module = {"torch": "certbd.training.ensembles", "tables": "certbd.certify.certify"}[kind]
    code = f"import snakemake.script, {module}"
    scripts = Path(__file__).parents[3]
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=scripts, check=True)  # noqa: S603 # our own
    return time.perf_counter() - began + SCHEDULING


def measure(learner: Learner, side: TrainingSide, size: Size, level: float, seconds: float) -> Rate:
    """Measure rates; `level` is the noise on training inputs of a side that optimises it."""
    from certbd.learners import features
    from certbd.testing.votes import vote
    from certbd.training import ensembles
    from certbd.training import side as sides

    device = ensembles.pick_device("cpu")
    n_rows = min(size.training, ROWS if learner.network else MANY_ROWS)
    n_rows = max(n_rows, min(size.training, getattr(side, "n_drawn", 0)))
    made = np.random.default_rng(0).integers(0, 2, (n_rows, *size.shape)).astype(np.float32)
    labels = np.arange(n_rows) % size.n_classes
    began = time.perf_counter()
    inputs = features.apply(learner.feature_map, made, device)
    mapping = (time.perf_counter() - began) * size.training / n_rows
    few = PoisonedSet(inputs, labels, np.arange(0))
    noise = np.full(n_rows, level) if side.optimises else None
    noise = noise if noise is not None else sides.noise_of(side, n_rows, None, None)
    draw = sides.draw_of(side, size.n_classes, noise)
    epochs = getattr(learner, "epochs", 1)
    short = learner.model_copy(update={"epochs": 1}) if hasattr(learner, "epochs") else learner
    whole = draw.seen_bytes(few, size.n_classes) is None and (
        draw.parameters(few, short, size.n_classes) is None
    )
    scale = size.training / n_rows * epochs if whole else 1.0

    def train(n_models: int) -> Any:
        return ensembles.train(few, draw, short, size.n_classes, 0, range(n_models), device=device)

    first = _timed(lambda: train(1))
    first = min(first, _timed(lambda: train(1)))
    n_models = int(np.clip(seconds / 4 / max(first, 1e-4), 1, 200))
    models = train(n_models) if n_models == 1 else None
    spent = first if n_models == 1 else _timed(lambda: train(n_models))
    models = train(min(n_models, 64))
    module = short.module(inputs.shape[1:], size.n_classes)
    n_voters, seen = min(n_models, 64), inputs[: min(INPUTS, n_rows)]
    generators = rng.generators(0, rng.Purpose.TEST_NOISE, range(n_voters))
    voting = _timed(lambda: vote(module, models, seen, 0.1, generators))
    fixed = mapping if n_models == 1 else mapping + max(0.0, first - spent / n_models)
    return Rate(fixed, spent / n_models * scale, voting / n_voters / len(seen))


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
