"""The files that a configuration names: which they are, and what they hold."""

from functools import cache
from pathlib import Path

from certbd.artifacts.io import DataError
from certbd.artifacts.seals import file_sum
from certbd.config.axes import Run
from certbd.config.config import Config
from certbd.data import datasets, new_inputs
from certbd.data.dataset import Outline
from certbd.data.known import Known, read_known
from certbd.learners import learner as learners


class PlanError(ValueError):
    """What is asked for cannot be made; the message names the key and what is allowed."""


@cache
def checksum(path: Path | None) -> str | None:
    """Return a file's SHA-256, so that another path to it changes nothing; None for no file."""
    return None if path is None else file_sum(path)


def dataset_path(config: Config, name: str) -> Path:
    """Return the file or folder of a dataset."""
    return Path(config.data_root, config.datasets[name].get("path", ""))


def outline(config: Config, name: str) -> Outline:
    """Return what is known of a dataset before it is read; its files must be there."""
    entry, path = config.datasets[name], dataset_path(config, name)
    try:
        datasets.fetch(entry, path)
        return datasets.outline(entry, path)
    except DataError as error:
        raise PlanError(f"datasets.{name}: {error}") from error


def content(config: Config, name: str, outline: Outline) -> str:
    """Return the checksum of a dataset's files."""
    try:
        return datasets.checksum(outline.files, dataset_path(config, name))
    except (OSError, DataError) as error:
        raise PlanError(f"datasets.{name}: {error}") from error


def predict_path(config: Config, name: str) -> Path:
    """Return the file or folder of a dataset's new inputs."""
    return Path(config.data_root, config.datasets[name]["predict"])


def new_content(config: Config, name: str) -> tuple[str, int]:
    """Return the checksum of the files of a dataset's new inputs, which must be there; how many."""
    entry, path, predict = (
        config.datasets[name],
        dataset_path(config, name),
        predict_path(config, name),
    )
    try:
        part, found = new_inputs.new_part(entry, path, predict)
        return datasets.checksum(found, predict), len(part.labels)
    except (OSError, DataError) as error:
        raise PlanError(f"datasets.{name}.predict: {error}") from error


def known_poisoned(config: Config, name: str) -> Known:
    """Return which inputs of a dataset its file of poisoned ones names."""
    entry, path = config.datasets[name], dataset_path(config, name)
    try:
        return read_known(entry, path, Path(config.data_root, entry["poisoned"]))
    except (OSError, DataError) as error:
        raise PlanError(f"datasets.{name}.poisoned: {error}") from error


def external_file(config: Config, run: Run, key: str) -> Path | None:
    """Return a file that an external experiment names; it must be there."""
    name = config.external[run].get(key)
    if name is None:
        return None
    path = Path(config.data_root, name)
    if not path.is_file():
        raise PlanError(
            f"{key} of the external experiment on {run.dataset}: {path} is not a file; set "
            "data_root to the folder that holds it (--config data_root=FOLDER), or the key"
        )
    return path


def weights_key(config: Config, learner: str) -> str:
    """Return the key of a learner that names its file of weights, '' for none."""
    weights = learners.read(config.learners[learner]).weights_file()
    return "" if weights is None else weights.key


def pretrained_file(config: Config, learner: str) -> str:
    """Return the file of pretrained weights, a learner's or its encoder's, or ''; it must exist."""
    weights = learners.read(config.learners[learner]).weights_file()
    if weights is None:
        return ""
    path = Path(config.data_root, weights.name)
    if not path.is_file():
        raise PlanError(
            f"learners.{learner}.{weights.key}: {path} is not a file; set data_root to the folder "
            "that holds it (--config data_root=FOLDER), the key to a safetensors file with "
            f"{weights.holds}"
        )
    return str(path)
