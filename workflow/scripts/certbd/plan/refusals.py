"""What cannot be run, seen from the labels of datasets and before any job."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from certbd.artifacts.io import DataError
from certbd.attacks.attack import read, simulated
from certbd.attacks.poison import count_poisoned
from certbd.config import defences
from certbd.config.axes import Certification, Run
from certbd.config.config import Config
from certbd.config.threats import Threat
from certbd.data import datasets
from certbd.data.dataset import Outline
from certbd.plan import paths
from certbd.plan.files import PlanError
from certbd.training import side
from certbd.training.world import Asked


def attack_settings(config: Config, dataset: str, name: str, known: Outline) -> dict[str, Any]:
    """Return an attack's norm, number of poisoned inputs and target; refuse one that does not fit.

    `known` outlines the dataset.
    """
    attack = simulated(read(config.attacks[name]))
    if attack is None:
        return {"attack_norm": None, "n_poisoned": None, "target": None}
    try:
        attack.check_fit(known.has_images)
        n_poisoned = count_poisoned(attack, known.training_counts)
    except DataError as error:
        raise PlanError(f"attacks.{name} on dataset {dataset}: {error}") from error
    return {"attack_norm": attack.norm, "n_poisoned": n_poisoned, "target": attack.target}


def check_draw(config: Config, run: Run, known: Outline) -> None:
    """Refuse a training side that does not fit its data: a draw of more rows than there are."""
    n_rows = sum(known.training_counts)
    try:
        config.training_side(run).check_fit(n_rows)
    except ValueError as error:
        raise PlanError(f"noises.{run.noise}.{error} of {run.dataset}") from error


def check_selection(config: Config, run: Run, known: Outline) -> None:
    """Refuse to select by labels what arrives as it is, where certificates cover rows.

    (A defence that covers labels alone counts changes among the classes that are listed.)
    """
    as_given = not read(config.attacks[run.attack]).simulated
    if as_given and known.left_out and defences.read(run.defense).side.covers_rows:
        raise PlanError(
            f"datasets.{run.dataset}.classes: leaves out {', '.join(known.left_out[:10])}, so a "
            f"relabelled row would enter or leave the set that defense {run.defense} certifies; "
            f"allowed with attack {run.attack}: every class there is (an attack of the workflow's "
            "own poisons the rows that were selected, and may use any classes)"
        )


def check_counted(config: Config, run: Run, threat: Threat | None, known: Outline) -> None:
    """Refuse rows added or removed where these would draw other rows in or out.

    (An attack of the workflow's own comes after rows were selected.)
    """
    as_given = not read(config.attacks[run.attack]).simulated
    if threat is not None and threat.how in ("added", "removed") and as_given and known.moves:
        raise PlanError(
            f"datasets.{run.dataset}: {known.moves}, so with rows {threat.how} by the attacker "
            "more than these would differ; allowed: id_column (or images, which are known by their "
            "names), or training and test inputs in files of their own, without subset.train"
        )


def check_trusted(config: Config, name: str, outlines: Mapping[str, Outline]) -> None:
    """Refuse to search on a dataset that is not of the form of the one to be certified."""
    search = config.searches[name]
    own, other = (outlines[search[key]] for key in ("dataset", "trusted"))
    shapes = [
        datasets.read(config.datasets[search[key]]).shape(known.files)
        for key, known in (("dataset", own), ("trusted", other))
    ]
    if own.classes != other.classes or shapes[0] != shapes[1]:
        raise PlanError(
            f"searches.{name}.trusted: {search['trusted']} has classes {other.classes} and inputs "
            f"of shape {shapes[1]}; allowed: those of {search['dataset']}, {own.classes} and "
            f"{shapes[0]}"
        )


def check_new(config: Config, run: Run) -> None:
    """Refuse new inputs where noise is optimised for each input, which would train pilots again."""
    if "predict" in config.datasets[run.dataset] and config.training_side(run).optimises:
        raise PlanError(
            f"datasets.{run.dataset}.predict: not with defense {run.defense}, whose noise is "
            "optimised for each input; allowed: any other"
        )


def check_promise(config: Config, run: Run, certification: Certification, known: Outline) -> None:
    """Refuse what could certify nothing: values out of their domain, too few models."""
    asked = Asked(
        datasets.read(config.datasets[run.dataset]),
        read(config.attacks[run.attack]),
        config.test_side(run),
        certification,
        sum(known.training_counts),
        sum(known.test_counts),
        len(known.classes),
    )
    try:
        side.check_promise(config.training_side(run), asked)
    except ValueError as error:
        raise PlanError(
            f"defense {run.defense} on dataset {run.dataset}, attack {run.attack}, noise "
            f"{run.noise}: {error}"
        ) from error


def by_folder(sides: Iterable[Any]) -> dict[str, Any]:
    """Return training sides by their folders, which must tell them apart; else raise ValueError."""
    found: dict[str, Any] = {}
    for own in sides:
        if found.setdefault(own.folder, own) != own or not re.fullmatch(paths.NAME, own.folder):
            raise ValueError(f"training side {own}: a folder {own.folder} does not tell it apart")
    return found
