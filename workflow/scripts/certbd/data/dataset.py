"""What a dataset is: its entry of the configuration, and what is known of it before it is read."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BeforeValidator, Field, model_validator

from certbd.artifacts.io import DataError
from certbd.config.fields import Entry, File, Seed
from certbd.data.sources import Part, Source


class Outline(NamedTuple):
    """What is known of a dataset before it is read."""

    classes: list[str]
    """Names of the classes in label order."""
    training_counts: list[int]
    """Number of training inputs of each label."""
    test_counts: list[int]
    """Number of test inputs of each label."""
    files: list[Path]
    """Every file that it is read from."""
    has_images: bool
    """Whether an input is (channels, height, width) rather than a row of features."""
    left_out: list[str]
    """Labels in the files that are not among the classes: their rows are not used."""
    moves: str = ""
    """Why a row that is added or removed would draw others in or out; '' where it would not."""


class Subset(Entry):
    """So many inputs of the training and the test side, chosen by a seeded hash of their names."""

    train: int | None = Field(None, ge=1, description="number of training inputs; default all")
    test: int | None = Field(None, ge=1, description="number of test inputs; default all")
    seed: Seed = Field(0, description="which inputs")


class Dataset(Entry):
    """Inputs in [0, 1] with labels, the same at every reading."""

    stored_values: ClassVar[int | None]
    """Number of values of a feature as it is stored; None where that is not known."""
    channels: ClassVar[int]
    """Number of channels of an image; 1 where the kind does not tell."""
    kind: str
    subset: Subset | None = None
    binarise: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="a threshold; features of at least as much become 1, others 0"
    )

    @abstractmethod
    def open(self, path: Path) -> Source:
        """Look at labels and names of files, and say how inputs are read.

        Raises
        ------
        DataError, OSError
            If a file is missing or cannot be used.
        """

    @abstractmethod
    def shape(self, files: Sequence[Path]) -> tuple[int, ...]:
        """Return the shape of an input of the outline's files before they are read.

        It is empty where a file does not tell: the job that reads it says what is wrong.
        """

    def source_units(self, files: Sequence[Path], change: float) -> str:  # noqa: ARG002
        """Say what a change of one value of an input is in the units of the files; '' if the same.

        Parameters
        ----------
        files : sequence of Path
            Of the outline.
        """
        if self.stored_values is None or self.binarise is not None:
            return ""
        return f"{change * (self.stored_values - 1):.3g} of its {self.stored_values} levels"

    def fetch(self, path: Path) -> None:
        """Download what is not there, if the entry says so; errors as `datasets.fetch`."""

    def published_outline(self, path: Path) -> Outline | None:  # noqa: ARG002
        """Return the outline where it is known without opening a file, else None."""
        return None

    def contradictions(self, path: str) -> Iterator[str]:  # noqa: ARG002
        """Say which settings do not fit each other; `path` is that of the entry."""
        yield from ()

    @model_validator(mode="before")
    @classmethod
    def _wherever(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Let a stage's settings be without the path, on which no result depends."""
        return ({"path": "."} if "path" in cls.model_fields else {}) | settings

    @property
    def n_values(self) -> int | None:
        """Number of values of a feature, None where it is not known."""
        stored = self.stored_values
        return stored if self.binarise is None else 2


class OwnFiles(Dataset):
    """A dataset in files of one's own: the head of the first says how large an input is."""

    predict: File | None = Field(
        None,
        description="new inputs without labels, to be predicted: a folder of images, a table or an "
        "npz file with an array inputs, of the form of the training inputs; relative to data_root "
        "unless absolute; labels in it are ignored",
    )
    poisoned: File | None = Field(
        None,
        description="a table that lists inputs which are known to be poisoned, for metrics alone: "
        "a column source (a file, or a row from 0, as in sources.parquet) or id, and split (train "
        "or test) where that is not clear; relative to data_root unless absolute",
    )

    @abstractmethod
    def open_new(self, path: Path, training: Sequence[Path]) -> Part:
        """Say how new inputs are read, without labels, and look at names alone.

        Parameters
        ----------
        path : Path
            Of `predict`.
        training : sequence of Path
            The files of the dataset, which new inputs must be like.

        Raises
        ------
        DataError, OSError
            If a file is missing or cannot be used.
        """

    @abstractmethod
    def head_shape(self, file: Path) -> tuple[int, ...]:
        """Return the shape of an input as the head of a file says it."""

    def shape(self, files: Sequence[Path]) -> tuple[int, ...]:
        """Return the shape of an input; () where the head cannot be read."""
        try:
            return self.head_shape(files[0])
        except (DataError, OSError, ValueError):
            return ()


def _digit(value: Any) -> Any:
    """Take the text of a digit, by which stages name its class, for the digit."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


Digit = Annotated[int, Field(ge=0, le=9), BeforeValidator(_digit)]
