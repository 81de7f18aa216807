"""One form of error for a value that a function of the mathematics does not allow."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


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
