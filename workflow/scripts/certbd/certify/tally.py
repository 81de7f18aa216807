"""From vote files to counts, one file at a time; a vote missing, doubled or odd is refused."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from certbd.artifacts.io import DataError, read_table
from certbd.artifacts.schemas import ABSTAIN, VOTES, scored_votes


class Tally(NamedTuple):
    """Votes (inputs, classes), and sums of scores (inputs, classes) if there are any."""

    votes: NDArray[np.int64]
    scores: NDArray[np.float64] | None

    def mean_scores(self, n_models: int) -> NDArray[np.float64]:
        """Return mean scores (inputs, classes); raise ValueError if there are none."""
        if self.scores is None:
            raise ValueError("a bound on mean scores needs scores")
        return self.scores / n_models


class Count(NamedTuple):
    """A `Tally` for each split, and the models that failed: model, fault (diverged, constant)."""

    tallies: dict[str, Tally]
    faults: pd.DataFrame


def count_votes(
    files: Iterable[str | Path],
    sizes: Mapping[str, int],
    n_models: int,
    n_classes: int,
    scored: bool = False,
    identity: str | None = None,
) -> Count:
    """Count the votes of models 0 to ``n_models - 1`` on every test input.

    Parameters
    ----------
    files : iterable of path
        Parquet files with the columns of `schemas.VOTES`.
    sizes : mapping
        Number of test inputs of each split.
    scored : bool
        Read and add up the scores, too.
    identity : str, optional
        What the provenance of each file must hold; none for votes from elsewhere.

    Returns
    -------
    Count
        Votes and scores of diverged models, whose vote is `ABSTAIN`, are for no class. A model is
        constant if it gives all inputs of the first split one label: it counts like any other.

    Raises
    ------
    DataError
        If a model is missing or in two files, or a file does not hold exactly one vote of each
        of its models on each input.
    """
    offsets = dict(zip(sizes, np.cumsum([0, *sizes.values()]), strict=False))
    n_inputs = sum(sizes.values())
    counts = np.zeros((n_inputs, n_classes), np.int64)
    sums = np.zeros((n_inputs, n_classes)) if scored else None
    wanted = f"needed: models 0 to {n_models - 1}"
    voted, read, faults = np.zeros(n_models, bool), [], []
    for file in files:
        read.append(file)
        votes = read_table(file, scored_votes(n_classes) if scored else VOTES, identity)
        _check(file, votes, sizes, n_classes)
        models = votes["model"].unique()
        if len(extra := models[(models < 0) | (models >= n_models)]):
            raise DataError(f"{file}: votes of model {extra[0]}; {wanted}")
        if len(twice := models[voted[models]]):
            raise DataError(f"{file}: model {twice[0]} has voted in another file already")
        voted[models] = True
        row = _by_split(votes, offsets).astype(np.int64) + votes["sample"].to_numpy()
        if len(votes) != len(models) * n_inputs or not _all_differ(votes["model"], row, n_inputs):
            raise DataError(
                f"{file}: {len(votes)} votes; needed: one of each of its {len(models)} models "
                f"on each of {n_inputs} test inputs"
            )
        vote = votes["vote"].to_numpy(np.int64)
        cast = vote != ABSTAIN
        each = np.bincount(row[cast] * n_classes + vote[cast], minlength=counts.size)
        counts += each.reshape(counts.shape)
        if sums is not None:
            np.add.at(sums, row[cast], _scores(file, votes)[cast])
        faults.append(_faults(votes[row < next(iter(sizes.values()))]))
    if not voted.all():
        files_read = ", ".join(map(str, read))
        raise DataError(f"{files_read}: no votes of model {voted.argmin()}; {wanted}")
    parts = {split: slice(offsets[split], offsets[split] + size) for split, size in sizes.items()}
    tallies = {
        split: Tally(counts[part], None if sums is None else sums[part])
        for split, part in parts.items()
    }
    return Count(tallies, pd.concat(faults).sort_values("model", ignore_index=True))


def _by_split(votes: pd.DataFrame, values: Mapping[str, int]) -> NDArray[np.float64]:
    """Return the value of each vote's split, NaN for a split without one."""
    splits = votes["split"].cat
    named = np.array([values.get(name, np.nan) for name in splits.categories])
    return named[splits.codes]


def _all_differ(models: pd.Series, row: NDArray[np.int64], n_inputs: int) -> bool:
    """Return whether no two votes are of one model on one input."""
    number, names = pd.factorize(models)
    seen = np.zeros(len(names) * n_inputs, bool)
    seen[number * n_inputs + row] = True
    return bool(seen.sum() == len(row))


def _faults(votes: pd.DataFrame) -> pd.DataFrame:
    """Return the models that cast no vote on some input, or the same vote on all."""
    by_model = votes.groupby("model")["vote"].agg(["min", "max", "size"]).reset_index()
    fault = np.where(by_model["min"] == by_model["max"], "constant", "")
    fault = np.where(by_model["size"] > 1, fault, "")
    fault = np.where(by_model["min"] == ABSTAIN, "diverged", fault)
    return by_model[["model"]].assign(fault=fault)[fault != ""]


def _scores(file: str | Path, votes: pd.DataFrame) -> NDArray[np.float64]:
    """Return scores (rows, classes), which must be in [0, 1] and add up to at most 1."""
    scores = np.stack(votes["score"].to_list()).astype(np.float64)
    known = votes["vote"].to_numpy() != ABSTAIN
    wrong = known & ~((scores >= 0).all(1) & (scores <= 1).all(1) & (scores.sum(1) <= 1 + 1e-5))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{file}: column score, row {row}: {scores[row].tolist()}; allowed: one number from 0 "
            "to 1 a class, 1 in all"
        )
    return scores


def _check(file: str | Path, votes: pd.DataFrame, sizes: Mapping[str, int], n_classes: int) -> None:
    size = _by_split(votes, sizes)
    sample, vote = votes["sample"].to_numpy(), votes["vote"].to_numpy()
    wrong = ~((sample >= 0) & (sample < size) & (vote >= ABSTAIN) & (vote < n_classes))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f"{file}: row {row}: {votes.iloc[row].to_dict()}; allowed: samples below "
            f"{dict(sizes)}, votes from {ABSTAIN} (none) to {n_classes - 1}"
        )
