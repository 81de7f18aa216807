"""How values of files become inputs: by constants of the configuration, never fitted on the data.

A value goes through ``log`` (of 1 + x), then either its range becomes [0, 1], or, where a centre or
a scale is given, it becomes ``(x - centre) / scale``. Ranges, centres and scales are constants, so
that no row has a part in what becomes of another (``docs/theory.md``, section 1).
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from certbd.artifacts.io import DataError
from certbd.artifacts.logs import LOGGER

Ranges = Sequence[float] | Mapping[str, Sequence[float]] | None
REST = "*"
"""In the place of a column: all that are not named."""
Chosen = bool | Sequence[str]
"""All columns, none, or those that are named."""


class Scaling(NamedTuple):
    """What happens to the columns of a table: a dataset's keys of these names."""

    ranges: Ranges = None
    clip: Chosen = False
    log: Chosen = False
    center: Mapping[str, float] = {}  # read alone
    scale: Mapping[str, float] = {}

    def range_of(self, column: str) -> Sequence[float] | None:
        """Return the range of a column, None where none is given."""
        if not isinstance(self.ranges, Mapping):
            return self.ranges
        return self.ranges.get(column, self.ranges.get(REST))

    def named(self) -> dict[str, list[str]]:
        """Return the columns that each key names."""
        keys = {key: value for key, value in self._asdict().items() if not isinstance(value, bool)}
        lists = {
            key: list(value or ())
            for key, value in keys.items()
            if key != "ranges" or isinstance(value, Mapping)
        }
        return {key: [name for name in names if name != REST] for key, names in lists.items()}

    def apply(
        self, column: str, values: NDArray[np.float64], where: str, shown: Any
    ) -> NDArray[np.float64]:
        """Return what becomes of a column.

        Parameters
        ----------
        values : array (n,)
            NaN for what is no number.
        where : str
            What they are, for messages.
        shown : Series
            The same as it stands in the file.

        Raises
        ------
        DataError
            If a value is no number, or outside its range and not clipped.
        """
        given = self.range_of(column)
        free = self._free(column)
        if given is not None and _has(self.clip, column):
            clipped = np.where(np.isnan(values), values, values.clip(given[0], given[1]))
            if count := int((clipped != values)[~np.isnan(values)].sum()):
                LOGGER.info(
                    "%s: %d values clipped to %s", where.removesuffix(", row"), count, given
                )
            values = clipped
        bounds = given or ((-math.inf, math.inf) if free else None)
        check(values, bounds, where, shown)
        low, high = given or (0, 1)
        if _has(self.log, column):
            check_log(values, where, shown)
            values, low, high = np.log1p(values), math.log1p(low), math.log1p(high)
        if free:
            return (values - self.center.get(column, 0.0)) / self.scale.get(column, 1.0)
        return (values - low) / (high - low)

    def step(self, column: str, change: float) -> float | None:
        """Return the change in source units that a change of an input in one column is.

        None where it depends on the value: behind a logarithm.
        """
        if _has(self.log, column):
            return None
        if self._free(column):
            return change * self.scale.get(column, 1.0)
        low, high = self.range_of(column) or (0, 1)
        return change * (high - low)

    def growth(self, column: str, change: float) -> float:
        """Return by which factor 1 + x changes at most behind a logarithm."""
        low, high = self.range_of(column) or (0, 1)
        width = math.log1p(high) - math.log1p(low)
        return math.exp(change * (self.scale.get(column, 1.0) if self._free(column) else width))

    def _free(self, column: str) -> bool:
        return column in self.center or column in self.scale

    def mistakes(self, path: str) -> Iterator[str]:
        """Say which constants cannot be; `path` is that of the dataset's entry."""
        ranges = self.ranges
        named = ranges.items() if isinstance(ranges, Mapping) else [("", ranges or (0, 1))]
        for column, (low, high) in named:
            key = f"{path}.ranges.{column}" if column else f"{path}.ranges"
            if not low < high:
                yield f"{key}: [{low:.15g}, {high:.15g}]; allowed: low below high"
            if low <= -1 and _has(self.log, column):
                yield f"{key}: [{low:.15g}, {high:.15g}]; allowed with log: low above -1"
        for column, scale in self.scale.items():
            if not scale > 0:
                yield f"{path}.scale.{column}: {scale:.15g}; allowed: above 0"


def _has(chosen: Chosen, column: str) -> bool:
    return chosen if isinstance(chosen, bool) else column in chosen


def to_unit(
    numbers: NDArray[np.float64], given: Sequence[float] | None, where: str, shown: Any
) -> NDArray[np.float64]:
    """Move numbers from [low, high] to [0, 1]; raise DataError where one lies outside."""
    check(numbers, given, where, shown)
    low, high = given or (0, 1)
    return (numbers - low) / (high - low)


def check(
    numbers: NDArray[np.float64], given: Sequence[float] | None, where: str, shown: Any
) -> None:
    """Raise DataError where a number lies outside its range, or is none."""
    low, high = given or (0, 1)
    wrong = np.argwhere(~((numbers >= low) & (numbers <= high) & np.isfinite(numbers)))
    if len(wrong):
        row, value = _first(wrong, shown)
        source = "the key ranges" if given else "or constants under the key ranges"
        if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d*,\d+\s*", value):
            source += "; decimals are written with a point"
        if math.isinf(low):
            raise DataError(f"{where} {row}: {value}; allowed: a finite number")
        raise DataError(
            f"{where} {row}: {value}; allowed: a number from {low:.15g} to {high:.15g} ({source})"
        )


def check_log(numbers: NDArray[np.float64], where: str, shown: Any) -> None:
    """Raise DataError where the logarithm of 1 + x does not exist."""
    wrong = np.argwhere(~(numbers > -1))
    if len(wrong):
        row, value = _first(wrong, shown)
        raise DataError(f"{where} {row}: {value}; allowed with log: a number above -1")


def _first(wrong: NDArray[np.intp], shown: Any) -> tuple[int, Any]:
    row = int(wrong[0][0])
    return row, shown.iloc[row] if isinstance(shown, pd.Series) else shown[tuple(wrong[0])]


def numbers_of(values: pd.Series) -> NDArray[np.float64]:
    """Return values as numbers, NaN for what is none."""
    if values.dtype.kind in "biuf":
        return values.to_numpy(np.float64, na_value=np.nan)
    try:
        return np.asarray(pd.to_numeric(values.astype("str"), errors="coerce"), np.float64)
    except (TypeError, ValueError):
        return np.full(len(values), np.nan)
