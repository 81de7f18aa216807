"""The noise that was optimised for each input, for the stages that draw it and certify under it.

One function serves both, so that the sigma of a vote is the sigma in its radius.
"""

import numpy as np
from numpy.typing import NDArray

from certbd.artifacts.io import DataError, read_table
from certbd.artifacts.schemas import SIGMA


def read_sigma(split: str, n_inputs: int, file: str, identity: str | None) -> NDArray[np.float64]:
    """Return the standard deviation of the noise on each input of a split, (n_inputs,).

    Parameters
    ----------
    split : str
        ``train``, ``benign`` or ``triggered``.
    file : str
        The ``sigma.parquet`` of the models.
    identity : str or None
        Its identity.

    Raises
    ------
    DataError
        If it has not one row for each input, or a sigma that is not above 0 and finite.
    """
    table = read_table(file, SIGMA, identity)
    part = table[table["split"] == split].sort_values("sample")
    if not np.array_equal(part["sample"], np.arange(n_inputs)):
        raise DataError(f"{file}: {split}: one row is needed for each of {n_inputs} inputs")
    sigma = part["sigma"].to_numpy()
    if not np.all((sigma > 0) & np.isfinite(sigma)):
        raise DataError(f"{file}: {split}: sigma must be above 0 and finite")
    return sigma
