"""A training side: what it asks of the configuration, and facts that others need.

``docs/theory.md``, section 9. Its folder has the rest, each part for the stages that need it, so
that a corrected radius trains nothing again.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from certbd.artifacts.schemas import TRAIN
from certbd.config import entries
from certbd.config.fields import Entry
from certbd.config.threats import How
from certbd.training.noise import read_sigma

if TYPE_CHECKING:
    from certbd.training.draw import Draw
    from certbd.training.world import Asked, Guarantee, World

Shows = Literal["noisy", "flipped", "rows", "sums"]


class TrainingSide(Entry):
    """Settings of a training side; its kind is the name of its folder."""

    kind: str
    shows: ClassVar[Shows]
    """What models see: noisy or flipped copies of all inputs, rows as they are, or class sums."""
    covers_labels: ClassVar[bool]
    """Whether certificates hold whatever happened to labels; classes must be listed then."""
    covers_rows: ClassVar[bool]
    """Whether they count rows that are replaced: what is selected may not depend on labels."""
    hows: ClassVar[tuple[How, ...]]
    """What may have happened to rows that certificates cover; none where they count no rows."""
    has_sigma: ClassVar[bool] = False
    """Whether there is Gaussian noise on each training input."""
    optimises: ClassVar[bool] = False
    """Whether each input's noise is optimised first (``sigma.parquet``), as ``per_sample`` does."""
    alone: ClassVar[bool] = False
    """Whether certificates use no bound but that on the predicted class."""
    trains_quickly: ClassVar[bool] = False
    """Whether a model costs next to nothing, whatever the learner."""
    parameter: ClassVar[str] = ""
    """Name of what `noise_search` searches, for an axis."""

    @property
    def folder(self) -> str:
        """The name of a folder for models of this side: its kind, and all that tells it apart."""
        values = [pair for pair in self.settings().items() if pair[0] != "kind"]
        return "-".join([self.kind, *(f"{key}-{_short(value)}" for key, value in values)])

    @classmethod
    def mistakes(cls, noise: Mapping[str, Any]) -> Iterator[tuple[str, str]]:  # noqa: ARG003
        """Yield what a schema cannot refuse of an entry of `noises`: key and message."""
        return iter(())

    def check_fit(self, n_rows: int) -> None:
        """Raise ValueError if it does not fit a training set of so many rows."""


def _short(value: Any) -> str:
    """Return a number as text, and anything else as the start of its digest."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read(settings: Mapping[str, Any]) -> TrainingSide:
    """Return the training side that settings describe."""
    side: TrainingSide = entries.read(entries.TRAINING, settings, "entry")
    return side


def noise_of(
    side: TrainingSide, n_rows: int, file: str | None, identity: str | None
) -> NDArray[np.float64] | None:
    """Return the Gaussian noise on each training input (n_rows,); None for sides without it.

    Parameters
    ----------
    file, identity : str or None
        The ``sigma.parquet`` of a side that optimises it, and its identity.
    """
    if not side.has_sigma:
        return None
    if side.optimises:
        return read_sigma(TRAIN, n_rows, str(file), identity)
    level: float = side.sigma  # type: ignore[attr-defined] # sides with has_sigma have it
    return np.full(n_rows, level)


def draw_of(
    side: TrainingSide, n_classes: int, sigma: NDArray[np.float64] | float | None = None
) -> "Draw":
    """Return what each model sees of the training set.

    Parameters
    ----------
    sigma : array (n,), float or None
        Noise on each training input, for sides that have it.
    """
    part = entries.module(entries.TRAINING, side.kind, "draw")
    draw: Draw = part.draw_of(side, n_classes, sigma)
    return draw


def check_promise(side: TrainingSide, asked: "Asked") -> None:
    """Raise ValueError if certificates of a run could promise nothing, however models vote."""
    part = entries.module(entries.TRAINING, side.kind, "guarantee")
    if hasattr(part, "check_promise"):
        part.check_promise(side, asked)


def guarantee_of(side: TrainingSide, world: "World") -> "Guarantee":
    """Return what votes of models of this side certify, in a world."""
    part = entries.module(entries.TRAINING, side.kind, "guarantee")
    guarantee: Guarantee = part.guarantee_of(side, world)
    return guarantee
