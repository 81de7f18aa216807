"""Which rows are test inputs, and which of a side are used: a choice that no attacker moves.

The certificates that cover rows and labels compare two training sets that differ in some rows. So
what chooses rows may look at neither labels nor contents, or one relabelled row would draw others
in and out (``docs/theory.md``, section 1). Each row has a name: its position in the file, the value
of a column of identifiers, or its own file name without the class folder. A seeded hash of the name
decides: a test input below a threshold, and the smallest hashes for a subset.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certbd.artifacts.io import DataError

Rows = NDArray[np.int64]
SIDES = ("train", "test")
SPLIT_SEED = 1
TEST_SHARE = 4
"""About one in four rows is a test input, where training and test come together."""


def hashes(names: Sequence[str], purpose: str, seed: int) -> NDArray[np.uint64]:
    """Return for each name a number that is uniform over 64 bits and depends on nothing else."""
    salt = f"{purpose} {seed} ".encode()
    digests = [hashlib.blake2b(salt + name.encode(), digest_size=8).digest() for name in names]
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)


def split_rows(names: Sequence[str]) -> tuple[Rows, Rows]:
    """Return the training rows and the test rows, each in ascending order."""
    test = hashes(names, "split", SPLIT_SEED) < 2**64 // TEST_SHARE
    return np.flatnonzero(~test), np.flatnonzero(test)


def subset_rows(side: str, subset: Mapping[str, Any], names: Sequence[str], rows: Rows) -> Rows:
    """Keep the given number of rows: those with the smallest hashes, in ascending order.

    Parameters
    ----------
    side : {"train", "test"}
    subset : mapping
        A dataset's key ``subset``: the number for each side, all if left out, and a seed.
    names : sequence of str
        Of every row of the part.
    rows : array (n,)
        The rows that are chosen from.

    Raises
    ------
    DataError
        If there are not as many, or rows of one name would be torn apart: which of them is used
        could depend on their labels alone.
    """
    if side not in subset:
        return rows
    size, seed = subset[side], subset["seed"]
    if size > len(rows):
        raise DataError(f"subset.{side}: {size} of {len(rows)} inputs; allowed: no more")
    numbers = hashes([names[row] for row in rows], f"subset {side}", seed)
    order = np.argsort(numbers, kind="stable")
    ranked = numbers[order]
    if size < len(rows) and ranked[size - 1] == ranked[size]:
        fewer, more = (int(np.searchsorted(ranked, ranked[size], at)) for at in ("left", "right"))
        nearest = " or ".join(str(count) for count in (fewer, more) if count)
        raise DataError(
            f"subset.{side}: {size} inputs would hold some of the files of one name, "
            f"{names[rows[order[size]]]!r}, but not all, so labels would choose among them; "
            f"allowed: {nearest}, or another seed"
        )
    return np.sort(rows[order[:size]])
