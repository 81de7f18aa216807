"""Whether a noise search fits: its defence, what it tries, and what is to be covered."""

from collections.abc import Iterator, Mapping
from typing import Any

from certbd.config import defences, entries, threats
from certbd.config.checks import names
from certbd.config.checks.threats import SOME_ROWS
from certbd.config.defences import Defence

Entry = Mapping[str, Any]
NO_NOISE = [0.0]


def misfits(raw: Entry, search: Entry, path: str) -> Iterator[str]:
    """Find a search that lacks its defence's parameter, has another's, or can cover nothing."""
    for key, table in (
        ("dataset", "datasets"), ("trusted", "datasets"), ("attack", "attacks"),
        ("threat", "threats"), ("learner", "learners"),
    ):  # fmt: skip
        if key in search:
            yield from names.undefined(raw, f"{path}.{key}", search[key], table)
    if ("attack" in search) == ("threat" in search):
        found = "both" if "attack" in search else "neither"
        yield f"{path}: {found} attack and threat; allowed: one of them"
    attack = raw["attacks"].get(search.get("attack"))
    if attack and not entries.module(entries.ATTACKS, attack["kind"]).KIND.simulated:
        yield f"{path}.attack: {search['attack']!r} has no trigger to be covered"
    defense, defence = search["defense"], defences.read(search["defense"])
    known = (defences.read(name).searched for name in defences.names())
    given = {key for key in known if key is not None and key in search}
    if given != {defence.searched}:
        found = " and ".join(sorted(given)) or "none"
        yield f"{path}: {found}; allowed with defense {defense}: {defence.searched}"
    if "threat" in search and search.get("trusted") == search["dataset"]:
        yield (
            f"{path}.trusted: {search['trusted']!r} is the dataset under attack itself; allowed: "
            "another of the same form that you vouch for"
        )
    yield from _levels(raw, search, defence, path)
    bound = entries.module(entries.BOUNDS, search["bound"])
    if defence.side.alone and not hasattr(bound, "unanimous"):
        yield f"{path}.bound: {search['bound']}; allowed with defense {defense}: any other"
    threat = raw["threats"].get(search.get("threat"))
    if threat is not None and not next(threats.mistakes(threat), None):
        asked = threats.posed(threat, SOME_ROWS)
        if not defence.covers_rows(asked):
            yield (
                f"{path}.threat: {search['threat']!r} ({threats.describe(threat)}) is nothing that "
                f"defense {defense} covers"
            )
    if learner := raw["learners"].get(search["learner"]):
        yield from names.learner_misfits(learner, defense, f"{path}.learner")


def _levels(raw: Entry, search: Entry, defence: Defence, path: str) -> Iterator[str]:
    """Find levels of test noise that the defence does not have, or that cover no trigger."""
    levels = search["sigma_test"]
    if not defence.has_levels:
        if levels != NO_NOISE:
            yield f"{path}.sigma_test: not with defense {search['defense']}; leave it out"
        return
    threat = raw["threats"].get(search.get("threat"))
    alone = threat is not None and not any(key in threat for key in threats.SIZES)
    if 0 in levels and not (alone and defence.without_test_noise):
        yield (
            f"{path}.sigma_test: 0, or left out; allowed with defense {search['defense']} and a "
            "trigger: numbers above 0"
            if defence.without_test_noise
            else f"{path}.sigma_test: 0, or left out; allowed with defense {search['defense']}: "
            "numbers above 0"
        )
