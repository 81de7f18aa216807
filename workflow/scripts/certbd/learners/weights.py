"""Weights of a network from a safetensors file of others, as float32."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from certbd.artifacts.io import DataError

READ_AS_FLOAT32 = ("F64", "F32", "F16", "BF16")
"""Types of numbers that are read: float64 is rounded, the others fit in float32."""
PLANNED = "has changed since this run was planned; run again"
"""What a file has done whose SHA-256 is another."""


class WeightsFile(NamedTuple):
    """A file of weights that settings name: under which key, its name, and what it must hold."""

    key: str
    name: str
    holds: str


def read_weights(
    path: str, wanted: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[np.float32]]:
    """Read the tensors with these names and shapes.

    Raises
    ------
    DataError
        If the file cannot be read, has not every tensor in its shape, or stores one in a type that
        is not among `READ_AS_FLOAT32`.
    """
    try:
        with safe_open(path, "pt") as stored:  # numpy has no bfloat16
            names = set(stored.keys())
            return {
                name: _weight(path, name, stored.get_slice(name) if name in names else None, shape)
                for name, shape in wanted.items()
            }
    except (OSError, SafetensorError) as error:
        raise DataError(f"{path}: not a readable safetensors file: {error}") from error


def _weight(path: str, name: str, stored: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    found = "nothing" if stored is None else tuple(stored.get_shape())
    if found != shape:
        raise DataError(f"{path}: {name} must have shape {shape}; found {found}")
    kind = stored.get_dtype()
    if kind not in READ_AS_FLOAT32:
        raise DataError(
            f"{path}: {name} is stored as {kind}; allowed: {', '.join(READ_AS_FLOAT32)} (numbers "
            "of 8 bits and whole numbers need scales, which certbd does not read: store float32)"
        )
    return np.asarray(stored[...].float().numpy(), np.float32)
