"""A run that is killed, stopped or starved of disk goes on, and ends as an undisturbed one does.

CERTBD_STOPS=KILL,KILL,KILL CERTBD_TRIALS=5 stops five runs three times each at random moments.
"""

import importlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from certbd.artifacts import io
from conftest import Workflow, plain_profile

STOPS = os.environ.get("CERTBD_STOPS", "INT,TERM,KILL").split(",")
TRIALS = range(int(os.environ.get("CERTBD_TRIALS", "1")))
TINY = {
    "chunk_size": 1,
    "undefended": "tiny",
    "learners": {
        "tiny": {"kind": "mlp", "hidden": 8, "epochs": 1, "batch_size": 64, "learning_rate": 0.01}
    },
    "experiments": [
        {
            "dataset": "digits01",
            "attacks": ["one_pixel"],
            "defense": "decoupled",
            "noises": ["train-1-test-0.4"],
            "learner": "class_mean",
            "n_models": 2,
            "certify": {"alpha": 0.3},
        }
    ],
}
SUMMARY = "results/summary.csv"


def heed_interrupts():
    """What is started in the background of a shell without job control ignores Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Started:
    """A workflow that runs in a session of its own, as one started in a terminal does."""

    def __init__(self, workflow):
        self.log = workflow.folder / "stdout.log"
        command = [sys.executable, "-m", "snakemake", SUMMARY, "--cores", "2"]
        command += plain_profile(workflow.folder)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--configfile", "test.yaml"],
                cwd=workflow.folder,
                env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=heed_interrupts,
            )

    def wait_for_jobs(self, done=0):
        """Wait until jobs start, and that many of them are done."""
        while "Select jobs to execute" not in self.log.read_text() or self.done() < done:
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)

    def planned(self):
        return int(re.search(r"^total +(\d+)$", self.log.read_text(), re.MULTILINE)[1])

    def done(self):
        return max(map(int, re.findall(r"(\d+) of \d+ steps", self.log.read_text())), default=0)

    def stop(self, name):
        """Send a signal, SIGTERM to snakemake alone, others to its jobs, too; wait for the end."""
        send = os.kill if name == "TERM" else os.killpg
        send(self.process.pid, getattr(signal, f"SIG{name}"))
        self.process.wait(3600)
        while self.members():
            time.sleep(0.05)
        return self.log.read_text()

    def members(self):
        """Return the processes of its session that still run."""
        command = ["pgrep", "--session", str(self.process.pid)]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    workflow = Workflow(tmp_path_factory.mktemp("undisturbed"), TINY)
    started = Started(workflow)
    started.wait_for_jobs()
    begin = time.monotonic()
    assert started.process.wait() == 0, started.log.read_text()
    return workflow, (time.monotonic() - begin) / started.planned()


def artifacts(workflow):
    """Return the bytes of all results but logs and benchmarks."""
    results = workflow.folder / "results"
    return {
        str(file.relative_to(results)): file.read_bytes()
        for file in results.rglob("*")
        if file.is_file() and file.suffix not in (".log", ".tsv")
    }


@pytest.mark.parametrize("trial", TRIALS)
def test_a_run_that_is_stopped_goes_on_and_ends_the_same(undisturbed, tmp_path, trial):
    """Nor does a second run beside the last one, which is refused, change anything.

    A stop comes up to half a job's length after a random number of jobs, which leaves at least two.
    """
    (finished, seconds), rng = undisturbed, random.Random(f"{trial} {STOPS}")  # noqa: S311
    workflow, stopped = Workflow(tmp_path, TINY), []
    for left, name in zip(range(len(STOPS), 0, -1), STOPS, strict=True):
        started = Started(workflow)
        started.wait_for_jobs()
        done = rng.randrange(max(1, started.planned() // left - 1))
        started.wait_for_jobs(done)
        moment = rng.uniform(0, seconds / 2)
        time.sleep(moment)
        text = started.stop(name)
        stopped.append((name, done, round(moment, 2), started.process.returncode))
        assert started.process.returncode != 0, (stopped, text)
        if name == "KILL":
            workflow.run("--unlock")
    (workflow.folder / SUMMARY).unlink(missing_ok=True)  # something to do for the last run
    last = Started(workflow)
    last.wait_for_jobs()
    os.kill(last.process.pid, signal.SIGSTOP)  # so that it cannot end before the second has begun
    beside = workflow.call(SUMMARY, "--cores", "1")
    os.kill(last.process.pid, signal.SIGCONT)
    assert beside.returncode != 0
    assert "Directory cannot be locked" in beside.stdout + beside.stderr
    assert "Traceback" not in beside.stdout + beside.stderr
    assert last.process.wait() == 0, last.log.read_text()
    print(f"trial {trial}, {seconds:.1f} s a job: {stopped}")
    assert artifacts(workflow) == artifacts(finished), stopped


RUN = "digits01/one_pixel/decoupled/train-1-test-0.4/class_mean/seed-0"
MODELS = "digits01/one_pixel/models/gaussian-sigma-1.0/class_mean/seed-0"
CERTIFIED = f"{RUN}/majority-0.3-per_input-n2"
NETWORK = "digits01/one_pixel/undefended/tiny"
READERS = {  # script: what it reads, what it makes
    "collect_votes": (
        {
            "data": "digits01/data.npz",
            "triggered": "digits01/one_pixel/triggered.npz",
            "models": f"{MODELS}/chunk-1-1.safetensors",
        },
        {"votes": f"{RUN}/votes/chunk-1-1.parquet"},
    ),
    "certify_votes": (
        {
            "data": "digits01/data.npz",
            "sources": "digits01/sources.parquet",
            "poisoned": "digits01/one_pixel/poisoned.npz",
            "triggered": "digits01/one_pixel/triggered.npz",
            "votes": [f"{RUN}/votes/chunk-0-0.parquet", f"{RUN}/votes/chunk-1-1.parquet"],
        },
        {
            "certificates": f"{CERTIFIED}/certificates.parquet",
            "faults": f"{CERTIFIED}/faults.parquet",
            "predictions": f"{CERTIFIED}/predictions.parquet",
            "spreadsheet": f"{CERTIFIED}/predictions.csv",
        },
    ),
    "make_summary": (
        {
            "certificates": [f"{CERTIFIED}/certificates.parquet"],
            "undefended": [f"{NETWORK}/undefended.parquet"],
            "faults": [f"{CERTIFIED}/faults.parquet"],
        },
        {
            "sums": "provenance.json",
            "summary": "summary.csv",
            "curves": "curves.csv",
            "models": "models.csv",
        },
    ),
    "plot_attack_success": (
        {"sums": "provenance.json", "summary": "summary.csv"},
        {"figures": "attack_success.svg"},
    ),
}


class Files(dict):
    """Named files of a job: by name, as attributes, and one after the other."""

    __getattr__ = dict.__getitem__

    def __iter__(self):
        return iter(self.values())


def run_stage(results, made, script, intact=None):
    """Run a stage in this process, with the parameters that the provenance of its result holds."""
    reads, makes = READERS[script]
    first = (intact or results) / next(iter(makes.values()))
    if script == "plot_attack_success":
        looks = {"colours": {"decoupled": {"majority": "#009e73"}}, "frozen": []}
        settings = {"datasets": ["digits01"], "looks": looks}
        origin = {"settings": settings, "code": "", "inputs": {}}
    elif first.suffix == ".json":
        origin = json.loads(first.read_text())
    else:
        origin = io.read_provenance(first)
    place = {name: results / file for name, file in reads.items() if isinstance(file, str)}
    place |= {
        name: [results / file for file in files]
        for name, files in reads.items()
        if not isinstance(files, str)
    }
    made.mkdir(parents=True)
    importlib.import_module(script).main(
        SimpleNamespace(
            input=Files(place),
            output=Files(
                {
                    name: [made / Path(file).name] if name == "figures" else made / Path(file).name
                    for name, file in makes.items()
                }
            ),
            params=Files(
                {key: origin[key] for key in ("settings", "code", "inputs")} | {"note": ""}
            ),
            resources=SimpleNamespace(device="cpu", pretrained="", replace=0, figures=""),
            log=[made.parent / "log"],
        )
    )


def read_files(script):
    return [file for files in READERS[script][0].values()
            for file in ([files] if isinstance(files, str) else files)]  # fmt: skip


def test_a_job_that_loads_code_without_a_fingerprint_is_stopped(tmp_path):
    workflow = Workflow(tmp_path)
    used = workflow.folder / "workflow" / "scripts" / "certbd" / "plan" / "used.py"
    used.write_text(used.read_text().replace('"poison": (attack,),', '"poison": (),'))
    done = workflow.call("results/digits01/one_pixel/poisoned.npz", "--cores", "1")
    assert done.returncode != 0
    told = "make_poison.py: module certbd.attacks.kinds.one_pixel was loaded, but is not among"
    assert told in done.stdout + done.stderr
    assert not (workflow.folder / "results/digits01/one_pixel/poisoned.npz").exists()


def test_stages_make_the_same_again(undisturbed, tmp_path, monkeypatch):
    monkeypatch.setattr(io, "_commit", lambda: "unknown")  # as in the copy that ran
    results = undisturbed[0].folder / "results"
    for script, (_, makes) in READERS.items():
        run_stage(results, tmp_path / script / "made", script)
        for file in makes.values() if script != "plot_attack_success" else ():
            made = tmp_path / script / "made" / Path(file).name
            assert made.read_bytes() == (results / file).read_bytes(), file


@pytest.mark.parametrize("number", range(32))
def test_damage_is_named_and_nothing_is_made_of_it(undisturbed, tmp_path, number):
    rng = random.Random(number)  # noqa: S311
    intact = undisturbed[0].folder / "results"
    shutil.copytree(intact, tmp_path / "results")
    every = [(script, file) for script in READERS for file in read_files(script)]
    script, name = every[number % len(every)]
    damaged = tmp_path / "results" / name
    content = bytearray(damaged.read_bytes())
    at = rng.randrange(len(content))
    if number % 3:
        content[at] ^= 1 << rng.randrange(8)
    damaged.write_bytes(content if number % 3 else content[:at])
    with pytest.raises(SystemExit, match=f"error: {damaged}: damaged"):
        run_stage(tmp_path / "results", tmp_path / "job" / "made", script, intact)
    assert not list((tmp_path / "job" / "made").iterdir())


VOTES = {"sample": range(2), "label": [0, 1], "vote": [[0] * 40, [1] * 40]}
EXTERNAL = {
    "experiments": [
        {
            "kind": "external",
            "dataset": "elsewhere",
            "votes": "votes.parquet",
            "n_classes": 2,
            "n_models": 40,
            "sigma_test": 0.5,
        }
    ]
}
MOUNT = {
    "full": ("mount -t tmpfs -o size=12k certbd results", "mount -o remount,size=10m results"),
    "read-only": (
        "mount --bind results results && mount -o remount,ro,bind results",
        "mount -o remount,rw,bind results",
    ),
}


@pytest.mark.parametrize(
    ("trouble", "named"),
    [("full", "No space left on device"), ("read-only", "Read-only file system")],
)
def test_where_nothing_can_be_written_a_run_stops_and_goes_on_later(tmp_path, trouble, named):
    """The folder is mounted in a namespace that ends with the run; Linux only."""
    if subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("no user namespaces here: full and read-only disks are not tested")
    (tmp_path / "data").mkdir()
    pd.DataFrame(VOTES).to_parquet(tmp_path / "data" / "votes.parquet")
    Workflow(tmp_path, EXTERNAL)
    run = f"{sys.executable} -m snakemake {SUMMARY} --cores 1 --configfile test.yaml"
    before, after = MOUNT[trouble]
    script = f"{before} && ! {run} && echo AND NOW && {after} && {run} && cat {SUMMARY}"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout + done.stderr
    assert named in text
    assert "Traceback" not in text
    assert "elsewhere,none,external" in done.stdout.split("AND NOW")[1]
