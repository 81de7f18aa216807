"""The names of classes as labels write them: text as it stands in the file, or whole numbers.

Blanks around a label are no part of it. Numbers are compared as text, so ``01`` and ``1`` are two
classes, and ``NA`` is a name like any other.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from certbd.io import DataError

WHOLE_DECIMAL = re.compile(r"(-?\d+)\.0+")
FRACTION = re.compile(r"[-+]?\d*\.\d*[1-9]\d*")


def label_names(values: Any, where: str, classes: Sequence[str] | None) -> NDArray[np.str_]:
    """Name the class of each row.

    Parameters
    ----------
    values : Series or array
        Whole numbers or text, shape (n,).
    where : str
        What the values are, for messages.
    classes : sequence of str or None
        The names that are allowed; None to allow either whole numbers or text, not both.

    Raises
    ------
    DataError
        If a label is missing, no whole number and no text, or not allowed.
    """
    values = pd.Series(values)
    try:
        codes, found = pd.factorize(values)
    except TypeError as error:
        raise DataError(f"{where}: {error}; allowed: whole numbers or text") from error
    names = _without_decimals([_label_name(value) for value in found])
    if classes is None:
        whole = {name for name in names if name is not None and _is_whole(name)}
        known = whole or set(names) - {None}
        allowed = "a whole number" if whole else "a whole number or text"
    else:
        known = set(classes)
        allowed = f"one of {', '.join(map(repr, classes))} (the key classes)"
    fine = np.array([*(name in known for name in names), False])  # -1, the last, is a missing label
    wrong = np.flatnonzero(~fine[codes])
    if len(wrong):
        row = int(wrong[0])
        raise DataError(f"{where}, row {row}: label {_shown(values.iloc[row])}; allowed: {allowed}")
    return np.array(names, np.str_)[codes] if names else np.array([], np.str_)


def sorted_classes(labels: NDArray[np.str_] | Sequence[str]) -> list[str]:
    """Return the classes found: whole numbers by value, text by letter."""
    found = sorted({str(label) for label in labels})
    return sorted(found, key=int) if all(map(_is_whole, found)) else found


def _label_name(value: Any) -> str | None:
    """Return the name of one label; None for what is none."""
    if isinstance(value, str):
        name = value.strip()
        return None if not name or FRACTION.fullmatch(name) else name
    if isinstance(value, bool | np.bool_):
        return str(value)
    try:
        return str(int(value)) if value % 1 == 0 else None
    except (TypeError, ValueError, ArithmeticError):  # no number at all
        return None


def _without_decimals(names: list[str | None]) -> list[str | None]:
    """Write whole numbers as such where every label has a point and zeros, as 1.0 and 0.0."""
    matches = [WHOLE_DECIMAL.fullmatch(name or "") for name in names]
    return [match[1] for match in matches if match] if all(matches) else names


def _is_whole(name: str) -> bool:
    return name.removeprefix("-").isdecimal()


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(value)
