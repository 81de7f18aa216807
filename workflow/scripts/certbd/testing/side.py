"""A test side: what a vote on a test input is cast on. ``docs/theory.md``, section 9."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certbd.config import entries
from certbd.config.fields import Entry
from certbd.config.threats import Trigger
from certbd.data.domains import Replacement

Noise = float | NDArray[np.float64] | Replacement
"""Standard deviation of Gaussian noise, one or one for each input (n,); or discrete noise."""


class TestSide(Entry):
    """Settings of a test side; its kind is the name of its module."""

    __test__ = False  # no test of pytest's
    kind: str

    def sigma(
        self, split: str, n_inputs: int, file: str | None, identity: str | None
    ) -> NDArray[np.float64]:
        """Return the standard deviation of the noise on each input of a split; NaN if it has none.

        Parameters
        ----------
        file, identity : str or None
            The ``sigma.parquet`` of a run that has one, and its identity.
        """
        raise NotImplementedError

    def noise(self, sigma: NDArray[np.float64]) -> Noise:
        """Return what `votes.vote` puts on inputs of this `sigma`."""
        raise NotImplementedError

    @property
    def triggers(self) -> tuple[Trigger, ...]:
        """Kinds of triggers on test inputs that certificates can cover, ``none`` for no trigger."""
        raise NotImplementedError

    @property
    def is_noisy(self) -> bool:
        """Whether votes are cast on anything else than inputs as they are."""
        raise NotImplementedError


def read(settings: Mapping[str, Any]) -> TestSide:
    """Return the test side that settings describe."""
    side: TestSide = entries.read(entries.TESTING, settings)
    return side
