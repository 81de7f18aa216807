"""Files between the stages: written whole or not at all, with their provenance inside.

Provenance holds the settings, the code fingerprint, package versions and the commit, and
nothing that differs between two equal runs: no time, host, path or thread count.
"""

import csv
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

KEY = "provenance"
Arrays = TypeVar("Arrays", bound=tuple[Any, ...])
PACKAGES = ("numpy", "pandas", "pyarrow", "scipy", "torch")


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


class TriggeredInputs(NamedTuple):
    """Every test input with the trigger on it, in test order; none without an attack."""

    inputs: NDArray[np.float32]
    true_labels: NDArray[np.int64]


def provenance(settings: Mapping[str, Any], code: str) -> dict[str, Any]:
    """Describe what an artifact was made from.

    Parameters
    ----------
    settings : mapping
        The slice of the configuration that its stage uses, seeds among it.
    code : str
        The fingerprint of its script (`fingerprint.fingerprint`).
    """
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):  # stages after votes need no torch
            versions[name] = importlib.metadata.version(name)
    return {"settings": dict(settings), "code": code, "versions": versions, "commit": _commit()}


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder that becomes `path` if nothing is raised."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_arrays(path: str | Path, arrays: NamedTuple, origin: Mapping[str, Any]) -> None:
    """Write the fields of a named tuple of arrays as ``.npz``."""
    fields = {**arrays._asdict(), KEY: np.array(json.dumps(origin, sort_keys=True))}
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **fields)


def read_arrays(path: str | Path, kind: type[Arrays]) -> Arrays:
    """Read what `write_arrays` wrote, as the named tuple `kind`."""
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return kind(*(stored[name] for name in kind._fields))  # type: ignore[attr-defined]
    except (OSError, KeyError, ValueError, EOFError, TypeError, BadZipFile) as error:
        raise DataError(f"{path}: not a readable {kind.__name__} file: {error}") from error


def write_models(
    path: str | Path, models: Mapping[str, NDArray[Any]], origin: Mapping[str, Any]
) -> None:
    """Write the parameters of a chunk of models, stacked on their first axis, as safetensors."""
    with atomic(path) as temporary:
        save_file(dict(models), temporary, metadata={KEY: json.dumps(origin, sort_keys=True)})


def read_models(path: str | Path) -> dict[str, NDArray[Any]]:
    """Read the stacked parameters of a chunk of models."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: not a readable safetensors file: {error}") from error


def write_table(
    path: str | Path, table: pd.DataFrame, schema: pa.Schema, origin: Mapping[str, Any]
) -> None:
    """Write a table with this schema as Parquet."""
    schema = schema.with_metadata({KEY: json.dumps(origin, sort_keys=True)})
    with atomic(path) as temporary:
        pq.write_table(pa.Table.from_pandas(table, schema=schema, preserve_index=False), temporary)


def read_table(path: str | Path, schema: pa.Schema) -> pd.DataFrame:
    """Read the columns of a schema from a Parquet file."""
    try:
        return pq.read_table(path, columns=schema.names).cast(schema).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path}: not a Parquet file with columns {schema.names}: {error}"
        ) from error


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as CSV; an empty cell is a number that does not exist."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL)
