"""The noise of a run, for the stages that draw it and the stage that certifies under it.

One function serves both, so that the sigma of a vote is the sigma in its radius.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from certbd.artifacts.io import DataError, read_table
from certbd.artifacts.schemas import BENIGN, SIGMA, TRAIN, TRIGGERED

SIDE_OF = {TRAIN: "train", BENIGN: "test", TRIGGERED: "test"}
"""Which constant is the noise on the inputs of a split."""


def sigma_of(
    split: str,
    n_inputs: int,
    levels: Mapping[str, float] | None,
    file: str | None,
    identity: str | None,
) -> NDArray[np.float64]:
    """Return the standard deviation of the noise on each input of a split.

    Parameters
    ----------
    split : str
        ``train``, ``benign`` or ``triggered``.
    n_inputs : int
        Number of inputs of the split.
    levels : mapping or None
        Constants ``train`` and ``test``; None where each input has its own. With ``beta`` the
        noise is discrete.
    file : str or None
        The ``sigma.parquet`` that holds them then.
    identity : str or None
        Its identity.

    Returns
    -------
    array (n_inputs,)
        NaN for discrete noise.
    """
    if levels is not None and "beta" in levels:
        return np.full(n_inputs, np.nan)
    if levels is not None:
        return np.full(n_inputs, levels[SIDE_OF[split]])
    table = read_table(str(file), SIGMA, identity)
    part = table[table["split"] == split].sort_values("sample")
    if not np.array_equal(part["sample"], np.arange(n_inputs)):
        raise DataError(f"{file}: {split}: one row is needed for each of {n_inputs} inputs")
    sigma = part["sigma"].to_numpy()
    if not np.all((sigma > 0) & np.isfinite(sigma)):
        raise DataError(f"{file}: {split}: sigma must be above 0 and finite")
    return sigma
