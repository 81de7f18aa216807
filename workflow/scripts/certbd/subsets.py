"""Random subsets of a dataset, each equally likely.

How many inputs each class gives is drawn first, so that it is known from the sizes of the classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certbd import rng
from certbd.io import DataError

SIDES = ("train", "test")


def draw_counts(side: str, subset: Mapping[str, Any], available: Sequence[int]) -> list[int]:
    """Return how many inputs of each class are drawn.

    Parameters
    ----------
    side : {"train", "test"}
    subset : mapping
        A dataset's key ``subset``: the number for each side, all if left out, and a seed.
    available : sequence of int
        Number of inputs of each class.

    Raises
    ------
    DataError
        If there are not as many, or a class is left without any.
    """
    size = subset.get(side, sum(available))
    if size > sum(available):
        raise DataError(f"subset.{side}: {size} of {sum(available)} inputs; allowed: no more")
    counts = _generator(side, subset).multivariate_hypergeometric(available, size)
    if not counts.all():
        raise DataError(
            f"subset.{side}: {size} inputs drawn with seed {subset['seed']} leave a class without "
            "any; more of them are needed, or another seed"
        )
    return counts.tolist()


def draw_rows(
    side: str,
    subset: Mapping[str, Any],
    labels: NDArray[np.str_],
    rows: NDArray[np.int64],
    classes: Sequence[str],
) -> NDArray[np.int64]:
    """Draw some of `rows`, as many of each class as `draw_counts` says, in ascending order."""
    own = [rows[labels[rows] == name] for name in classes]
    counts = draw_counts(side, subset, [len(of_class) for of_class in own])
    chooser = _generator(side, subset, len(SIDES))
    drawn = [
        chooser.choice(of_class, count, replace=False)
        for of_class, count in zip(own, counts, strict=True)
    ]
    return np.sort(np.concatenate(drawn))


def _generator(side: str, subset: Mapping[str, Any], offset: int = 0) -> np.random.Generator:
    return rng.generator(subset["seed"], rng.Purpose.SUBSET, SIDES.index(side) + offset)
