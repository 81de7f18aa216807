"""New inputs without labels, read as a dataset's own are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from certbd.artifacts.io import DataError, NewInputs
from certbd.artifacts.schemas import NEW
from certbd.data import datasets
from certbd.data.dataset import OwnFiles
from certbd.data.sources import Part


def new_part(settings: Mapping[str, Any], path: Path, predict: Path) -> tuple[Part, Sequence[Path]]:
    """Look at new inputs without labels: how they are read, and their files.

    Parameters
    ----------
    settings : mapping
        An entry of the configuration's ``datasets``.
    path, predict : Path
        Of the dataset, and of the new inputs.

    Raises
    ------
    DataError
        If a file is missing or cannot be used, or datasets of this kind take none.
    """
    dataset = datasets.read(settings)
    if not isinstance(dataset, OwnFiles):
        raise DataError(f"kind {dataset.kind}: takes no new inputs (the key predict)")
    try:
        training = datasets.open_source(dataset, path).files
        part = dataset.open_new(predict, training)
    except OSError as error:
        raise DataError(f"{predict}: {error.strerror}") from error
    return part, [predict] if part.files is None else part.files


def load_new(
    settings: Mapping[str, Any], path: Path, predict: Path
) -> tuple[NewInputs, pd.DataFrame, str]:
    """Read new inputs without labels, as the dataset's own are read.

    Parameters
    ----------
    settings : mapping
        As for `new_part`; under ``new`` the `datasets.checksum` of the files of new inputs.

    Returns
    -------
    NewInputs
        float32 (n, ...).
    DataFrame
        Where they come from, the columns of `schemas.SOURCES`.
    str
        What is there and was not read; empty if nothing.

    Raises
    ------
    DataError
        As `new_part`, or if a value cannot be used.
    """
    own = {key: value for key, value in settings.items() if key not in ("content", "new")}
    part, files = new_part(own, path, predict)
    if datasets.checksum(files, predict) != settings["new"]:
        raise DataError(f"{predict}: has changed since this run was planned; run again")
    rows = np.arange(len(part.labels))
    inputs = datasets.binarised(datasets.read(own), part.read(rows))
    return NewInputs(inputs), datasets.sources_of(NEW, part, rows, predict), part.remark
