"""One form of error for a value that a function of the mathematics does not allow."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

QUOTIENT_SLACK = 1e-10
"""Relative, on products of up to a million quotients."""


def require(ok: ArrayLike, name: str, values: ArrayLike, allowed: str) -> None:
    """Raise ValueError naming the first of `values` that is not `ok`."""
    bad = ~np.asarray(ok)
    if bad.any():
        first = np.broadcast_to(np.asarray(values), bad.shape)[bad].flat[0]
        raise ValueError(f"{name} must be {allowed}, not {first}")


def is_whole(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which values are finite whole numbers."""
    finite = np.isfinite(values)
    return np.asarray(finite & (np.where(finite, values, 0) % 1 == 0))


def positive(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return values that must be above 0 and finite."""
    array = np.asarray(value, np.float64)
    require((array > 0) & np.isfinite(array), name, array, "above 0 and finite")
    return array


def check_count(n_poisoned: int) -> None:
    """Refuse a number of rows that is none."""
    count = np.asarray(n_poisoned)
    require(is_whole(count) & (count >= 0), "n_poisoned", count, "a whole number, 0 or more")
