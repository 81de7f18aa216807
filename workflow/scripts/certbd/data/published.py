"""Published datasets as torchvision downloads them: into a folder of its own inside their path.

torchvision is imported only where something is downloaded.
"""

import tempfile
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from certbd.artifacts.io import DataError
from certbd.config.fields import File
from certbd.data.dataset import Dataset
from certbd.data.sources import require


class Published(Dataset):
    """Images in the files that were published."""

    stored_values: ClassVar[int | None] = 256
    folder: ClassVar[str]
    """Where torchvision puts what it downloads, inside the dataset's path."""
    fetcher: ClassVar[str]
    """Name of the class in ``torchvision.datasets``."""
    input_shape: ClassVar[tuple[int, int, int]]
    """Channels, height and width."""
    path: File = "."
    download: bool = Field(
        False,
        description="true lets torchvision fetch a set whose folder is not there, before any job",
    )

    def shape(self, _: Sequence[Path]) -> tuple[int, ...]:
        """Return the shape that was published."""
        return self.input_shape

    def find(self, path: Path, names: Sequence[str]) -> list[Path]:
        """Return files by their names inside the folder.

        Raises
        ------
        DataError
            If one is not there; where the folder is, it says so.
        """
        folder = path / self.folder
        files = [folder / name for name in names]
        missing = [file for file in files if not file.exists()]
        if missing and folder.exists():
            fetched = "so that it is fetched again (download: true is set already)"
            if not self.download:
                fetched = "and set download: true, which lets torchvision fetch all of it"
            raise DataError(
                f"{missing[0]} does not exist, but {folder} does, so that folder is incomplete; "
                f"put the file there, or remove the folder {fetched}"
            )
        way_out = "; download: true lets torchvision fetch it where there is a network"
        return [require(file, way_out) for file in files]

    def fetch(self, path: Path) -> None:
        """Let torchvision download the dataset, if the entry says so and it is absent."""
        if not self.download:
            return
        try:
            if (path / self.folder).exists():
                return
            import torchvision.datasets

            path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path) as made:
                getattr(torchvision.datasets, self.fetcher)(made, download=True)
                Path(made, self.folder).replace(path / self.folder)
        except (OSError, RuntimeError, HTTPException) as error:
            raise DataError(f"{path}: torchvision cannot download {self.kind}: {error}") from error
