"""Votes and scores of models trained elsewhere. ``docs/external-votes.md`` says how to write them.

Two forms are read. Long: the columns of `schemas.VOTES`, one row a vote, with true labels in a file
of their own. Wide: one row a test input, with a list of N votes, or for two classes of N scores for
class 1. Every mistake is named with its file, column and row before anything is certified.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from certbd import csv_files
from certbd.certify import VotedSplit
from certbd.io import DataError, check_room
from certbd.schemas import ABSTAIN, BENIGN, TRIGGERED
from certbd.tally import Tally, count_votes

SPLITS = (BENIGN, TRIGGERED)
PARQUET = (".parquet", ".pq")
READ = ("split", "sample", "label", "sigma", "model", "vote", "score")
"""Columns that are read."""


def read_votes(
    votes: str,
    labels: str | None,
    sigma: float | None,
    n_models: int,
    n_classes: int,
    scored: bool,
) -> list[VotedSplit]:
    """Read votes in either form.

    Parameters
    ----------
    votes : str
        Parquet file. Long form: model, split, sample, vote, and score if `scored`. Wide form:
        sample, label, one of vote and score, optionally split (benign if absent) and sigma.
    labels : str or None
        Parquet or CSV file with split, sample, label and optionally sigma: for the long form.
    sigma : float or None
        Test noise of every input; None to read the column sigma.
    n_models, n_classes : int
        Number N of models planned; labels are 0 to ``n_classes - 1``.
    scored : bool
        Whether the bound is on scores.

    Returns
    -------
    list of VotedSplit
        Without inputs, in sample order.

    Raises
    ------
    DataError
        If a file cannot be read, or a value, row or column is missing or not allowed.
    """
    columns = set(_schema(votes).names)
    if "model" in columns:
        if labels is None:
            raise DataError(f"{votes}: one row a vote needs a labels file (key labels)")
        if doubled := sorted(columns & {"label", "sigma"}):
            raise DataError(
                f"{votes}: column {doubled[0]} beside one row a vote; it belongs in the labels file"
            )
        table = _check_inputs(labels, _read(labels), sigma, n_classes)
        sizes = {split: int((table["split"] == split).sum()) for split in SPLITS}
        sizes = {split: size for split, size in sizes.items() if size}
        _check_room(votes)
        tallies = count_votes([votes], sizes, n_models, n_classes, scored).tallies
    else:
        table = _check_inputs(votes, _read(votes), sigma, n_classes)
        if labels is not None:
            other = _check_inputs(labels, _read(labels), sigma, n_classes)
            _check_agreement(votes, table, labels, other)
        tallies = _wide_tallies(votes, table, n_models, n_classes, scored)
    parts = {split: table[table["split"] == split] for split in tallies}
    return [
        VotedSplit(
            split,
            None,
            part["label"].to_numpy(np.int64),
            tallies[split],
            part["sigma"].to_numpy(np.float64),
        )
        for split, part in parts.items()
    ]


def _schema(path: str) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a readable Parquet file: {error}") from error


def _check_room(path: str) -> None:
    stored = pq.read_metadata(path)
    groups = [stored.row_group(number) for number in range(stored.num_row_groups)]
    unfolded = max(8 * stored.num_rows * stored.num_columns, sum(g.total_byte_size for g in groups))
    check_room(path, unfolded, Path(path).stat().st_size)


def _read(path: str) -> pd.DataFrame:
    """Read a table, with the names of a data frame's index among its columns."""
    file = Path(path)
    try:
        if csv_files.separator(file) is not None:
            _refuse_twice(path, [name.strip() for name in csv_files.first_row(file)])
            return csv_files.read_csv(file, header=True)
        if file.suffix.lower() not in PARQUET:
            allowed = ", ".join([*PARQUET, *csv_files.SEPARATORS])
            raise DataError(f"not a table by its name; allowed: {allowed}")
        _refuse_twice(path, _schema(path).names)
        _check_room(path)
        table = pq.read_table(path).to_pandas()
    except DataError as error:
        raise DataError(str(error) if path in str(error) else f"{path}: {error}") from error
    except (OSError, ValueError, pd.errors.ParserWarning, pa.ArrowException) as error:
        raise DataError(f"{path}: not a readable table: {error}") from error
    index = [name for name in table.index.names if name is not None and name not in table]
    return table.reset_index(index) if index else table


def _refuse_twice(path: str, names: list[str]) -> None:
    """Refuse two columns of a name that is read here: which of them is meant is not known."""
    for name in READ:
        if names.count(name) > 1:
            raise DataError(f"{path}: {names.count(name)} columns called {name!r}; allowed: one")


def _check_inputs(
    path: str, given: pd.DataFrame, sigma: float | None, n_classes: int
) -> pd.DataFrame:
    """Check split, sample, label and sigma, one row an input; return the rows in order."""
    table = given.assign(row=np.arange(len(given)))
    if "split" not in table:
        table["split"] = BENIGN
    if sigma is not None and "sigma" not in table:
        table["sigma"] = sigma
    for column in ("sample", "label", "sigma"):
        if column not in table:
            hint = "; or set sigma_test" if column == "sigma" else ""
            raise DataError(f"{path}: column {column} is missing{hint}; it has {list(given)}")
    _require(path, table, "split", table["split"].isin(SPLITS), f"one of {', '.join(SPLITS)}")
    sample, label, level = (_numbers(table[column]) for column in ("sample", "label", "sigma"))
    _require(path, table, "sample", (sample >= 0) & (sample % 1 == 0), "a whole number, 0 or more")
    classes = f"a whole number from 0 to {n_classes - 1}"
    _require(path, table, "label", (label >= 0) & (label < n_classes) & (label % 1 == 0), classes)
    _require(path, table, "sigma", (level > 0) & np.isfinite(level), "a number above 0")
    if sigma is not None:
        alike = np.isclose(level, sigma, rtol=1e-6, atol=0)
        _require(path, table, "sigma", alike, f"{sigma}, which is sigma_test; or only one of both")
    once = ~table.duplicated(["split", "sample"])
    _require(path, table, "sample", once, "one row for each split and sample, not two")
    table = table.sort_values(["split", "sample"], ignore_index=True)
    complete = table["sample"] == table.groupby("split").cumcount()
    _require(path, table, "sample", complete, "0, 1, 2, ... in each split, none left out")
    return table


def _check_agreement(votes: str, table: pd.DataFrame, path: str, labels: pd.DataFrame) -> None:
    """Refuse a labels file that says otherwise than the votes file about the same inputs."""
    keys = ["split", "sample"]
    if not table[keys].equals(labels[keys]):
        raise DataError(f"{path}: other inputs than in {votes}, which has labels; leave one out")
    for column in ("label", "sigma"):
        alike = np.isclose(_numbers(table[column]), _numbers(labels[column]), rtol=1e-6, atol=0)
        allowed = f"what {votes} has there, or labels in one of the files"
        _require(path, labels, column, pd.Series(alike), allowed)


def _wide_tallies(
    path: str, table: pd.DataFrame, n_models: int, n_classes: int, scored: bool
) -> dict[str, Tally]:
    """Count the lists of one row an input."""
    column = "score" if "score" in table else "vote"
    if column not in table or (scored and column == "vote"):
        needed = "score" if scored else "vote or score"
        raise DataError(f"{path}: column {needed} is missing; it has {_schema(path).names}")
    if column == "score" and n_classes != 2:
        raise DataError(f"{path}: column score holds scores of class 1 of two, not of {n_classes}")
    lengths = table[column].map(np.size).to_numpy()
    allowed = f"a list of n_models = {n_models} numbers"
    _require(path, table, column, lengths == n_models, allowed, lengths)
    lists = np.stack([_numbers(pd.Series(values)) for values in table[column]])
    if column == "score":
        fine = (lists >= 0) & (lists <= 1)
        _require_in_lists(path, table, column, fine, lists, "a number from 0 to 1")
        votes, ones = (lists > 0.5).astype(np.int64), lists.sum(1)
        if "vote" in table:
            said = np.stack([_numbers(pd.Series(values)) for values in table["vote"]])
            _require_in_lists(
                path, table, "vote", said == votes, said, "1 where score is above 1/2"
            )
        sums = np.stack([n_models - ones, ones], axis=1)
    else:
        fine = (lists >= ABSTAIN) & (lists < n_classes) & (lists % 1 == 0)
        allowed = f"a whole number from {ABSTAIN} (none) to {n_classes - 1}"
        _require_in_lists(path, table, column, fine, lists, allowed)
        votes, sums = lists.astype(np.int64), None
    counts = np.stack([(votes == label).sum(1) for label in range(n_classes)], axis=1)
    rows = {split: np.flatnonzero(table["split"] == split) for split in SPLITS}
    return {
        split: Tally(counts[row], None if sums is None else sums[row])
        for split, row in rows.items()
        if len(row)
    }


def _numbers(values: pd.Series) -> NDArray[np.float64]:
    """Return values as numbers, NaN for what is none."""
    return np.asarray(pd.to_numeric(values, errors="coerce"), np.float64)


def _require(
    path: str, table: pd.DataFrame, column: str, fine: pd.Series, allowed: str, shown: object = None
) -> None:
    wrong = np.flatnonzero(~np.asarray(fine))
    if len(wrong):
        at = int(wrong[0])
        value = (table[column].to_numpy() if shown is None else np.asarray(shown))[at]
        what = "a list of " if shown is not None else ""
        row = table["row"].iloc[at]
        raise DataError(f"{path}: column {column}, row {row}: {what}{value}; allowed: {allowed}")


def _require_in_lists(
    path: str,
    table: pd.DataFrame,
    column: str,
    fine: NDArray[np.bool_],
    lists: NDArray[np.float64],
    allowed: str,
) -> None:
    wrong = np.argwhere(~fine)
    if len(wrong):
        at, model = wrong[0]
        raise DataError(
            f"{path}: column {column}, row {table['row'].iloc[at]}, model {model}: "
            f"{lists[at, model]}; allowed: {allowed}"
        )
