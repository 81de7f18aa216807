"""Gaussian noise in the vote: each model sees every input under noise of its own."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from certbd.config.fields import Entry
from certbd.config.threats import Trigger
from certbd.testing.side import TestSide
from certbd.training.noise import read_sigma


class GaussianNoise(TestSide):
    """Noise of standard deviation `level` on test inputs; None where each has its own."""

    kind: Literal["noise"]
    level: float | None = Field(None, ge=0)

    def sigma(
        self, split: str, n_inputs: int, file: str | None, identity: str | None
    ) -> NDArray[np.float64]:
        """Return the noise of each input, of its own or the same for all."""
        if self.level is None:
            return read_sigma(split, n_inputs, str(file), identity)
        return np.full(n_inputs, self.level)

    def noise(self, sigma: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the standard deviations."""
        return sigma

    @property
    def triggers(self) -> tuple[Trigger, ...]:
        """Those with an l2 norm (`Threat.norm`), where there is noise."""
        return ("none", "l2", "linf", "pixels", "patch") if self.is_noisy else ("none",)

    @property
    def is_noisy(self) -> bool:
        """Whether its level is not 0."""
        return self.level != 0


class Noise(Entry):
    """Keys of entries of `noises`."""

    sigma_test: float | None = Field(
        None,
        ge=0,
        description="noise on test inputs (decoupled, bagging, statistic), on their features where "
        "the learner has any that are no encoder's; 0, for none, with bagging and statistic alone",
    )


KIND = GaussianNoise
