"""Checks of what files from elsewhere say: each mistake is named with its file, column and row."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from certbd.artifacts.io import DataError
from certbd.artifacts.schemas import ABSTAIN

FLOAT32 = 1e-7
"""Relative difference of numbers that are the same, one of them stored as float32."""


def numbers(values: pd.Series) -> NDArray[np.float64]:
    """Return values as numbers, NaN for what is none."""
    return np.asarray(pd.to_numeric(values, errors="coerce"), np.float64)


def same(these: ArrayLike, those: ArrayLike) -> NDArray[np.bool_]:
    """Return which numbers are the same, though they may be stored as float32; NaN never is."""
    return np.isclose(these, those, rtol=FLOAT32, atol=0)


def require(
    path: str, table: pd.DataFrame, column: str, fine: Any, allowed: str, shown: object = None
) -> None:
    """Refuse the first value that is not `fine`; `shown` are lengths of lists."""
    wrong = np.flatnonzero(~np.asarray(fine))
    if len(wrong):
        at = int(wrong[0])
        value = (table[column].to_numpy() if shown is None else np.asarray(shown))[at]
        what = "a list of " if shown is not None else ""
        where = f"{path}: column {column}, row {table.index[at]}"
        raise DataError(f"{where}: {what}{value}; allowed: {allowed}")


def require_in_lists(
    path: str,
    table: pd.DataFrame,
    column: str,
    fine: NDArray[np.bool_],
    lists: NDArray[np.float64],
    allowed: str,
) -> None:
    """Refuse the first number in a list (rows, models) that is not `fine`."""
    wrong = np.argwhere(~fine)
    if len(wrong):
        at, model = wrong[0]
        raise DataError(
            f"{path}: column {column}, row {table.index[at]}, model {model}: "
            f"{lists[at, model]}; allowed: {allowed}"
        )


def check_setting(
    path: str, table: pd.DataFrame, column: str, value: float | None, key: str
) -> None:
    """Refuse a column that says something else than a key of the configuration."""
    if value is not None:
        allowed = f"{value}, as the key {key} says; correct the one that is wrong"
        require(path, table, column, same(numbers(table[column]), value), allowed)


def check_origin(
    path: str, made: Mapping[str, Any], sigma: pd.Series, settings: Mapping[str, float | None]
) -> None:
    """Refuse noise that is not what votes of certbd itself were made under.

    `made` are the settings in the provenance of the file; nothing for files from elsewhere.
    """
    if "noise" in made:
        raise DataError(
            f"{path}: votes of certbd 0.1, whose settings this version does not read; "
            "make them again"
        )
    if "testing" not in made:
        return
    test, training = made["testing"], made["training"]
    says = f"{path}: its votes were made under {training} in training and {test} in the vote"
    constant = "level" in test or test["kind"] != "noise" or settings["sigma_test"] is not None
    if constant and not same(sigma, test.get("level", np.nan)).all():
        raise DataError(f"{says}, not under sigma (or the key sigma_test) {sigma.iloc[0]}")
    train = settings["sigma_train"]
    constant = training["kind"] == "gaussian"
    if train is not None and not same(train, training["sigma"] if constant else np.nan):
        raise DataError(f"{says}, not with the key sigma_train {train}")


def check_scores(path: str, found: pa.Schema, n_classes: int) -> None:
    """Refuse scores of another number of classes, and votes for a class without the top score."""
    if "score" not in found.names:
        return
    allowed = f"a list of n_classes = {n_classes} numbers"
    if not pa.types.is_nested(found.field("score").type):
        raise DataError(f"{path}: column score: {found.field('score').type}; allowed: {allowed}")
    first = 0
    for batch in pq.ParquetFile(path).iter_batches(columns=["vote", "score"]):
        lengths = pc.list_value_length(batch.column("score")).to_numpy(zero_copy_only=False)
        if len(wrong := np.flatnonzero(lengths != n_classes)):
            row, found_length = first + wrong[0], lengths[wrong[0]]
            raise DataError(
                f"{path}: column score, row {row}: a list of {found_length}; allowed: {allowed}"
            )
        vote = batch.column("vote").to_numpy(zero_copy_only=False)
        scores = batch.column("score").flatten().to_numpy(zero_copy_only=False)
        scores = scores.reshape(-1, n_classes)
        top = scores[np.arange(len(vote)), vote] >= scores.max(1)
        if len(wrong := np.flatnonzero((vote != ABSTAIN) & ~top)):
            at = wrong[0]
            raise DataError(
                f"{path}: row {first + at}: vote {vote[at]}, scores {scores[at].tolist()}; "
                "allowed: a vote for the class with the highest score"
            )
        first += len(vote)
