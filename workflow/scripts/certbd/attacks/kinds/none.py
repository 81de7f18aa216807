"""No attack of the workflow's own: the training set as it is."""

from typing import ClassVar, Literal

from pydantic import Field

from certbd.attacks.attack import Attack
from certbd.config.fields import Seed


class NoAttack(Attack):
    """The training set as it is; no triggered test inputs."""

    simulated: ClassVar[bool] = False
    kind: Literal["none"]
    seed: Seed = Field(0, description="seed of the undefended network")


KIND = NoAttack
