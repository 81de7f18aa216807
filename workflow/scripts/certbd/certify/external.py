"""Votes and scores of models trained elsewhere. ``docs/external-votes.md`` says how to write them.

Two forms are read. Long: the columns of `schemas.VOTES`, one row per vote, with true labels in a
file of their own. Wide: one row per test input, with a list of N votes, or for two classes of N
scores for class 1. Every mistake is named with its file, column and row before anything is
certified; so is what two sources say differently, because no one could tell which is right.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from certbd.artifacts.io import DataError
from certbd.artifacts.schemas import ABSTAIN, BENIGN, TRIGGERED, VOTES
from certbd.certify import external_tables as tables
from certbd.certify.certify import VotedSplit
from certbd.certify.external_checks import (
    check_origin,
    check_scores,
    check_setting,
    numbers,
    require,
    require_in_lists,
    same,
)
from certbd.certify.tally import Tally, count_votes

SPLITS = (BENIGN, TRIGGERED)
PLACE = ["split", "sample"]
FACTS = ("label", "sigma")
"""What both files may say of an input."""
SETTINGS = ("sigma_test", "sigma_train", "n_models", "n_classes")
"""Keys of the configuration that a file may repeat as columns."""
ORDER = "0, 1, 2, ... in each split, none left out"


def read_votes(
    votes: str,
    labels: str | None,
    sigma: float | None,
    n_models: int,
    n_classes: int,
    scored: bool,
    sigma_train: float | None = None,
) -> list[VotedSplit]:
    """Read votes in either form.

    Parameters
    ----------
    votes : str
        Parquet file. Long form: model, split, sample, vote, and score if `scored`. Wide form:
        sample, label, one of vote and score, optionally split (benign if absent) and sigma.
    labels : str or None
        Parquet or text file with split, sample, label and optionally sigma: for the long form.
    sigma : float or None
        Test noise of every input; None to read the column sigma.
    n_models, n_classes : int
        Number N of models planned; labels are 0 to ``n_classes - 1``.
    scored : bool
        Whether the bound is on scores.
    sigma_train : float, optional
        Noise on the training inputs, to be compared with what the files say of it.

    Returns
    -------
    list of VotedSplit
        Without inputs, in sample order.

    Raises
    ------
    DataError
        If a file cannot be read, a value, row or column is missing or not allowed, or two sources
        of one fact disagree.
    """
    found = tables.schema(votes)
    long = "model" in {*found.names, *tables.index_names(found)}
    if long and labels is None:
        raise DataError(f"{votes}: one row per vote needs a labels file (key labels)")
    sources = {votes: _said_of_inputs(votes, found) if long else tables.read(votes)}
    if labels is not None:
        sources[labels] = tables.read(labels)
    settings = {"sigma_test": sigma, "sigma_train": sigma_train}
    settings |= {"n_models": n_models, "n_classes": n_classes}
    main = labels if labels is not None and long else votes
    table = _joined(main, {path: t for path, t in sources.items() if len(t.columns)}, settings)
    check_origin(votes, tables.settings_of(found), table["sigma"], settings)
    if long:
        sizes = {split: int((table["split"] == split).sum()) for split in SPLITS}
        sizes = {split: size for split, size in sizes.items() if size}
        tallies = count_votes([votes], sizes, n_models, n_classes, scored).tallies
        check_scores(votes, found, n_classes)
    else:
        column = _list_column(votes, sources[votes], scored)
        tallies = _wide_tallies(votes, table, column, n_models, n_classes)
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


def _said_of_inputs(path: str, found: pa.Schema) -> pd.DataFrame:
    """Return what a file of one row per vote says of inputs beside the votes; often nothing."""
    for column in VOTES.names:
        if column not in found.names:
            inside = column in tables.index_names(found)
            hint = " (it is the index of the table: write it with reset_index())" if inside else ""
            raise DataError(f"{path}: column {column} is missing{hint}; it has {found.names}")
    tables.check_parquet_room(path)
    named = [name for name in found.names if name in (*FACTS, *SETTINGS)]
    if not named:
        return pd.DataFrame()
    try:
        stored = pq.read_table(path, columns=[*PLACE, *named])
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a readable Parquet file: {error}") from error
    table = stored.replace_schema_metadata(None).to_pandas().drop_duplicates()
    if len(again := np.flatnonzero(table.duplicated(PLACE))):
        raise DataError(
            f"{path}: row {table.index[again[0]]}: {table.iloc[again[0]].to_dict()}; allowed: in "
            f"{' and '.join(named)} what the rows before it say of the same input"
        )
    return table


def _joined(
    main: str, sources: Mapping[str, pd.DataFrame], settings: Mapping[str, float | None]
) -> pd.DataFrame:
    """Return the inputs of the file `main` in order, with label and sigma out of all sources."""
    checked = {path: _checked(path, table, settings) for path, table in sources.items()}
    table = checked.pop(main)
    for path, other in checked.items():
        if not np.array_equal(table[PLACE], other[PLACE]):
            found, wanted = (t["split"].value_counts().to_dict() for t in (other, table))
            raise DataError(f"{path}: inputs {found}; allowed: those of {main}, {wanted}")
        for column in (column for column in FACTS if column in other):
            mine, theirs = table.get(column, other[column]).to_numpy(), other[column].to_numpy()
            agree = same(mine, theirs)
            allowed = f"{mine[agree.argmin()]}, as {main} says; correct the one that is wrong"
            require(path, other, column, agree, allowed)
            table[column] = np.minimum(mine, theirs)
    if (sigma := settings["sigma_test"]) is not None:
        table["sigma"] = np.minimum(table.get("sigma", sigma), sigma)
    for column in FACTS:
        if column not in table:
            hint = "; or set sigma_test" if column == "sigma" else ""
            raise DataError(
                f"{main}: column {column} is missing{hint}; it has {list(sources[main])}"
            )
    return table


def _checked(path: str, table: pd.DataFrame, settings: Mapping[str, float | None]) -> pd.DataFrame:
    """Check all that a file says of inputs, one row per input; return the rows in order.

    The index of the table that is returned is the number of each row in the file.
    """
    if "sample" not in table:
        raise DataError(f"{path}: column sample is missing; it has {list(table)}")
    if not len(table):
        raise DataError(f"{path}: no rows; allowed: one for each input")
    split = table["split"].astype(object) if "split" in table else BENIGN
    table = table.assign(split=split)
    require(path, table, "split", table["split"].isin(SPLITS), f"one of {', '.join(SPLITS)}")
    sample, n_classes = numbers(table["sample"]), settings["n_classes"] or 0
    require(path, table, "sample", (sample >= 0) & (sample % 1 == 0), "a whole number, 0 or more")
    require(path, table, "sample", sample < len(table), ORDER)
    table["sample"] = sample.astype(np.int64)
    once = ~table.duplicated(PLACE)
    require(path, table, "sample", once, "one row for each split and sample, not two")
    if "label" in table:
        label, allowed = numbers(table["label"]), f"a whole number from 0 to {n_classes - 1}"
        fine = (label >= 0) & (label < n_classes) & (label % 1 == 0)
        require(path, table, "label", fine, allowed)
        table["label"] = label.astype(np.int64)
    if "sigma" in table:
        sigma = numbers(table["sigma"])
        require(path, table, "sigma", (sigma > 0) & np.isfinite(sigma), "a number above 0")
        check_setting(path, table, "sigma", settings["sigma_test"], "sigma_test")
        table["sigma"] = sigma
    for key in SETTINGS:
        if key in table:
            check_setting(path, table, key, settings[key], key)
    table = table.sort_values(PLACE)
    require(path, table, "sample", table["sample"] == table.groupby("split").cumcount(), ORDER)
    return table


def _list_column(path: str, table: pd.DataFrame, scored: bool) -> str:
    """Return which column of the wide form is read."""
    column = "score" if "score" in table else "vote"
    if column not in table or (scored and column == "vote"):
        needed = "score" if scored else "vote or score"
        raise DataError(f"{path}: column {needed} is missing; it has {list(table)}")
    return column


def _wide_tallies(
    path: str, table: pd.DataFrame, column: str, n_models: int, n_classes: int
) -> dict[str, Tally]:
    """Count the lists of one row per input."""
    if column == "score" and n_classes != 2:
        raise DataError(f"{path}: column score holds scores of class 1 of two, not of {n_classes}")
    lists = _lists(path, table, column, n_models)
    if column == "score":
        fine = (lists >= 0) & (lists <= 1)
        require_in_lists(path, table, column, fine, lists, "a number from 0 to 1")
        votes, ones = (lists > 0.5).astype(np.int64), lists.sum(1)
        sums = np.stack([n_models - ones, ones], axis=1)
        if "vote" in table:
            given, allowed = (
                _lists(path, table, "vote", n_models),
                "1 for a score above 0.5, else 0",
            )
            require_in_lists(path, table, "vote", given == votes, given, allowed)
    else:
        fine = (lists >= ABSTAIN) & (lists < n_classes) & (lists % 1 == 0)
        allowed = f"a whole number from {ABSTAIN} (none) to {n_classes - 1}"
        require_in_lists(path, table, column, fine, lists, allowed)
        votes, sums = lists.astype(np.int64), None
    counts = np.stack([(votes == label).sum(1) for label in range(n_classes)], axis=1)
    rows = {split: np.flatnonzero(table["split"] == split) for split in SPLITS}
    return {
        split: Tally(counts[row], None if sums is None else sums[row])
        for split, row in rows.items()
        if len(row)
    }


def _lists(path: str, table: pd.DataFrame, column: str, n_models: int) -> NDArray[np.float64]:
    """Return a column of lists as numbers (rows, models)."""
    lengths = table[column].map(np.size).to_numpy()
    allowed = f"a list of n_models = {n_models} numbers"
    require(path, table, column, lengths == n_models, allowed, lengths)
    return np.stack([numbers(pd.Series(values)) for values in table[column]])
