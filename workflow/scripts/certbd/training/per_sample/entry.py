"""Gaussian noise whose standard deviation is optimised for each input by sigma ascent."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from certbd.config.fields import Entry, Levels, Positive
from certbd.config.threats import How
from certbd.training.side import Shows, TrainingSide


class Search(Entry):
    """cert_ssb's stochastic gradient ascent on each sample's noise."""

    objective: Literal["radius", "released"] = Field(
        "radius",
        description="radius: the estimated radius; released: that of the code published with "
        "Cert-SSB, for comparison (its gradient ignores how sigma changes the prediction, so "
        "sigma only grows)",
    )
    pilots: int = Field(
        8, ge=1, description="number of pilot models, apart from the models that vote"
    )
    draws: int = Field(16, ge=1, description="noise draws per step")
    steps: int = Field(100, ge=1, description="gradient steps")
    learning_rate: Positive = Field(
        0.02,
        description="step length, absolute; sigma moves by it times the gradient of the radius",
    )
    bounds: list[Positive] = Field(
        [0.5, 4],
        min_length=2,
        max_length=2,
        description="lowest and highest sigma, in units of the noise entry's sigma",
    )


class PerSample(TrainingSide):
    """Noise that starts from `sigma` and is optimised for each input."""

    kind: Literal["per_sample"]
    sigma: Positive
    search: Search
    shows: ClassVar[Shows] = "noisy"
    covers_labels: ClassVar[bool] = False
    covers_rows: ClassVar[bool] = False
    hows: ClassVar[tuple[How, ...]] = ("triggered",)
    has_sigma: ClassVar[bool] = True
    optimises: ClassVar[bool] = True

    @classmethod
    def mistakes(cls, noise: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Refuse bounds that leave out where the search starts."""
        low, high = noise["search"]["bounds"]
        if not low <= 1 <= high:
            yield "search.bounds", f"[{low}, {high}] does not hold 1, where the search starts"


class Noise(Entry):
    """Keys of entries of `noises`."""

    search: Search = Search()


class Searched(Entry):
    """Keys of entries of `searches`."""

    sigma: Levels | None = Field(
        None, description="rab's noise levels, and those from which cert_ssb starts"
    )


KIND = PerSample
