"""Each training feature and label is kept with a given probability, else replaced uniformly.

Wang et al., arXiv 2002.11750.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from certbd.config.fields import Entry
from certbd.config.threats import How
from certbd.training.side import Shows, TrainingSide

Kept = Annotated[float, Field(gt=0, lt=1)]
Values = Annotated[int, Field(ge=2, le=256)]


def low_beta(beta: float, size: int) -> str | None:
    """Say why a probability of keeping one of `size` values is too low; None if it is not."""
    if beta * size > 1:
        return None
    return f"{beta} with values: {size}; allowed: above 1/{size} (drawn at random), below 1"


class Flips(TrainingSide):
    """Features of `values` values kept with probability `beta`, labels with `beta_labels`."""

    kind: Literal["flips"]
    beta: Kept
    beta_labels: Kept | None = None
    values: Values = 2
    shows: ClassVar[Shows] = "flipped"
    covers_labels: ClassVar[bool] = True
    covers_rows: ClassVar[bool] = False
    hows: ClassVar[tuple[How, ...]] = ()
    alone: ClassVar[bool] = True

    @property
    def kept_labels(self) -> float:
        """The probability that a label is kept: beta unless it is given."""
        return self.beta if self.beta_labels is None else self.beta_labels

    @classmethod
    def mistakes(cls, noise: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Refuse probabilities at which a value that is kept is no likelier than another."""
        if message := low_beta(noise.get("beta", 1), noise.get("values", 2)):
            yield "beta", message


class Noise(Entry):
    """Keys of entries of `noises`."""

    beta: Kept | None = Field(
        None,
        description="discrete's probability that a feature keeps its value; above 1/values, "
        "below 1",
    )
    beta_labels: Kept | None = Field(
        None,
        description="the same for labels, above 1/(number of classes), below 1; default beta",
    )
    values: Values | None = Field(
        None,
        description="number K of values of a feature, 2 to 256, equally spaced from 0 to 1; "
        "default 2",
    )


class Searched(Entry):
    """Keys of entries of `searches`."""

    beta: list[Kept] | None = Field(
        None,
        min_length=1,
        description="discrete's probabilities that a value is kept",
        json_schema_extra={"uniqueItems": True},
    )


KIND = Flips
