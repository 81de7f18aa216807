"""Noise on the class sums of the training set, which are all that a model sees."""

from typing import ClassVar, Literal

from pydantic import Field

from certbd.config.defences import Defence
from certbd.config.fields import Entry, Levels, Positive
from certbd.config.threats import How
from certbd.training.side import Shows, TrainingSide


class Statistic(TrainingSide):
    """Noise of standard deviation `sigma_statistic` on each coordinate of the class sums over n."""

    kind: Literal["statistic"]
    sigma_statistic: Positive
    shows: ClassVar[Shows] = "sums"
    covers_labels: ClassVar[bool] = True
    covers_rows: ClassVar[bool] = True
    hows: ClassVar[tuple[How, ...]] = ("triggered", "replaced")
    trains_quickly: ClassVar[bool] = True
    parameter: ClassVar[str] = "noise on the statistic, s"


class Noise(Entry):
    """Keys of entries of `noises`."""

    sigma_statistic: Positive | None = Field(
        None, description="statistic's noise on each coordinate of the class sums over n; above 0"
    )


class Searched(Entry):
    """Keys of entries of `searches`."""

    sigma_statistic: Levels | None = Field(None, description="statistic's noise levels")


KIND = Statistic
DEFENCE = Defence(
    training="statistic",
    testing="noise",
    training_keys={"sigma_statistic": "sigma_statistic"},
    testing_keys={"level": "sigma_test"},
    needs=("sigma_statistic", "sigma_test"),
    curves=("trigger", "rows"),
    colour="#e69f00",
    features="any",
    without_test_noise=True,
)
