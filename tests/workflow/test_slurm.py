"""A real SLURM on this machine: the smallest run through sbatch, one job of it cancelled."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from conftest import Workflow

SMALL = {
    "chunk_size": 10,
    "undefended": "tiny",
    "learners": {
        "tiny": {"kind": "mlp", "hidden": 8, "epochs": 2, "batch_size": 64, "learning_rate": 0.01}
    },
    "experiments": [
        {
            "dataset": "digits01",
            "attacks": ["one_pixel"],
            "defense": "decoupled",
            "noises": ["train-1-test-0.4"],
            "learner": "class_mean",
            "n_models": 20,
            "certify": {"alpha": 0.05},
        }
    ],
}
SLURM_CONF = """
ClusterName=loopback
SlurmctldHost=localhost(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge/socket
SlurmctldPort={controller_port}
SlurmdPort={daemon_port}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=3600
KillWait=5
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 RealMemory=16000 State=UNKNOWN
PartitionName=all Nodes=localhost Default=YES State=UP
"""
CHUNK = "rule_chunk_collect_votes_train_models"
NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel")


class Slurm:
    """One controller and one node, everything in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: list[subprocess.Popen[bytes]] = []
        for name in ("munge", "state", "spool", "bin"):
            (folder / name).mkdir(mode=0o700)
        key = folder / "munge" / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        controller_port, daemon_port = free_ports(2)
        (folder / "slurm.conf").write_text(
            SLURM_CONF.format(
                folder=folder,
                user=getpass.getuser(),
                controller_port=controller_port,
                daemon_port=daemon_port,
            )
        )
        # The plugin takes SLURM_CONF from the srun inside a job; clusters have it in /etc.
        srun = folder / "bin" / "srun"
        srun.write_text(
            f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n'
        )
        srun.chmod(0o700)
        self.environment = {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        }

    def start(self) -> None:
        munge = self.folder / "munge"
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
        # --force: no other user needs to reach the socket.
        options = [f"--{option}={munge / name}" for option, name in files.items()]
        self.serve("munged", "--foreground", "--force", *options)
        wait_for((munge / "socket").exists, 30)
        self.serve("slurmctld", "-D", "-c")
        self.serve("slurmd", "-D", "-c")
        wait_for(lambda: self.query("sinfo", "-h", "-o", "%T").strip() == "idle", 60)

    def stop(self) -> None:
        self.query("scancel", "--me")
        while self.daemons:
            daemon = self.daemons.pop()
            daemon.terminate()
            daemon.wait(60)

    def serve(self, name: str, *options: str) -> None:
        with (self.folder / f"{name}.log").open("w") as log:
            self.daemons.append(subprocess.Popen([name, *options], stdout=log, stderr=log))

    def query(self, *command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def jobs(self) -> dict[str, tuple[str, str]]:
        """State and comment (what it makes) of each job, finished ones too."""
        rows = self.query("squeue", "-h", "-t", "all", "-o", "%i %T %k").splitlines()
        return {row[0]: (row[1], row[2]) for row in map(str.split, rows)}


def free_ports(number):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s"
        time.sleep(0.2)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        reason = f"no SLURM here ({', '.join(missing)} missing): apt-get install slurm-wlm munge"
        if "CERTBD_REQUIRE_SLURM" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    (tmp_path / "slurm").mkdir()
    cluster = Slurm(tmp_path / "slurm")
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def edit_profile(workflow):
    """What docs/cluster.md tells a user to edit, for one partition and no GPU."""
    path = workflow.folder / "profiles" / "slurm" / "config.yaml"
    profile = yaml.safe_load(path.read_text())
    profile["default-resources"]["slurm_partition"] = "'all'"
    for resources in profile["set-resources"].values():
        del resources["slurm_partition"]
    # Fewer jobs: each starts Snakemake twice.
    profile["groups"] |= {"make_dataset": "prepare", "make_poison": "prepare"}
    profile["groups"] |= {"certify_votes": "finish", "make_summary": "finish"}
    path.write_text(yaml.safe_dump(profile))


def results(workflow):
    """The content of every file that is the same in two equal runs."""
    folder = workflow.folder / "results"
    files = [file for file in folder.rglob("*") if file.is_file()]
    kept = [file for file in files if file.suffix not in (".log", ".tsv")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in kept}


def cancel_a_chunk(slurm):
    """Cancel the first job that trains models, while it runs; return its number."""

    def running():
        return [n for n, job in slurm.jobs().items() if job == ("RUNNING", CHUNK)]

    wait_for(running, 300)
    number = running()[0]
    slurm.query("scancel", number)
    return number


def test_a_run_through_sbatch_with_a_job_cancelled_equals_the_local_run(slurm, tmp_path):
    local = Workflow(tmp_path / "local", SMALL)
    local.run("results/summary.csv", "--cores", "2")
    remote = Workflow(tmp_path / "remote", SMALL)
    edit_profile(remote)

    with ThreadPoolExecutor() as pool:
        cancelled = pool.submit(cancel_a_chunk, slurm)
        remote.run(
            "results/summary.csv", "--profile", "profiles/slurm", "--config", "device=cpu",
            "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "4",
        )  # fmt: skip
    jobs = slurm.jobs()
    assert jobs.pop(cancelled.result()) == ("CANCELLED", CHUNK)
    assert [state for state, _ in jobs.values()] == ["COMPLETED"] * 5
    assert sorted(what for _, what in jobs.values()) == [
        CHUNK,
        CHUNK,
        "rule_finish_certify_votes_make_summary",
        "rule_prepare_make_dataset_make_poison",
        "rule_train_undefended_wildcards_digits01_one_pixel_tiny",
    ]
    assert results(remote) == results(local)


def test_any_command_that_takes_a_script_serves(slurm, tmp_path):
    target = "results/digits01/one_pixel/poisoned.npz"
    local = Workflow(tmp_path / "local", SMALL)
    local.run(target, "--cores", "1")
    remote = Workflow(tmp_path / "remote", SMALL)
    remote.run(
        target, "--profile", "profiles/generic", "--config", "device=cpu",
        "--groups", "make_dataset=prepare", "make_poison=prepare",
    )  # fmt: skip
    assert [state for state, _ in slurm.jobs().values()] == ["COMPLETED"]
    assert results(remote) == results(local)
