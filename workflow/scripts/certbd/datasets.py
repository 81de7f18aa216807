"""Datasets as arrays, the same at every call.

scikit-learn is imported only where a dataset is read, so that sizes can be asked for cheaply.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certbd import rng
from certbd.io import DataSplits

DIGITS_PER_CLASS = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
TEST_SHARE = 4
"""One in four digits of each class is a test input."""


def load(settings: Mapping[str, Any]) -> DataSplits:
    """Read a dataset.

    Parameters
    ----------
    settings : mapping
        An entry of the configuration's ``datasets``.

    Returns
    -------
    DataSplits
        Inputs float32 in [0, 1], shape (n, channels, height, width); labels are positions in
        ``settings["classes"]``.
    """
    return _digits(settings["classes"])


def training_counts(settings: Mapping[str, Any]) -> list[int]:
    """Return the number of training inputs of each label, known before the dataset is read."""
    sizes = [DIGITS_PER_CLASS[digit] for digit in settings["classes"]]
    return [size - size // TEST_SHARE for size in sizes]


def _digits(classes: list[int]) -> DataSplits:
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    label_of = {digit: label for label, digit in enumerate(classes)}
    test = np.concatenate([_test_part(digits, digit) for digit in classes])
    kept = np.flatnonzero(np.isin(digits, classes))
    train = np.setdiff1d(kept, test)
    test = np.sort(test)
    labels = np.array([label_of.get(digit, -1) for digit in digits], dtype=np.int64)
    names = np.array([str(digit) for digit in classes])
    return DataSplits(images[train], labels[train], images[test], labels[test], names)


def _test_part(digits: NDArray[np.int64], digit: int) -> NDArray[np.int64]:
    """Return the rows of one class that are test inputs, whichever other classes are used."""
    rows = np.flatnonzero(digits == digit)
    order = rng.generator(0, rng.Purpose.SPLIT, digit).permutation(len(rows))
    return rows[order[: len(rows) // TEST_SHARE]]
