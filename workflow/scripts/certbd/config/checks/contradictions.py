"""What a schema cannot say of a configuration: names not defined, settings that do not fit."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from certbd.config import defences, entries
from certbd.config.axes import EXTERNAL, NO_NETWORK, Run
from certbd.config.checks import external, names, searches, threats

Entry = Mapping[str, Any]
MOST_CHUNKS = 100_000
"""Jobs of one ensemble beyond which a configuration is refused."""
MOST_RADII = 10_000
LOGS = ("log", "tsv")
RESERVED = ("logs", "benchmarks", "undefended", "encoded", "external", "new")
"""Names that no entry may have: of folders that the workflow makes beside those of entries."""
TAKEN = {
    "datasets": (
        "figures",
        "searches",
        "report.html",
        *(f"{name}.csv" for name in ("summary", "curves", "models", "reach", "audit")),
        "noise_audit.csv",
        "audit.shown",
        *(f"{name}provenance.json" for name in ("", "reach.", "audit.")),
    ),
    "attacks": ("data.npz", "sources.parquet"),
    "threats": (
        *(f"{name}.parquet" for name in ("certificates", "faults", "audit", "noise_audit")),
        *(f"predictions.{kind}" for kind in ("csv", "parquet")),
        *(f"{job}.{kind}" for job in ("certify_votes", "audit_certificates") for kind in LOGS),
    ),
}
"""What the workflow itself writes where the folders of these entries are."""
NAMED = ("datasets", "attacks", "threats", "noises", "learners", "searches")
"""Tables whose names become folders or files."""


def contradictions(raw: Entry) -> Iterator[str]:
    """Find what a schema cannot say: names not defined, settings that do not fit each other."""
    if raw["undefended"] != NO_NETWORK:
        yield from names.undefined(raw, "undefended", raw["undefended"], "learners")
    undefended = raw["learners"].get(raw["undefended"])
    networks = [
        kind for kind in entries.names(entries.LEARNERS) if names.learner_type(kind).network
    ]
    if undefended and undefended["kind"] not in networks:
        kinds = ", ".join(networks)
        yield f"undefended: {raw['undefended']!r} is not a network; allowed kinds: {kinds}"
    yield from _taken_names(raw)
    for name, grid in raw["curves"].items():
        if grid["stop"] / grid["step"] > MOST_RADII:
            yield f"curves.{name}: {grid['stop']} by {grid['step']}; allowed: {MOST_RADII} radii"
    for name, entry in raw["datasets"].items():
        yield from entries.read(entries.DATASETS, entry).contradictions(f"datasets.{name}")
        yield from _repeated_classes(entry, f"datasets.{name}")
    for name, noise in raw["noises"].items():
        for side in entries.names(entries.TRAINING):
            for key, message in _side_type(side).mistakes(noise):
                yield f"noises.{name}.{key}: {message}"
    for beta, size in product(raw["reach"]["betas"], raw["reach"]["values"]):
        if message := entries.module(entries.TRAINING, "flips", "entry").low_beta(beta, size):
            yield f"reach.betas: {message}"
    for name, reference in raw["references"].items():
        if len(reference["radii"]) != len(reference["certified_accuracy"]):
            yield f"references.{name}: radii and certified_accuracy must be of one length"
    yield from threats.contradictions(raw)
    for name, search in raw["searches"].items():
        yield from searches.misfits(raw, search, f"searches.{name}")
    for index, experiment in enumerate(raw["experiments"]):
        path = f"experiments[{index}]"
        if experiment["kind"] == "external":
            yield from _external_contradictions(raw, raw["experiments"][:index], experiment, path)
            continue
        yield from names.undefined(raw, f"{path}.dataset", experiment["dataset"], "datasets")
        yield from names.undefined(raw, f"{path}.learner", experiment["learner"], "learners")
        for attack in experiment.get("attacks", ()):
            yield from names.undefined(raw, f"{path}.attacks", attack, "attacks")
        for noise in experiment["noises"]:
            yield from names.undefined(raw, f"{path}.noises", noise, "noises")
        yield from _misfits(raw, experiment, path)
        yield from threats.misfits(raw, experiment, path)
        yield from _unlisted_classes(raw, experiment, path)


def _taken_names(raw: Entry) -> Iterator[str]:
    """Find names of entries that are names of the workflow's own files and folders."""
    named = {table: list(raw[table]) for table in NAMED}
    for experiment in raw["experiments"]:
        if experiment["kind"] == "external":
            named["datasets"].append(experiment["dataset"])
            named["attacks"].append(experiment.get("attack", {}).get("name", ""))
    for table, found in named.items():
        for name in dict.fromkeys(found):
            if (
                name in RESERVED
                or (table, name) == ("learners", NO_NETWORK)
                or name in TAKEN.get(table, ())
            ):
                yield f"{table}.{name}: the workflow's own files have this name; choose another"


def _side_type(kind: str) -> Any:
    return entries.module(entries.TRAINING, kind, "entry").KIND


def _repeated_classes(entry: Entry, path: str) -> Iterator[str]:
    classes = [str(name) for name in entry.get("classes", [])]
    if repeated := sorted({name for name in classes if classes.count(name) > 1}):
        yield f"{path}.classes: {repeated[0]} is named more than once"


def _external_contradictions(
    raw: Entry, earlier: list[Entry], experiment: Entry, path: str
) -> Iterator[str]:
    """Find external experiments of one name with other votes, or of one file with other facts."""
    run, unlike = external_run(experiment), {"certify", "n_models", "threats"}
    for other in earlier:
        if other["kind"] == "external" and external_run(other) == run:
            keys = {*experiment, *other} - unlike
            keys = {key for key in keys if experiment.get(key) != other.get(key)}
            if keys:
                yield (
                    f"{path}: same dataset, attack, noise, learner and seed as another external "
                    f"experiment, but other {', '.join(sorted(keys))}; name one differently"
                )
        elif other["kind"] == "external" and other["votes"] == experiment["votes"]:
            for key in ("n_classes", "n_models", "sigma_test", "sigma_train"):
                values = {entry[key] for entry in (experiment, other) if key in entry}
                if len(values) > 1:
                    yield (
                        f"{path}.{key}: {experiment[key]}, but {other[key]} in another external "
                        f"experiment with the votes {experiment['votes']}; allowed: the same"
                    )
    attack = experiment.get("attack")
    yield from external.misfits(raw, experiment, path)
    if attack and attack["target"] >= experiment["n_classes"]:
        yield f"{path}.attack.target: {attack['target']} is not a label; allowed: below n_classes"


def _misfits(raw: Entry, experiment: Entry, path: str) -> Iterator[str]:
    """Find noises that are not of the defence's kind, and too many chunks."""
    defense = experiment["defense"]
    defence = defences.read(defense)
    for name in experiment["noises"]:
        if (entry := raw["noises"].get(name)) is not None:
            yield from _noise_misfits(entry, defense, name, path)
    if learner := raw["learners"].get(experiment["learner"]):
        yield from names.learner_misfits(learner, defense, f"{path}.learner")
    bound = experiment["certify"]["bound"]
    if defence.side.alone and not hasattr(entries.module(entries.BOUNDS, bound), "unanimous"):
        yield f"{path}.certify.bound: {bound}; allowed with defense {defense}: any other"
    n_models, chunk_size = experiment["n_models"], raw["chunk_size"]
    if n_models // chunk_size > MOST_CHUNKS:
        yield (
            f"{path}.n_models: {n_models} in chunks of {chunk_size}; allowed: {MOST_CHUNKS} chunks "
            "(the key chunk_size)"
        )


def _unlisted_classes(raw: Entry, experiment: Entry, path: str) -> Iterator[str]:
    """Find classes that are read off labels which the defence says may be wrong."""
    name, defense = experiment["dataset"], experiment["defense"]
    entry = raw["datasets"].get(name)
    if entry and defences.read(defense).side.covers_labels and _reads_classes(entry):
        yield (
            f"datasets.{name}.classes: left out; {path} with defense {defense} needs every class "
            "listed, because its certificates cover labels, so the classes may not be read off them"
        )


def _noise_misfits(entry: Entry, defense: str, name: str, path: str) -> Iterator[str]:
    """Find a noise without what the defence needs, or votes without noise where it needs some."""
    defence = defences.read(defense)
    if missing := [key for key in defence.needs if key not in entry]:
        yield f"noises.{name}: {path} with defense {defense} needs {' and '.join(missing)}"
    elif "sigma_test" in defence.needs and not (entry["sigma_test"] or defence.without_test_noise):
        yield f"noises.{name}.sigma_test: 0; allowed with defense {defense}: a number above 0"


def _reads_classes(entry: Entry) -> bool:
    """Whether classes are read off labels: no list of them, nor constants of the kind's own."""
    kind = entries.module(entries.DATASETS, entry["kind"]).KIND
    return "classes" in kind.model_fields and "classes" not in entry


def external_run(experiment: Entry) -> Run:
    """Return the run that an external experiment stands for."""
    attack = experiment.get("attack", {"name": "none"})["name"]
    return Run(
        experiment["dataset"],
        attack,
        EXTERNAL,
        experiment["noise"],
        experiment["learner"],
        int(experiment["seed"]),
    )
