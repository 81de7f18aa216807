"""Gaussian noise of one standard deviation on every training input."""

from typing import ClassVar, Literal

from pydantic import Field

from certbd.config.fields import Entry, Levels, Positive
from certbd.config.threats import How
from certbd.training.side import Shows, TrainingSide


class Gaussian(TrainingSide):
    """Noise of standard deviation `sigma`."""

    kind: Literal["gaussian"]
    sigma: Positive
    shows: ClassVar[Shows] = "noisy"
    covers_labels: ClassVar[bool] = False
    covers_rows: ClassVar[bool] = False
    hows: ClassVar[tuple[How, ...]] = ("triggered",)
    has_sigma: ClassVar[bool] = True
    parameter: ClassVar[str] = "training noise σ_train"


class Noise(Entry):
    """Keys of entries of `noises`."""

    sigma: Positive | None = Field(
        None, description="rab's one noise level, and where cert_ssb starts; above 0"
    )
    sigma_train: Positive | None = Field(
        None,
        description="decoupled's noise on training inputs, on their features where the learner "
        "has any; above 0",
    )


class Searched(Entry):
    """Keys of entries of `searches`."""

    sigma: Levels | None = Field(
        None, description="rab's noise levels, and those from which cert_ssb starts"
    )
    sigma_train: Levels | None = Field(None, description="decoupled's noise on training inputs")


KIND = Gaussian
