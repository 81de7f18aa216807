"""What a schema cannot say of a configuration: names not defined, settings that do not fit."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from certbd.config import entries
from certbd.config.axes import COVERS_LABELS, ROWS, Run

NOISE_KEYS = {
    "rab": ("sigma",),
    "cert_ssb": ("sigma",),
    "decoupled": ("sigma_train", "sigma_test"),
    "discrete": ("beta",),
    "bagging": ("n_drawn", "sigma_test"),
    "statistic": ("sigma_statistic", "sigma_test"),
}
SEARCHED = ("decoupled", "bagging", "statistic")
VIEWS = {
    "rab": "noisy",
    "cert_ssb": "noisy",
    "decoupled": "noisy",
    "discrete": "flipped",
    "bagging": "rows",
    "statistic": "sums",
}
"""What each defence shows a learner (`Learner.learns_from`)."""
Entry = Mapping[str, Any]
MOST_CHUNKS = 100_000
"""Jobs of one ensemble beyond which a configuration is refused."""
MOST_RADII = 10_000
TAKEN = {
    "datasets": (
        "benchmarks",
        "figures",
        "logs",
        "searches",
        "report.html",
        *(f"{name}.csv" for name in ("summary", "curves", "models", "reach", "audit")),
        "noise_audit.csv",
        "audit.shown",
        *(f"{name}provenance.json" for name in ("", "reach.", "audit.")),
    ),
    "attacks": ("benchmarks", "logs", "data.npz"),
    "searches": ("benchmarks", "logs"),
}
"""What the workflow itself writes where the folders of these entries are."""


def contradictions(raw: Entry) -> Iterator[str]:
    """Find what a schema cannot say: names not defined, settings that do not fit each other."""
    yield from _undefined(raw, "undefended", raw["undefended"], "learners")
    network = raw["learners"].get(raw["undefended"])
    networks = [kind for kind in entries.names(entries.LEARNERS) if _learner(kind).network]
    if network and network["kind"] not in networks:
        kinds = ", ".join(networks)
        yield f"undefended: {raw['undefended']!r} is not a network; allowed kinds: {kinds}"
    yield from _taken_names(raw)
    for name, grid in raw["curves"].items():
        if grid["stop"] / grid["step"] > MOST_RADII:
            yield f"curves.{name}: {grid['stop']} by {grid['step']}; allowed: {MOST_RADII} radii"
    for name, entry in raw["datasets"].items():
        yield from _dataset_contradictions(entry, f"datasets.{name}")
    for name, noise in raw["noises"].items():
        low, high = noise["search"]["bounds"]
        if not low <= 1 <= high:
            yield (
                f"noises.{name}.search.bounds: [{low}, {high}] does not hold 1, "
                "where the search starts"
            )
        yield from _low_betas(f"noises.{name}.beta", noise.get("beta", 1), noise.get("values", 2))
    for beta, size in product(raw["reach"]["betas"], raw["reach"]["values"]):
        yield from _low_betas("reach.betas", beta, size)
    for name, reference in raw["references"].items():
        if len(reference["radii"]) != len(reference["certified_accuracy"]):
            yield f"references.{name}: radii and certified_accuracy must be of one length"
    for name, search in raw["searches"].items():
        yield from _search_contradictions(raw, search, f"searches.{name}")
    for index, experiment in enumerate(raw["experiments"]):
        path = f"experiments[{index}]"
        if experiment["kind"] == "external":
            yield from _external_contradictions(raw["experiments"][:index], experiment, path)
            continue
        yield from _undefined(raw, f"{path}.dataset", experiment["dataset"], "datasets")
        yield from _undefined(raw, f"{path}.learner", experiment["learner"], "learners")
        for attack in experiment["attacks"]:
            yield from _undefined(raw, f"{path}.attacks", attack, "attacks")
        for noise in experiment["noises"]:
            yield from _undefined(raw, f"{path}.noises", noise, "noises")
        yield from _misfits(raw, experiment, path)
        yield from _unlisted_classes(raw, experiment, path)


def _search_contradictions(raw: Entry, search: Entry, path: str) -> Iterator[str]:
    """Find a search that lacks its defence's parameter, or has another's."""
    for key, table in (("dataset", "datasets"), ("attack", "attacks"), ("learner", "learners")):
        yield from _undefined(raw, f"{path}.{key}", search[key], table)
    if raw["attacks"].get(search["attack"], {}).get("kind") == "none":
        yield f"{path}.attack: {search['attack']!r} has no trigger to be covered"
    own, _ = NOISE_KEYS[search["defense"]]
    given = {NOISE_KEYS[defense][0] for defense in SEARCHED} & set(search)
    if given != {own}:
        found = " and ".join(sorted(given)) or "none"
        yield f"{path}: {found}; allowed with defense {search['defense']}: {own}"
    if learner := raw["learners"].get(search["learner"]):
        yield from _learner_misfits(learner, search["defense"], f"{path}.learner")


def _taken_names(raw: Entry) -> Iterator[str]:
    """Find names of entries that are names of the workflow's own files and folders."""
    named = {table: list(raw[table]) for table in TAKEN}
    for experiment in raw["experiments"]:
        if experiment["kind"] == "external":
            named["datasets"].append(experiment["dataset"])
            named["attacks"].append(experiment.get("attack", {}).get("name", ""))
    for table, names in named.items():
        for name in dict.fromkeys(names):
            if name in TAKEN[table]:
                yield f"{table}.{name}: the workflow's own files have this name; choose another"


def _low_betas(path: str, beta: float, size: int) -> Iterator[str]:
    if beta * size <= 1:
        yield f"{path}: {beta} with values: {size}; allowed: above 1/{size} (drawn anew), below 1"


def _dataset_contradictions(entry: Entry, path: str) -> Iterator[str]:
    """Find ranges without extent, a label column by the wrong kind of name, classes named twice."""
    ranges = entry.get("ranges", [0, 1])
    pairs = ranges.items() if isinstance(ranges, dict) else [(None, ranges)]
    for column, (low, high) in pairs:
        if not low < high:
            key = f"{path}.ranges" if column is None else f"{path}.ranges.{column}"
            yield f"{key}: [{low}, {high}]; allowed: low below high"
    for key in ("label_column", "id_column"):
        column = entry.get(key)
        if "header" in entry and column is not None and isinstance(column, str) != entry["header"]:
            allowed = "the column's name" if entry["header"] else "its number from 0"
            header = str(entry["header"]).lower()
            yield f"{path}.{key}: {column!r}; allowed with header {header}: {allowed}"
    if "label_column" in entry and entry["label_column"] == entry.get("id_column"):
        yield f"{path}.id_column: {entry['id_column']!r} is label_column, too; allowed: another"
    classes = [str(name) for name in entry.get("classes", [])]
    if repeated := sorted({name for name in classes if classes.count(name) > 1}):
        yield f"{path}.classes: {repeated[0]} is named more than once"


def _external_contradictions(earlier: list[Entry], experiment: Entry, path: str) -> Iterator[str]:
    """Find external experiments of one name with other votes, or of one file with other facts."""
    run, unlike = external_run(experiment), {"certify", "n_models"}
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
    if attack and attack["target"] >= experiment["n_classes"]:
        yield f"{path}.attack.target: {attack['target']} is not a label; allowed: below n_classes"


def _misfits(raw: Entry, experiment: Entry, path: str) -> Iterator[str]:
    """Find noises that are not of the defence's kind, and a size that chunks do not fill."""
    defense = experiment["defense"]
    for name in experiment["noises"]:
        noise = raw["noises"].get(name)
        missing = [key for key in NOISE_KEYS[defense] if noise and key not in noise]
        if missing:
            yield f"noises.{name}: {path} with defense {defense} needs {' and '.join(missing)}"
        if defense == "decoupled" and noise and noise.get("sigma_test") == 0:
            yield f"noises.{name}.sigma_test: 0; allowed with defense decoupled: a number above 0"
    if learner := raw["learners"].get(experiment["learner"]):
        yield from _learner_misfits(learner, defense, f"{path}.learner")
    if defense == "discrete" and experiment["certify"]["bound"] == "runner_up":
        yield f"{path}.certify.bound: runner_up; allowed with defense discrete: any other"
    n_models, chunk_size = experiment["n_models"], raw["chunk_size"]
    if n_models % chunk_size:
        yield (
            f"{path}.n_models: {n_models} is not a multiple of chunk_size, which is "
            f"{chunk_size}; change either"
        )
    elif n_models // chunk_size > MOST_CHUNKS:
        yield (
            f"{path}.n_models: {n_models} in chunks of {chunk_size}; allowed: {MOST_CHUNKS} chunks "
            "(the key chunk_size)"
        )


def _unlisted_classes(raw: Entry, experiment: Entry, path: str) -> Iterator[str]:
    """Find classes that are read off labels which the defence says may be wrong."""
    name, defense = experiment["dataset"], experiment["defense"]
    entry = raw["datasets"].get(name)
    if entry and defense in COVERS_LABELS and "classes" not in entry:
        yield (
            f"datasets.{name}.classes: left out; {path} with defense {defense} needs every class "
            "listed, because its certificates cover labels, so the classes may not be read off them"
        )


def _learner_misfits(learner: Entry, defense: str, path: str) -> Iterator[str]:
    """Find learners that a defence cannot train."""
    kind = learner["kind"]
    learns_from = _learner(kind).learns_from
    if VIEWS[defense] not in learns_from:
        kinds = entries.names(entries.LEARNERS)
        able = ", ".join(other for other in kinds if VIEWS[defense] in _learner(other).learns_from)
        if defense == "statistic":
            yield f"{path}: kind {kind}; allowed with defense statistic: {able}"
        elif "noisy" in learns_from:
            yield f"{path}: {kind} learns under Gaussian noise; allowed with {defense}: {able}"
        else:
            own = " and ".join(other for other, view in VIEWS.items() if view in learns_from)
            yield f"{path}: {kind} is for {own}, not for defense {defense}"
    if defense in ("rab", "cert_ssb", "discrete") and "features" in learner:
        allowed = ", ".join(("decoupled", *ROWS))
        yield f"{path}: features are for {allowed}, not for defense {defense}"
    features = learner.get("features", {}).get("kind")
    if defense == "decoupled" and features and not _feature_map(features).lipschitz:
        yield (
            f"{path}: features of kind {features}, whose Lipschitz constant is not known, are for "
            f"{' and '.join(ROWS)}; allowed with defense decoupled: any other kind"
        )


def _learner(kind: str) -> Any:
    """Return the class of a kind of learner, for the facts that it states."""
    return entries.module(entries.LEARNERS, kind).KIND


def _feature_map(kind: str) -> Any:
    """Return the class of a kind of feature map."""
    return entries.module(entries.MAPS, kind).KIND


def _undefined(raw: Entry, path: str, name: str, table: str) -> Iterator[str]:
    if name not in raw[table]:
        defined = ", ".join(sorted(raw[table]))
        yield f"{path}: {name!r} is not defined under {table}; defined: {defined}"


def external_run(experiment: Entry) -> Run:
    """Return the run that an external experiment stands for."""
    attack = experiment.get("attack", {"name": "none"})["name"]
    return Run(
        experiment["dataset"],
        attack,
        "external",
        experiment["noise"],
        experiment["learner"],
        int(experiment["seed"]),
    )
