"""The published datasets: the names of their folders, files and classes, as torchvision has them.

torchvision is imported only where checksums are needed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from certbd.artifacts.io import DataError

FOLDERS = {
    "mnist": "MNIST", "cifar10": "cifar-10-batches-py", "imagenette": "imagenette2"
}  # fmt: skip
"""Where torchvision puts what it downloads, inside a dataset's path."""
MNIST_FILES = tuple(
    f"raw/{split}-{what}-ubyte"
    for split in ("train", "t10k")
    for what in ("images-idx3", "labels-idx1")
)
CIFAR10_BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
)  # fmt: skip
IMAGENETTE_SIZE = 224
IMAGENETTE = {
    "tench": "n01440764",
    "English springer": "n02102040",
    "cassette player": "n02979186",
    "chain saw": "n03000684",
    "church": "n03028079",
    "French horn": "n03394916",
    "garbage truck": "n03417042",
    "gas pump": "n03425413",
    "golf ball": "n03445777",
    "parachute": "n03888257",
}


def find(settings: Mapping[str, Any], path: Path, names: Sequence[str]) -> list[Path]:
    """Return files of a published dataset by their names inside its folder.

    Raises
    ------
    DataError
        If the folder is there but lacks one of them. Where the folder itself is not there, none is
        looked for.
    """
    folder = path / FOLDERS[settings["kind"]]
    files = [folder / name for name in names]
    missing = [file for file in files if not file.exists()]
    if missing and folder.exists():
        fetched = "so that it is fetched again (download: true is set already)"
        if not settings.get("download"):
            fetched = "and set download: true, which lets torchvision fetch all of it"
        raise DataError(
            f"{missing[0]} does not exist, but {folder} does, so that folder is incomplete; put "
            f"the file there, or remove the folder {fetched}"
        )
    return files


def check_cifar10(files: Sequence[Path]) -> None:
    """Compare CIFAR-10's files with the published checksums.

    Raises
    ------
    DataError
        If one differs.
    """
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    md5 = dict([*CIFAR10.train_list, *CIFAR10.test_list])
    md5[CIFAR10.meta["filename"]] = CIFAR10.meta["md5"]
    for file in files:
        if not check_integrity(file, md5[file.name]):
            raise DataError(
                f"{file}: not the published file by its md5 checksum, so it is not read; remove "
                f"{file.parent} and fetch it again (download: true)"
            )
