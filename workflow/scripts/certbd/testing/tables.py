"""Votes as tables: one row per vote."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from certbd.artifacts import schemas


def votes_table(
    votes: Mapping[str, NDArray[np.int16]],
    scores: Mapping[str, NDArray[np.float32]],
    indices: range,
    n_classes: int,
) -> tuple[pd.DataFrame, pa.Schema]:
    """Return one row per vote, sorted by model, split and sample, and the table's schema.

    Parameters
    ----------
    votes : mapping
        Split -> votes (models, inputs).
    scores : mapping
        Split -> scores (models, inputs, classes); empty where there are none.
    indices : range
        Of the models.
    """
    sizes = [part.shape[1] for part in votes.values()]
    split = np.repeat(range(len(votes)), sizes)
    sample = np.concatenate([np.arange(size) for size in sizes])
    columns = {
        "model": np.repeat(np.arange(indices.start, indices.stop, dtype=np.int32), sum(sizes)),
        "split": pd.Categorical.from_codes(np.tile(split, len(indices)), list(votes)),
        "sample": np.tile(sample.astype(np.int32), len(indices)),
        "vote": np.concatenate([*votes.values()], axis=1).ravel(),
    }
    table = pd.DataFrame(columns)
    if not scores:
        return table, schemas.VOTES
    every = np.concatenate([*scores.values()], 1).reshape(-1, n_classes)
    return table.assign(score=list(every)), schemas.scored_votes(n_classes)
