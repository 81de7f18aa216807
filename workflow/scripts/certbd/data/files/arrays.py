"""npz files of arrays, as inputs in [0, 1]."""

import math
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certbd.artifacts.io import DataError, check_room
from certbd.data.files.scaling import to_unit

NO_NPZ = (zipfile.BadZipFile, NotImplementedError, RuntimeError, tokenize.TokenError)
"""What reading a damaged npz file raises, or one that is compressed or encrypted in another way."""


def read_array(path: Path, name: str) -> NDArray[Any]:
    """Read one array of an npz file, in this machine's order of bytes.

    Raises
    ------
    DataError
        If the file is no npz file, or the array is not there, damaged or holds Python objects
        or records.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            array = stored[name]
    except (OSError, KeyError, ValueError, EOFError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: array {name} cannot be read: {error}") from error
    except (zlib.error, *NO_NPZ) as error:
        raise DataError(f"{path}: not a readable npz file: {error}") from error
    if array.dtype.kind == "V":
        raise DataError(f"{path}: array {name} of records, {array.dtype}; allowed: numbers or text")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def array_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of an npz file's arrays without reading these.

    Raises
    ------
    DataError
        If it is no npz file.
    """
    shapes = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                with archive.open(member) as file:
                    version = np.lib.format.read_magic(file)
                    read = np.lib.format.read_array_header_1_0
                    if version != (1, 0):
                        read = np.lib.format.read_array_header_2_0
                    shape, _, dtype = read(file)
                    if math.prod(shape) * dtype.itemsize > archive.getinfo(member).file_size:
                        raise DataError(f"array {member} is shorter than its header says")
                    shapes[member.removesuffix(".npy")] = shape
            unfolded = sum(member.file_size for member in archive.infolist())
    except (OSError, ValueError, EOFError, zlib.error, *NO_NPZ) as error:
        raise DataError(f"{path}: not a readable npz file: {error}") from error
    check_room(path, unfolded, path.stat().st_size)
    return shapes


def scale_array(
    inputs: NDArray[Any], ranges: Sequence[float] | None, where: str
) -> NDArray[np.float32]:
    """Check inputs (n, features) or (n, channels, height, width) and scale them to [0, 1].

    Raises
    ------
    DataError
        If they are no numbers, or one lies outside its range.
    """
    if inputs.dtype.kind not in "biuf":
        raise DataError(f"{where}: values of type {inputs.dtype}; allowed: numbers")
    if inputs.dtype.kind == "b" or ranges:
        inputs = inputs.astype(np.float64)
    scaled = to_unit(inputs, ranges, f"{where}, row", inputs)
    return scaled.astype(np.float32)
