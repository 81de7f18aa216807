"""Dry runs of large studies, and many synthetic votes certified; time and peak memory of each.

The dry run sees labels, not inputs, so that three choices of the embedded digits stand for three
datasets. Votes lie in Parquet files of 1000 models on 1000 inputs, as `collect_votes` writes them,
and are counted and certified by the functions that the stage certify uses.
Usage: python benchmarks/scale.py [dry-run | votes] [--votes 100000000]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent.parent / "workflow" / "scripts"))
from certbd.artifacts import io, schemas
from certbd.certify import certify
from certbd.certify.tally import count_votes
from certbd.config.axes import Certification
from certbd.training.gaussian.guarantee import GaussianTraining

ROOT = Path(__file__).parent.parent
DATASETS = {"digits01": [0, 1], "digits17": [1, 7], "digits": list(range(10))}
ATTACKS = ("one_pixel", "four_pixel", "blending")
LEVELS = (0.25, 0.5, 0.75, 1.0)
DEFENCES = {"rab": "sigma", "cert_ssb": "sigma", "decoupled": "pair"}
STUDIES = ((108, 1000, 100), (1, 100_000, 1000), (108, 100_000, 10_000))
"""Settings, models of each, and models in a chunk."""
SPLITS = {schemas.BENIGN: 500, schemas.TRIGGERED: 500}
CHUNK, CLASSES = 1000, 10


def study(n_settings: int, n_models: int, chunk_size: int) -> dict[str, Any]:
    """Return a configuration of all settings, or of one."""
    every = slice(None) if n_settings > 1 else slice(1)
    noises = {f"sigma-{level}": {"sigma": level} for level in LEVELS}
    noises |= {f"pair-{level}": {"sigma_train": 1.0, "sigma_test": level} for level in LEVELS}
    experiments = [
        {
            "dataset": dataset,
            "attacks": ATTACKS[every],
            "defense": defence,
            "noises": [f"{noise}-{level}" for level in LEVELS[every]],
            "learner": "mlp32",
            "n_models": n_models,
        }
        for dataset in list(DATASETS)[every]
        for defence, noise in list(DEFENCES.items())[every]
    ]
    datasets = {name: {"kind": "digits", "classes": kept} for name, kept in DATASETS.items()}
    return {
        "chunk_size": chunk_size,
        "datasets": datasets,
        "noises": noises,
        "experiments": experiments,
    }


def dry_run(folder: Path, n_settings: int, n_models: int, chunk_size: int) -> None:
    """Print time and memory of `snakemake -n`."""
    shutil.copytree(ROOT / "config", folder / "config", dirs_exist_ok=True)
    (folder / "study.json").write_text(json.dumps(study(n_settings, n_models, chunk_size)))
    files = ["--snakefile", str(ROOT / "Snakefile"), "--configfile", "study.json"]
    command = [sys.executable, "-m", "snakemake", "-n", *files, "--quiet", "rules", "reason"]
    text, figures = measured(command, folder)
    jobs = dict(line.split() for line in text.splitlines() if len(line.split()) == 2)
    print(
        f"dry run, {n_settings} settings of {n_models} models in chunks of {chunk_size}: "
        f"{jobs['train_models']} of {jobs['total']} jobs train: {figures}"
    )


def measured(command: list[str], folder: Path) -> tuple[str, str]:
    """Run a command; return what it printed, and its time and peak memory in words."""
    start = time.perf_counter()
    with (folder / "output").open("w+") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)  # noqa: S603
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        output.seek(0)
        text = output.read()
    if status:
        sys.exit(text)
    processor = usage.ru_utime + usage.ru_stime
    return text, (
        f"{seconds:.1f} s ({processor:.1f} s of processor), peak {usage.ru_maxrss / 2**20:.2f} GiB"
    )


def write_votes(folder: Path, n_models: int) -> None:
    """Write votes: on input i, for class i % 10 with a probability that grows with i."""
    n_inputs = sum(SPLITS.values())
    favourite = np.arange(n_inputs) % CLASSES
    share = np.linspace(0.3, 1, n_inputs)
    split = pd.Categorical.from_codes(np.repeat([0, 1], list(SPLITS.values())), list(SPLITS))
    sample = np.concatenate([np.arange(size) for size in SPLITS.values()])
    for first in range(0, n_models, CHUNK):
        generator = np.random.default_rng(first)
        other = generator.integers(0, CLASSES, (CHUNK, n_inputs))
        agree = generator.random((CHUNK, n_inputs)) < share
        table = pd.DataFrame(
            {
                "model": np.repeat(np.arange(first, first + CHUNK), n_inputs),
                "split": pd.Categorical.from_codes(
                    np.tile(split.codes, CHUNK), list(split.categories)
                ),
                "sample": np.tile(sample, CHUNK),
                "vote": np.where(agree, favourite, other).ravel(),
            }
        )
        io.write_table(folder / f"chunk-{first}.parquet", table, schemas.VOTES, {})


def certify_files(folder: Path, n_models: int) -> None:
    """Count the votes of N models and certify every input; print the time it took."""
    files = [folder / f"chunk-{first}.parquet" for first in range(0, n_models, CHUNK)]
    start = time.perf_counter()
    tallies, _ = count_votes(files, SPLITS, n_models, CLASSES)
    splits = [
        certify.VotedSplit(name, None, np.arange(size) % CLASSES, tallies[name], np.full(size, 0.5))
        for name, size in SPLITS.items()
    ]
    certification = Certification(n_models, "majority", 0.001, "per_input")
    guarantee = GaussianTraining(np.float64(0.5), None, 13, 0.5)
    table = certify.certify_splits(
        splits, guarantee, certification, certify.Paper(True, False), np.random.default_rng(0)
    )
    seconds = time.perf_counter() - start
    print(f"{n_models * len(table) / seconds:,.0f} votes a second, {certify.describe(table)}")


def main() -> None:
    """Print what was measured, a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="?", choices=("dry-run", "votes", "certify"))
    parser.add_argument("--votes", type=int, default=10**8)
    parser.add_argument("--folder", type=Path, help="with certify: where the votes are")
    options = parser.parse_args()
    n_models = options.votes // sum(SPLITS.values())
    if options.part == "certify":
        certify_files(options.folder, n_models)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.part != "votes":
            for each in STUDIES:
                dry_run(folder, *each)
        if options.part != "dry-run":
            write_votes(folder, n_models)
            for n in (n_models // 10, n_models):
                votes = ["--votes", str(n * sum(SPLITS.values())), "--folder", name]
                text, figures = measured([sys.executable, __file__, "certify", *votes], folder)
                print(f"{n} models on {sum(SPLITS.values())} inputs: {text.strip()}: {figures}")


if __name__ == "__main__":
    main()
