"""What entries name: whether it is defined, and whether a learner fits a defence."""

from collections.abc import Iterator, Mapping
from typing import Any

from certbd.config import defences, entries

Entry = Mapping[str, Any]


def learner_type(kind: str) -> Any:
    """Return the type of a kind of learner, which has its facts."""
    return entries.module(entries.LEARNERS, kind).KIND


def learner_misfits(learner: Entry, defense: str, path: str) -> Iterator[str]:
    """Find learners that a defence cannot train, and features that it cannot see through."""
    defence, kind = defences.read(defense), learner["kind"]
    shows = defence.side.shows
    fit = [
        name for name in entries.names(entries.LEARNERS) if shows in learner_type(name).learns_from
    ]
    if kind not in fit:
        yield f"{path}: kind {kind}; allowed with defense {defense}: {', '.join(fit)}"
    if "features" not in learner:
        return
    every = {name: defences.read(name).features for name in defences.names()}
    if defence.features == "none":
        some = ", ".join(name for name, allowed in every.items() if allowed != "none")
        yield f"{path}: features are for {some}, not for defense {defense}"
    if defence.features == "any" and defence.side.has_sigma:
        raise ValueError(f"defense {defense}: noise on features needs maps of Lipschitz constant 1")
    mapped = learner["features"]["kind"]
    lipschitz = entries.module(entries.MAPS, mapped).KIND.lipschitz
    if defence.features == "lipschitz" and not lipschitz:
        some = " and ".join(name for name, allowed in every.items() if allowed == "any")
        yield (
            f"{path}: features of kind {mapped}, whose Lipschitz constant is not known, are for "
            f"{some}; allowed with defense {defense}: any other kind"
        )


def undefined(raw: Entry, path: str, name: str, table: str) -> Iterator[str]:
    """Find a name that its table does not define."""
    if name not in raw[table]:
        defined = ", ".join(sorted(raw[table]))
        yield f"{path}: {name!r} is not defined under {table}; defined: {defined}"
