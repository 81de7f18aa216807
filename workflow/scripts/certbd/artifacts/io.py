"""Files between the stages: written whole or not at all, with their provenance and a seal inside.

Provenance holds the settings, the code fingerprint, the identities of the inputs, package versions
and the commit, and nothing that differs between two equal runs: no time, host, path or thread
count. How a file is sealed and what an identity is: `seals`.
"""

import glob
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from certbd.artifacts import seals

KEY = "provenance"
Arrays = TypeVar("Arrays", bound=tuple[Any, ...])
PACKAGES = ("numpy", "pandas", "pyarrow", "scipy", "torch")
UNREADABLE = (OSError, KeyError, ValueError, EOFError, TypeError, zipfile.BadZipFile)
"""What reading a file that is not as it should be raises."""
NEVER_A_BOMB, MOST_UNFOLDED = 2**30, 200


class DataError(ValueError):
    """A file or a value in it that cannot be used; the message names both."""


class DataSplits(NamedTuple):
    """A dataset: inputs float32 in [0, 1] (n, channels, height, width) or (n, features)."""

    train_inputs: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_inputs: NDArray[np.float32]
    test_labels: NDArray[np.int64]
    class_names: NDArray[np.str_]


class PoisonedSet(NamedTuple):
    """A training set as the defender gets it, and the indices of the rows that were poisoned."""

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]


class NewInputs(NamedTuple):
    """Inputs (n, ...) without labels, in the form of a dataset's."""

    inputs: NDArray[np.float32]


class TriggeredInputs(NamedTuple):
    """Every test input with the trigger on it, in test order; none without an attack."""

    inputs: NDArray[np.float32]
    true_labels: NDArray[np.int64]


def provenance(settings: Mapping[str, Any], code: str, inputs: Mapping[str, str]) -> dict[str, Any]:
    """Describe what an artifact was made from.

    Parameters
    ----------
    settings : mapping
        The settings that its stage uses, seeds among them.
    code : str
        The fingerprint of its script (`fingerprint.fingerprint`).
    inputs : mapping
        The identities of the artifacts that its stage reads (`seals.identity`).
    """
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):  # stages after votes need no torch
            versions[name] = importlib.metadata.version(name)
    return {
        "identity": seals.identity(settings, code, inputs),
        "settings": dict(settings),
        "code": code,
        "inputs": dict(inputs),
        "versions": versions,
        "commit": _commit(),
    }


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def check_room(place: str | Path, n_bytes: int, stored: int) -> None:
    """Refuse what unfolds to far more bytes than are stored: a decompression bomb.

    Raises
    ------
    DataError
        If it is more than `NEVER_A_BOMB` and more than `MOST_UNFOLDED` times the bytes stored.
    """
    if n_bytes > max(NEVER_A_BOMB, MOST_UNFOLDED * stored):
        raise DataError(
            f"{place}: {stored} bytes that unfold to {n_bytes}; allowed: {MOST_UNFOLDED} times as "
            f"much, or {NEVER_A_BOMB}"
        )


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` if nothing is raised.

    It is alone in a temporary folder beside `path`, for libraries write temporary files of their
    own. What a killed job left of the same file is removed first.

    Raises
    ------
    DataError
        If the file cannot be written: a full disk, a folder without write permission.
    """
    path = Path(path)
    folder = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary = folder / path.name
    try:
        for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
            shutil.rmtree(left)
        folder.mkdir()
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: cannot be written: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def sealed(path: str | Path) -> Iterator[Path]:
    """Do as `atomic`, and seal the file before it becomes `path`."""
    with atomic(path) as temporary:
        yield temporary
        seals.seal(temporary)


def footer(origin: Mapping[str, Any]) -> str:
    """Return provenance as text with a place for the seal."""
    return json.dumps({**origin, "seal": seals.OPEN}, sort_keys=True)


def check_seal(path: str | Path) -> None:
    """Refuse a file of which a byte is not as it was written.

    Raises
    ------
    DataError
        If it cannot be read, has no seal, or one that does not fit.
    """
    try:
        intact = seals.is_intact(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not intact:
        what = "it has no checksum" if intact is None else "its bytes do not fit its checksum"
        raise DataError(f"{path}: damaged: {what}; remove it and run again")


def check_sum(path: str | Path, expected: str, otherwise: str) -> None:
    """Refuse a file that has another SHA-256, with a message that says `otherwise`."""
    try:
        found = seals.file_sum(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if found != expected:
        raise DataError(f"{path}: {otherwise}; its sha256 is {found}, not {expected}")


def check(path: str | Path, identity: str) -> None:
    """Refuse an artifact that is damaged, or made from other things than this run needs.

    Raises
    ------
    DataError
        As `check_seal`, or if the provenance holds another identity.
    """
    check_seal(path)
    origin = read_provenance(path)
    if origin["identity"] != identity:
        raise DataError(
            f"{path}: stale or mixed in: its identity is {origin['identity']}, not {identity}; it "
            f"was made by code {origin['code']} from {origin['settings']} and inputs "
            f"{origin['inputs']}; remove it and run again"
        )


def read_provenance(path: str | Path) -> dict[str, Any]:
    """Return the provenance in the footer of an npz, Parquet or safetensors file."""
    suffix = Path(path).suffix
    try:
        if suffix == ".npz":
            with np.load(path, allow_pickle=False) as stored:
                return json.loads(str(stored[KEY]))
        if suffix == ".parquet":
            return json.loads(pq.read_schema(path).metadata[KEY.encode()])
        with safe_open(path, "numpy") as stored:
            return json.loads(stored.metadata()[KEY])
    except (*UNREADABLE, SafetensorError, pa.ArrowException) as error:
        raise DataError(f"{path}: its provenance cannot be read: {error}") from error


def write_arrays(path: str | Path, arrays: NamedTuple, origin: Mapping[str, Any]) -> None:
    """Write the fields of a named tuple of arrays as ``.npz``."""
    fields = {**arrays._asdict(), KEY: np.array(json.dumps(origin, sort_keys=True))}
    with sealed(path) as temporary:
        with temporary.open("wb") as file:
            np.savez(file, **fields)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.comment = seals.OPEN.encode()


def read_arrays(path: str | Path, kind: type[Arrays], identity: str) -> Arrays:
    """Read what `write_arrays` wrote, as the named tuple `kind`, after a `check`."""
    check(path, identity)
    try:
        with np.load(path, allow_pickle=False) as stored:
            return kind(*(stored[name] for name in kind._fields))  # type: ignore[attr-defined]
    except UNREADABLE as error:
        raise DataError(f"{path}: not a readable {kind.__name__} file: {error}") from error


def write_models(
    path: str | Path, models: Mapping[str, NDArray[Any]], origin: Mapping[str, Any]
) -> None:
    """Write the parameters of a chunk of models, stacked on their first axis, as safetensors."""
    with sealed(path) as temporary:
        save_file(dict(models), temporary, metadata={KEY: footer(origin)})


def read_models(path: str | Path, identity: str | None) -> dict[str, NDArray[Any]]:
    """Read the stacked parameters of a chunk of models.

    Parameters
    ----------
    identity : str or None
        What `check` is to find; None for a file from elsewhere, without a seal.
    """
    if identity is not None:
        check(path, identity)
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: not a readable safetensors file: {error}") from error


def write_table(
    path: str | Path, table: pd.DataFrame, schema: pa.Schema, origin: Mapping[str, Any]
) -> None:
    """Write a table with this schema as Parquet."""
    schema = schema.with_metadata({KEY: json.dumps(origin, sort_keys=True)})
    rows = pa.Table.from_pandas(table, schema=schema, preserve_index=False)
    with sealed(path) as temporary, pq.ParquetWriter(temporary, rows.schema) as writer:
        writer.write_table(rows)
        writer.add_key_value_metadata({"seal": seals.OPEN})


def read_table(path: str | Path, schema: pa.Schema, identity: str | None) -> pd.DataFrame:
    """Read the columns of a schema from a Parquet file.

    Parameters
    ----------
    identity : str or None
        What `check` is to find; None for a file from elsewhere, without a seal.
    """
    if identity is not None:
        check(path, identity)
    try:
        return pq.read_table(path, columns=schema.names).cast(schema).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path}: not a Parquet file with columns {schema.names}: {error}"
        ) from error
