"""Whether threats fit the experiments that list them: what each defence can cover."""

from collections.abc import Iterator, Mapping
from typing import Any

from certbd.config import defences, entries, threats
from certbd.config.axes import NO_ATTACK

Entry = Mapping[str, Any]
SOME_ROWS = 1000
"""Rows of a training set that is not known yet: what can be covered does not depend on them."""


def contradictions(raw: Entry) -> Iterator[str]:
    """Find threats that say nothing or too much."""
    for name, threat in raw["threats"].items():
        for message in threats.mistakes(threat):
            yield f"threats.{name}: {message}"


def misfits(raw: Entry, experiment: Entry, path: str) -> Iterator[str]:
    """Find threats that are not defined, or that the experiment's defence cannot cover.

    Under a simulated attack a threat that is not covered stays, for comparison.
    """
    named = experiment.get("threats")
    if named is None and "attacks" not in experiment:
        yield f"{path}: neither 'attacks' nor 'threats'; allowed: one of them, or both"
    for name in named or ():
        if name not in raw["threats"]:
            defined = ", ".join(sorted(raw["threats"])) or "none"
            yield f"{path}.threats: {name!r} is not defined under threats; defined: {defined}"
    if not named:
        return
    defense = experiment["defense"]
    if not defences.read(defense).side.hows:
        yield f"{path}.threats: defense {defense} takes none; allowed: {', '.join(_taking())}"
        return
    attacks = [raw["attacks"][name] for name in experiment["attacks"] if name in raw["attacks"]]
    if experiment["attacks"] == [NO_ATTACK] and attacks and attacks[0]["kind"] != NO_ATTACK:
        yield (
            f"attacks.{NO_ATTACK}: kind {attacks[0]['kind']}; allowed with an experiment that "
            f"lists threats alone: kind {NO_ATTACK}, because its data are taken as they come"
        )
    if all(entries.module(entries.ATTACKS, attack["kind"]).KIND.simulated for attack in attacks):
        return
    for name in named:
        entry = raw["threats"].get(name)
        if entry is not None and not next(threats.mistakes(entry), None):
            yield from _uncovered(raw, experiment, name, entry, path)


def _uncovered(raw: Entry, experiment: Entry, name: str, entry: Entry, path: str) -> Iterator[str]:
    threat, defence = threats.posed(entry, SOME_ROWS), defences.read(experiment["defense"])
    if not defence.covers_rows(threat):
        able = [other for other in _taking() if defences.read(other).covers_rows(threat)]
        yield (
            f"{path}.threats: {name!r} ({threats.describe(entry)}) is nothing that defense "
            f"{experiment['defense']} covers; allowed with it: how "
            f"{' or '.join(defence.side.hows)}, with a trigger; defences that cover this: "
            f"{', '.join(able) or 'none'}"
        )
        return
    for noise in experiment["noises"]:
        known = raw["noises"].get(noise)
        if known is None or any(key not in known for key in defence.needs):
            continue
        triggers = defence.test_side(known).triggers
        if threat.trigger not in triggers:
            yield (
                f"{path}.threats: {name!r} has a trigger, which noise {noise} does not cover, "
                "because its votes are cast on inputs as they are; allowed: sigma_test above 0, "
                "or a threat of rows alone"
            )


def _taking() -> list[str]:
    """Return the defences that take threats."""
    return [name for name in defences.names() if defences.read(name).side.hows]
