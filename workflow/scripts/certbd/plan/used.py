"""The entries that a job uses, by stage.

With what its script imports they are all the code that its result rests on.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from certbd.config import defences, entries
from certbd.config.config import Config

Used = Iterator[str]
"""Names of modules."""


def dataset(config: Config, wildcards: Any) -> Used:
    """Name the kind of a dataset."""
    yield entries.name_of(entries.DATASETS, config.datasets[wildcards.dataset]["kind"])


def attack(config: Config, wildcards: Any) -> Used:
    """Name the kind of an attack."""
    yield entries.name_of(entries.ATTACKS, config.attacks[wildcards.attack]["kind"])


def learner(config: Config, wildcards: Any) -> Used:
    """Name the kind of a learner, and of its features."""
    entry = config.learners[wildcards.learner]
    yield entries.name_of(entries.LEARNERS, entry["kind"])
    if "features" in entry:
        yield entries.name_of(entries.MAPS, entry["features"]["kind"])
    if "network" in entry.get("features", {}):  # an encoder's is that of a learner
        yield entries.name_of(entries.LEARNERS, entry["features"]["network"])


def training(*parts: str) -> Callable[[Config, Any], Used]:
    """Return what names parts of a defence's training side."""

    def used(_: Config, wildcards: Any) -> Used:
        if hasattr(wildcards, "training"):  # a folder of models begins with the name of its side
            side = wildcards.training.partition("-")[0]
        else:
            side = defences.read(wildcards.defense).training
        return (entries.name_of(entries.TRAINING, side, part) for part in ("entry", *parts))

    return used


def testing(_: Config, wildcards: Any) -> Used:
    """Name a defence's test side."""
    yield entries.name_of(entries.TESTING, defences.read(wildcards.defense).testing)


def defence(_: Config, wildcards: Any) -> Used:
    """Name the module that has a defence."""
    yield defences.module_of(wildcards.defense)


def bound(_: Config, wildcards: Any) -> Used:
    """Name a bound."""
    yield entries.name_of(entries.BOUNDS, wildcards.bound)


USED: Mapping[str, tuple[Callable[[Config, Any], Used], ...]] = {
    "data": (dataset,),
    "poison": (attack,),
    "undefended": (learner,),
    "sigma": (learner, training()),
    "models": (learner, training("draw")),
    "votes": (learner, testing),
    "certificates": (training("guarantee"), testing, bound),
    "audit": (learner, training("draw", "audit"), testing, bound),
    "new": (dataset,),
    "new_votes": (learner, testing),
    "new_certificates": (training("guarantee"), testing, bound),
    "external": (bound,),
    "search": (learner, defence, training("draw", "guarantee"), testing, bound),
    "reach": (bound,),
}
"""What each stage uses."""


def every_entry() -> list[str]:
    """Return the names of the modules of all entries, for what looks at a whole configuration."""
    parts = {entries.TRAINING: ("entry", "draw", "guarantee")}
    folders = (
        entries.ATTACKS, entries.DATASETS, entries.LEARNERS, entries.MAPS, entries.BOUNDS,
        entries.TRAINING, entries.TESTING, entries.DEFENCES,
    )  # fmt: skip
    return sorted(
        entries.name_of(folder, kind, part)
        for folder in folders
        for kind in entries.names(folder)
        for part in parts.get(folder, ("",))
    )


def entries_of(config: Config, stage: str, wildcards: Any) -> tuple[str, ...]:
    """Return the names of the modules of the entries that a job uses, sorted."""
    return tuple(sorted({name for used in USED[stage] for name in used(config, wildcards)}))
