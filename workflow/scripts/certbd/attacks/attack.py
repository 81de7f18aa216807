"""What an attack is: its entry of the configuration, its trigger, and where that fits.

Sources: Weber et al., arXiv 2003.08904, and the published code of Qiao et al., arXiv 2504.21730;
``docs/theory.md``, section 8.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from certbd.config import entries
from certbd.config.fields import Entry, Positive, Seed


class Attack(Entry):
    """What the workflow does to a training set before anything learns from it."""

    simulated: ClassVar[bool]
    """Whether training inputs are poisoned and there are triggered test inputs."""
    kind: str
    seed: Seed = 0


class Backdoor(Attack):
    """A trigger that is added to some training inputs, which are given the target label."""

    simulated: ClassVar[bool] = True
    clipped: ClassVar[bool]
    """Whether sums of input and trigger are clipped at 1."""
    norm: Positive = Field(description="l2 norm of the trigger, pixels in [0, 1]")
    rate: float = Field(
        gt=0,
        le=1,
        description="share of the training inputs that are poisoned, above 0 and at most 1",
    )
    target: int = Field(
        0,
        ge=0,
        description="label that poisoned inputs are given (a position in the dataset's classes)",
    )
    seed: Seed = Field(
        0, description="seed of the poisoned rows, the blending pattern and the undefended network"
    )

    @abstractmethod
    def check_fit(self, has_images: bool) -> None:
        """Raise DataError if inputs, images or rows of features, cannot have the trigger."""

    @abstractmethod
    def check_domain(self, channels: int, size: int) -> None:
        """Raise DataError if the trigger leads out of a domain of `size` values.

        Inputs are images with so many channels.
        """

    @abstractmethod
    def pattern(
        self, shape: tuple[int, ...], generator: np.random.Generator
    ) -> NDArray[np.float64]:
        """Return the trigger of inputs of this shape, at any norm above 0."""

    def make_trigger(
        self, shape: tuple[int, ...], generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """Return the trigger at its l2 norm.

        Parameters
        ----------
        shape : tuple of int
            Of an input: (channels, height, width), or (features,).
        generator : numpy.random.Generator
            What a trigger draws that is drawn.

        Raises
        ------
        DataError
            If an input of this shape cannot have it.
        """
        pattern = self.pattern(shape, generator)
        return (pattern * (self.norm / np.linalg.norm(pattern))).astype(np.float32)


def read(settings: Mapping[str, Any]) -> Attack:
    """Return the attack of an entry of the configuration's ``attacks``.

    Raises
    ------
    ValueError
        If there is no such kind of attack.
    """
    attack: Attack = entries.read(entries.ATTACKS, settings)
    return attack


def simulated(attack: Attack) -> Backdoor | None:
    """Return an attack that the workflow simulates, None for data that are taken as they come.

    Raises
    ------
    ValueError
        If it says that it is simulated, and has no trigger.
    """
    if not attack.simulated:
        return None
    if not isinstance(attack, Backdoor):
        raise ValueError(f"attack of kind {attack.kind}: simulated, but without a trigger")
    return attack
