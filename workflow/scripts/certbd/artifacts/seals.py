"""Seals, which show that a file's bytes are as they were written, and identities of what it holds.

A seal is the SHA-256 of the whole file, in the file itself: in the zip comment of an npz file, in
the provenance of a Parquet, safetensors, SVG or JSON file. It is taken with its own 64 digits as
zeros. It shows damage, not forgery: whoever can write the file can seal it again.
"""

import hashlib
import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MARK = "certbd-sha256:"
BLANK = "0" * 64
OPEN = MARK + BLANK
"""What a file that is to be sealed holds once."""
REACH = 2**20
"""Bytes from either end of a file in which its seal is."""


def seal(path: str | Path) -> None:
    """Write the seal into a file that holds `OPEN`.

    Raises
    ------
    ValueError
        If it does not hold it, within `REACH` of its beginning or end.
    """
    with Path(path).open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        at = _find(content, OPEN)
        if at is None:
            raise ValueError(f"{path}: no place for a seal")
        content[at : at + len(BLANK)] = _digest(content, at)


def is_intact(path: str | Path) -> bool | None:
    """Return whether a file is as it was sealed; None if it has no seal.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with Path(path).open("rb") as file:
        if not file.seek(0, 2):
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            at = _find(content, MARK)
            return None if at is None else content[at : at + len(BLANK)] == _digest(content, at)


def file_sum(path: str | Path) -> str:
    """Return the SHA-256 of a file, as sha256sum prints it."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identity(settings: Mapping[str, Any], code: str, inputs: Mapping[str, Any]) -> str:
    """Name what is made from these settings and inputs by this code.

    Two artifacts of one identity hold the same, whenever and wherever they were made; the chunks of
    an ensemble, which differ in the setting `models` alone, share one.

    Parameters
    ----------
    settings, code, inputs
        As `io.provenance` takes them.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    shared = {key: value for key, value in settings.items() if key != "models"}
    text = json.dumps([shared, code, dict(inputs)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _find(content: mmap.mmap, mark: str) -> int | None:
    """Return where the digits after a mark begin."""
    at = content.rfind(mark.encode(), max(len(content) - REACH, 0))
    if at < 0:
        at = content.find(mark.encode(), 0, REACH)
    return None if at < 0 else at + len(MARK)


def _digest(content: mmap.mmap, at: int) -> bytes:
    digest = hashlib.sha256()
    with memoryview(content) as whole, whole[:at] as before, whole[at + len(BLANK) :] as after:
        digest.update(before)
        digest.update(BLANK.encode())
        digest.update(after)
    return digest.hexdigest().encode()
