"""The threat of each row: a given one, or that which its attack poses."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from certbd import rng
from certbd.attacks.attack import Backdoor, read, simulated
from certbd.config import defences
from certbd.config import threats as asked
from certbd.config.axes import OWN, Run
from certbd.config.config import Config
from certbd.config.threats import Threat
from certbd.data import datasets
from certbd.data.dataset import Outline
from certbd.plan import refusals
from certbd.plan.files import PlanError


def of_entry(config: Config, dataset: str, name: str, known: Outline) -> Threat:
    """Return the threat of an entry of `threats` to a dataset, which `known` outlines.

    Raises
    ------
    PlanError
        If the dataset has not as many rows, or its inputs cannot bear the trigger.
    """
    n_rows = sum(known.training_counts)
    threat = asked.posed(config.threats[name], n_rows)
    here = f"threats.{name} on dataset {dataset}"
    if threat.rows > n_rows and threat.how != "removed":
        raise PlanError(
            f"{here}: rows: {threat.rows} of {n_rows} training inputs; allowed: no more"
        )
    if threat.trigger in asked.OF_IMAGES:
        if not known.has_images:
            raise PlanError(
                f"{here}: {threat.trigger}: inputs are rows of features; allowed: images"
            )
        shape = datasets.read(config.datasets[dataset]).shape(known.files)
        _check_room(threat, shape[1:], here)
    return threat


def _check_room(threat: Threat, sides: tuple[int, ...], here: str) -> None:
    """Refuse a patch or a number of pixels that is larger than images."""
    if not sides:  # a file that does not tell: the job that reads it says what is wrong
        return
    most = min(sides) if threat.trigger == "patch" else int(np.prod(sides))
    if threat.size > most:
        form = " x ".join(map(str, sides))
        raise PlanError(
            f"{here}: {threat.trigger}: {threat.size}; allowed with images of {form} pixels: at "
            f"most {most}"
        )


def check_clipped(config: Config, run: Run, name: str, threat: Threat) -> None:
    """Refuse an attack that leaves [0, 1], in which pixels and patches are counted."""
    attack = simulated(read(config.attacks[run.attack]))
    if attack is not None and not attack.clipped and threat.trigger in asked.OF_IMAGES:
        raise PlanError(
            f"threats.{name} on dataset {run.dataset}: {threat.trigger} takes inputs in [0, 1], "
            f"which attack {run.attack} leaves; allowed with it: norm or linf"
        )


def of_attack(
    config: Config, run: Run, counted: Mapping[str, Any], known: Outline
) -> Threat | None:
    """Return the threat that a run's attack poses to its defence; None for data as they come.

    It poses replaced rows to defences that cover labels, triggered ones to the others; to
    certificates that count coordinates, the most that it changes.

    Parameters
    ----------
    counted : mapping
        Its norm and number of poisoned inputs (`refusals.attack_settings`).
    """
    if simulated(read(config.attacks[run.attack])) is None:
        return None
    return _posed_by_attack(config, run, counted, known)


def _posed_by_attack(
    config: Config, run: Run, counted: Mapping[str, Any], known: Outline
) -> Threat:
    rows, how = counted["n_poisoned"], _how(run.defense)
    attack = simulated(read(config.attacks[run.attack]))
    if attack is not None and not defences.read(run.defense).side.hows:  # counts coordinates
        shape = datasets.read(config.datasets[run.dataset]).shape(known.files)
        changed = _features_changed(attack, shape)
        return Threat(rows, how, "l0", rows * (changed + 1) + changed)
    return Threat(rows, how, "l2", counted["attack_norm"])


def of_search(config: Config, search: Mapping[str, Any], known: Outline) -> Threat:
    """Return the threat that a noise search tries to cover; errors as `of_entry`."""
    if "threat" in search:
        return of_entry(config, search["dataset"], search["threat"], known)
    counted = refusals.attack_settings(config, search["dataset"], search["attack"], known)
    run = Run(search["dataset"], search["attack"], search["defense"], "", search["learner"], 0)
    return _posed_by_attack(config, run, counted, known)


def _how(defense: str) -> asked.How:
    """Return what a simulated attack does to rows, as a defence covers it."""
    return "replaced" if defences.read(defense).side.covers_labels else "triggered"


def _features_changed(attack: Backdoor, shape: tuple[int, ...]) -> int:
    """Return how many features of an input the trigger changes at most."""
    if not shape:  # as above
        return 0
    trigger = attack.make_trigger(shape, rng.generator(attack.seed, rng.Purpose.PATTERN))
    return int(np.count_nonzero(trigger))


def of_votes_from_elsewhere(
    config: Config, run: Run, name: str, counted: Mapping[str, Any]
) -> Threat | None:
    """Return the threat to models trained elsewhere; None where it is not known."""
    entry = config.external[run]
    if name != OWN:
        return asked.posed(config.threats[name], entry.get("n_rows", 0))
    if counted["n_poisoned"] is None:
        return None
    how: asked.How = "replaced" if "n_rows" in entry else "triggered"
    return Threat(counted["n_poisoned"], how, "l2", counted["attack_norm"])
