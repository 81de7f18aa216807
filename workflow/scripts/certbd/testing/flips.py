"""Features of test inputs kept or replaced at random in each vote.

``docs/theory.md``, section 6.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from certbd.config.fields import Entry
from certbd.config.threats import Trigger
from certbd.data.domains import Replacement
from certbd.testing.side import TestSide
from certbd.training.flips.entry import Kept, Values


class Flips(TestSide):
    """Features of `values` values, kept with probability `beta`."""

    kind: Literal["flips"]
    beta: Kept
    values: Values = 2

    def sigma(
        self,
        split: str,  # noqa: ARG002
        n_inputs: int,
        file: str | None,  # noqa: ARG002
        identity: str | None,  # noqa: ARG002
    ) -> NDArray[np.float64]:
        """Return NaN: this noise has no standard deviation."""
        return np.full(n_inputs, np.nan)

    def noise(self, sigma: NDArray[np.float64]) -> Replacement:  # noqa: ARG002
        """Return the discrete noise, the same on every input."""
        return Replacement(self.beta, self.values)

    @property
    def triggers(self) -> tuple[Trigger, ...]:
        """Coordinates that are changed, in training set and test input together."""
        return ("l0",)

    @property
    def is_noisy(self) -> bool:
        """Always."""
        return True


class Noise(Entry):
    """No keys of its own: those of the training side of flips serve both."""


KIND = Flips
