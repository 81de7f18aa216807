"""Damage to any byte of a file is found, and a killed writer leaves nothing half-written."""

import json
import os
import random
import signal
import time

import numpy as np
import pandas as pd
import pytest

from certbd.artifacts import io, products, schemas, seals

ORIGIN = io.provenance({"noise": 0.5, "models": [0, 3]}, "0123456789abcdef", {"data": "ab"})
KNOWN = ORIGIN["identity"]
FIGURE = "<svg>\n<text>certified</text>\n</svg>\n"
N_DAMAGES = 36


def write_all(folder, size=40):
    """Write a file of each kind."""
    drawn = np.random.default_rng(0)
    inputs = drawn.random((size, 4), np.float32)
    labels = np.arange(size)
    io.write_arrays(folder / "poisoned.npz", io.PoisonedSet(inputs, labels, labels[:2]), ORIGIN)
    table = pd.DataFrame({"split": "benign", "sample": labels, "sigma": inputs[:, 0]})
    table = table.assign(start=0.5, radius=1.0)
    io.write_table(folder / "sigma.parquet", table, schemas.SIGMA, ORIGIN)
    io.write_models(folder / "chunk.safetensors", {"v": inputs, "w": inputs[:1]}, ORIGIN)
    products.write_csv(folder / "summary.csv", table)
    products.write_sums(folder / "provenance.json", [folder / "summary.csv"], ORIGIN)
    (folder / "figure.svg").write_text(FIGURE)
    products.sign_figure(folder / "figure.svg", ORIGIN)


READ = {
    "poisoned.npz": lambda file: io.read_arrays(file, io.PoisonedSet, KNOWN),
    "sigma.parquet": lambda file: io.read_table(file, schemas.SIGMA, KNOWN),
    "chunk.safetensors": lambda file: io.read_models(file, KNOWN),
    "summary.csv": lambda file: products.check_sums(file.with_name("provenance.json")),
    "provenance.json": products.check_sums,
    "figure.svg": io.check_seal,
}


@pytest.fixture
def files(tmp_path):
    write_all(tmp_path)
    return tmp_path


def damage(content, rng):
    """Flip a bit, or cut, insert, repeat or blank some bytes."""
    at, length = rng.randrange(len(content)), rng.randrange(1, 20)
    before, after = content[:at], content[at:]
    damaged = rng.choice(
        [
            before + bytes([after[0] ^ (1 << rng.randrange(8))]) + after[1:],
            before,
            before + after[length:],
            before + rng.randbytes(length) + after,
            before + after[:length] + after,
            before + b"\0" * len(after[:length]) + after[length:],
        ]
    )
    return damaged if damaged != content else before


@pytest.mark.parametrize("number", range(N_DAMAGES))
def test_random_damage_is_found_and_named(files, number):
    rng = random.Random(number)  # noqa: S311
    name = sorted(READ)[number % len(READ)]
    READ[name](files / name)
    (files / name).write_bytes(damage((files / name).read_bytes(), rng))
    with pytest.raises(io.DataError, match=f"{name}: damaged"):
        READ[name](files / name)


@pytest.mark.parametrize("name", sorted(set(READ) - {"summary.csv"}))
def test_any_flipped_byte_and_any_cut_is_found(files, name):
    content = (files / name).read_bytes()
    assert seals.is_intact(files / name)
    for at in range(0, len(content), 3):
        flipped = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        for damaged in (flipped, content[:at]):
            (files / name).write_bytes(damaged)
            assert not seals.is_intact(files / name), at


def test_a_missing_table_is_named(files):
    (files / "summary.csv").unlink()
    with pytest.raises(io.DataError, match=r"summary\.csv: cannot be read: No such file"):
        products.check_sums(files / "provenance.json")


@pytest.mark.parametrize("name", ["poisoned.npz", "sigma.parquet", "chunk.safetensors"])
def test_what_is_made_from_other_things_is_refused(files, name):
    other = io.provenance({"noise": 0.7}, "0123456789abcdef", {"data": "ab"})["identity"]
    with pytest.raises(io.DataError, match=rf"{name}: stale or mixed in: .*, not {other}; .*0\.5"):
        io.check(files / name, other)


def test_identities_differ_with_everything_but_the_chunk():
    known = {"noise": 0.5, "models": [0, 3]}
    same = seals.identity(known | {"models": [3, 6]}, "code", {"data": "ab"})
    assert same == seals.identity(known, "code", {"data": "ab"})
    others = [
        seals.identity({"noise": 0.5, "seed": 1}, "code", {"data": "ab"}),
        seals.identity(known, "other", {"data": "ab"}),
        seals.identity(known, "code", {"data": "cd"}),
    ]
    assert len({same, *others}) == 4


def test_figures_stay_figures(files):
    text = (files / "figure.svg").read_text()
    assert text.startswith("<svg>\n<text>certified</text>\n<metadata>")
    assert json.loads(text.split("<metadata>")[1].split("</metadata>")[0])["code"] == ORIGIN["code"]
    assert text.endswith("</metadata>\n</svg>\n")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_writer_killed_at_any_moment_leaves_whole_files(tmp_path):
    (tmp_path / "whole").mkdir()
    write_all(tmp_path / "whole")
    folder, rng, kills = tmp_path / "killed", random.Random(0), 0  # noqa: S311
    folder.mkdir()
    while kills < 30:
        writer = os.fork()
        if not writer:
            while True:
                write_all(folder)
        time.sleep(rng.uniform(0, 0.05))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        kills += 1
        for name in set(READ) - {"figure.svg", "summary.csv", "provenance.json"}:
            if (folder / name).exists():
                assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    write_all(folder)
    assert {file.name for file in folder.iterdir()} == set(READ), "leftovers of killed writers"


def test_what_cannot_be_written_is_named(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(io.DataError, match=r"poisoned\.npz: cannot be written: .*No space left"):
        write_all(tmp_path)
    assert not list(tmp_path.iterdir())
