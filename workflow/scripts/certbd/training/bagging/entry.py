"""Bagging: each model sees rows drawn without replacement. Jia et al., arXiv 2008.04495."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from certbd.config.defences import Defence
from certbd.config.fields import Entry
from certbd.config.threats import How
from certbd.training.side import Shows, TrainingSide

Rows = Annotated[int, Field(ge=1)]


class Bagging(TrainingSide):
    """`n_drawn` rows for each model."""

    kind: Literal["bagging"]
    n_drawn: Rows
    shows: ClassVar[Shows] = "rows"
    covers_labels: ClassVar[bool] = True
    covers_rows: ClassVar[bool] = True
    hows: ClassVar[tuple[How, ...]] = ("triggered", "replaced", "added", "removed")
    parameter: ClassVar[str] = "rows drawn for a model, m"

    def check_fit(self, n_rows: int) -> None:
        """Refuse to draw more rows than there are."""
        if self.n_drawn > n_rows:
            raise ValueError(f"n_drawn: {self.n_drawn} of {n_rows} training inputs")


class Noise(Entry):
    """Keys of entries of `noises`."""

    n_drawn: Rows | None = Field(
        None, description="bagging's rows for each model, drawn without replacement"
    )


class Searched(Entry):
    """Keys of entries of `searches`."""

    n_drawn: list[Rows] | None = Field(
        None,
        min_length=1,
        description="bagging's numbers of rows for each model",
        json_schema_extra={"uniqueItems": True},
    )


KIND = Bagging
DEFENCE = Defence(
    training="bagging",
    testing="noise",
    training_keys={"n_drawn": "n_drawn"},
    testing_keys={"level": "sigma_test"},
    needs=("n_drawn", "sigma_test"),
    curves=("trigger", "rows"),
    colour="#cc79a7",
    features="any",
    without_test_noise=True,
)
