"""The names of classes as files give them: text as it stands, whole numbers, nothing guessed."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from certbd.artifacts.io import DataError

POINT_ZERO = re.compile(r"-?\d+\.0+")
"""A whole number as a column of floats is written."""
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
"""Characters without width, which no list of blanks holds."""
FRACTION = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?")


def canonical(name: str) -> str:
    """Return a name without blanks around it and with composed letters (Unicode's form NFC)."""
    ends = rf"^[\s{INVISIBLE}]+|[\s{INVISIBLE}]+$"
    return unicodedata.normalize("NFC", re.sub(ends, "", name))


def look(name: str) -> str:
    """Return what names have in common that cannot be told apart when they are printed."""
    return " ".join(re.sub(f"[{INVISIBLE}]", "", canonical(name)).split())


def label_names(values: Any, where: str, classes: Sequence[str] | None) -> NDArray[np.str_]:
    """Name the class of each row.

    Parameters
    ----------
    values : Series or array
        Whole numbers, truth values or text, shape (n,). Text is a name as it stands, so that 01
        and 1 are two; blanks around it are no part of it. Where all of it is whole numbers with
        point and zeros (1.0), it is read as whole numbers.
    where : str
        What the values are, for messages.
    classes : sequence of str or None
        The names that are allowed; None to allow either whole numbers or text, not both.

    Raises
    ------
    DataError
        If a label is missing, no whole number and no text, or not allowed, or if two that are
        spelt differently would be one class.
    """
    values = pd.Series(values)
    try:
        codes, found = pd.factorize(values)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: {error}; allowed: whole numbers or text") from error
    texts = [_text(value) for value in found]
    name_of = _names({text for text in texts if text is not None}, where, classes)
    names = [None if text is None else name_of[text] for text in texts]
    known, allowed = _known({name for name in names if name is not None}, classes)
    fine = np.array([*(name in known for name in names), False])  # -1, the last, is a missing label
    wrong = np.flatnonzero(~fine[codes])
    if len(wrong):
        row = int(wrong[0])
        value = values.iloc[row]
        shown = repr(value) if isinstance(value, str) else str(value)
        raise DataError(f"{where}, row {row}: label {shown}; allowed: {allowed}")
    return np.array(names, np.str_)[codes] if names else np.array([], np.str_)


def _text(value: Any) -> str | None:
    """Return a label as text, None for what cannot be one."""
    if isinstance(value, str):
        return str(value) if canonical(value) else None
    if isinstance(value, bool | np.bool_):
        return str(value)
    number = int | float | Decimal | np.integer | np.floating
    if isinstance(value, number) and np.isfinite(float(value)) and value % 1 == 0:
        return str(int(value))
    return None


def _names(texts: Iterable[str], where: str, classes: Sequence[str] | None) -> dict[str, str]:
    """Return the name of the class that each spelling stands for."""
    if classes is not None and set(texts) <= set(classes):
        return {text: text for text in texts}
    given = {canonical(name): name for name in classes or ()}
    names = {text: canonical(text) for text in sorted(texts)}
    floats = all(POINT_ZERO.fullmatch(name) for name in names.values())
    if floats and given.keys().isdisjoint(names.values()):
        names = {text: str(int(name.partition(".")[0])) for text, name in names.items()}
    spelt: dict[str, str] = {}
    for text, name in names.items():
        if (other := spelt.setdefault(look(name), text)) != text:
            raise DataError(
                f"{where}: labels {other!a} and {text!a} look alike, so they are one class "
                f"{look(name)!r} or an oversight; allowed: one spelling per class"
            )
    return {text: given.get(name, name) for text, name in names.items()}


def _known(names: set[str], classes: Sequence[str] | None) -> tuple[set[str], str]:
    """Return which names are allowed, and the same in words."""
    if classes is None:
        whole = {name for name in names if _is_whole(name)}
        text = {name for name in names if not FRACTION.fullmatch(name)}
        allowed = "a whole number" if whole else "a whole number or text"
        return (
            whole or text,
            f"{allowed} (other names are listed, in quotes, under the key classes)",
        )
    quoted = ", ".join(map(repr, classes[:20])) + (", ..." if len(classes) > 20 else "")
    hint = ""
    if any(name.startswith("0") and name.lstrip("0") in classes for name in names):
        hint = "; labels count as they are written, so '01' is listed in quotes"
    return set(classes), f"one of {quoted} (the key classes{hint})"


def sorted_classes(labels: Iterable[str]) -> list[str]:
    """Return the classes found: whole numbers by value, text by letter."""
    found = sorted({str(name) for name in labels})
    if not all(map(_is_whole, found)):
        return found
    return sorted(found, key=lambda name: (int(name), name))


def _is_whole(name: str) -> bool:
    return name.removeprefix("-").isdecimal()
