"""The configuration: checked against its schema and in itself, then frozen.

Dictionaries define datasets, attacks, noises and learners; the list ``experiments`` says which
of their combinations run. An error names the key, what it holds and what is allowed.
"""

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from certbd.axes import Certification, Run

NOISE_KEYS = {
    "rab": ("sigma",),
    "cert_ssb": ("sigma",),
    "decoupled": ("sigma_train", "sigma_test"),
    "discrete": ("beta",),
    "bagging": ("n_drawn", "sigma_test"),
    "statistic": ("sigma_statistic", "sigma_test"),
}
ROWS = ("bagging", "statistic")
"""Defences that cover rows; they take features, and need no noise on the test input."""
NETWORKS = ("mlp", "cnn", "preact_resnet", "resnet18")
Entry = Mapping[str, Any]


class ConfigError(ValueError):
    """The configuration cannot be run; the message has one line for each mistake."""


@dataclass(frozen=True)
class Config:
    """A valid configuration; `rows` are the rows of ``summary.csv``, in their order."""

    data_root: str
    device: str
    keep_models: bool
    chunk_size: int
    undefended: str
    datasets: Mapping[str, Entry]
    attacks: Mapping[str, Entry]
    noises: Mapping[str, Entry]
    learners: Mapping[str, Entry]
    searches: Mapping[str, Entry]
    references: Mapping[str, Entry]
    curves: Mapping[str, Entry]
    reach: Entry
    external: Mapping[Run, Entry]
    rows: tuple[tuple[Run, Certification], ...]

    def noise_levels(self, run: Run) -> dict[str, float] | None:
        """Noise on training and test inputs; None where each input has its own (cert_ssb)."""
        if run.defense == "cert_ssb":
            return None
        if run.defense == "discrete":
            noise = {"values": 2, **self.noises[run.noise]}
            kept = {"beta_labels": noise["beta"]} | noise
            return {key: kept[key] for key in ("values", "beta", "beta_labels")}
        if run.defense in ROWS:
            entry, key = self.noises[run.noise], NOISE_KEYS[run.defense][0]
            return {key: entry[key], "test": float(entry["sigma_test"])}
        train, *test = (float(self.noises[run.noise][key]) for key in NOISE_KEYS[run.defense])
        return {"train": train, "test": test[0] if test else train}

    def chunks(self, n_models: int) -> list[str]:
        """Names of the chunks that hold models 0 to ``n_models - 1``: first and last model."""
        firsts = range(0, n_models, self.chunk_size)
        return [f"{first}-{first + self.chunk_size - 1}" for first in firsts]


def read_config(raw: Mapping[str, Any], schema_file: Path) -> Config:
    """Check a configuration as Snakemake merged it, fill in defaults and freeze it.

    Raises
    ------
    ConfigError
        If a key is unknown, missing or has a value that is not allowed, if a name is not
        defined, or if settings contradict each other.
    """
    schema = yaml.safe_load(schema_file.read_text())
    settings = _plain(raw)
    _refuse(_schema_mistakes(settings, schema))
    _refuse(_contradictions(settings))
    experiments = settings.pop("experiments")
    rows = tuple(row for experiment in experiments for row in _rows(experiment))
    external = {_external_run(e): e for e in experiments if e["kind"] == "external"}
    repeated = {row for row in rows if rows.count(row) > 1}
    _refuse(f"experiments: {_describe(row)} is listed more than once" for row in repeated)
    return Config(**settings, external=external, rows=rows)


def _refuse(mistakes: Iterator[str]) -> None:
    if found := list(mistakes):
        raise ConfigError("\n".join(found))


def _plain(value: Any) -> Any:
    """Copy nested mappings and lists into plain dictionaries and lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _schema_mistakes(raw: Any, schema: Entry) -> Iterator[str]:
    misnamed = list(_unusual(raw, ""))
    yield from misnamed
    if not misnamed:
        validator = _filling_validator()(schema)
        for error in sorted(validator.iter_errors(raw), key=lambda e: [str(p) for p in e.path]):
            yield _explain(error)


def _unusual(value: Any, path: str) -> Iterator[str]:
    """Find what JSON does not have: keys that are not text, numbers that are not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{path}: {value} is not a finite number"
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                yield f"{path or 'config'}: the name {key!r} is not text; put it in quotes"
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _unusual(item, _join(path, key))


def _filling_validator() -> Any:
    """Return a validator class that also sets the defaults of missing keys."""
    base = jsonschema.Draft202012Validator
    check_properties = base.VALIDATORS["properties"]

    def fill_and_check(validator: Any, properties: Entry, instance: Any, schema: Entry) -> Any:
        if isinstance(instance, dict):
            for key, subschema in properties.items():
                if "default" in subschema:
                    instance.setdefault(key, _plain(subschema["default"]))
        yield from check_properties(validator, properties, instance, schema)

    return jsonschema.validators.extend(base, {"properties": fill_and_check})


def _explain(error: jsonschema.ValidationError) -> str:
    path = ""
    for part in error.absolute_path:
        path = _join(path, part)
    schema: Any = error.schema
    if error.validator == "additionalProperties":
        return _explain_unknown(path, error.instance, sorted(schema["properties"]))
    message = error.message
    if error.validator == "type" and isinstance(error.instance, str):
        message += " (a number is written without quotes, and with a dot: 1.0e-3)"
    description = schema.get("description")
    return f"{path or 'config'}: {message}" + (f"; allowed: {description}" if description else "")


def _explain_unknown(path: str, entry: Any, allowed: list[str]) -> str:
    unknown = sorted(set(entry) - set(allowed))
    close = difflib.get_close_matches(unknown[0], allowed, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    keys = ", ".join(repr(_join(path, key)) for key in unknown)
    return f"unknown key {keys}{hint}; allowed here: {', '.join(allowed)}"


def _join(path: str, part: str | int) -> str:
    if isinstance(part, int):
        return f"{path}[{part}]"
    return f"{path}.{part}" if path else str(part)


def _contradictions(raw: Entry) -> Iterator[str]:
    """Find what a schema cannot say: names not defined, settings that do not fit each other."""
    yield from _undefined(raw, "undefended", raw["undefended"], "learners")
    network = raw["learners"].get(raw["undefended"])
    if network and network["kind"] not in NETWORKS:
        kinds = ", ".join(NETWORKS)
        yield f"undefended: {raw['undefended']!r} is not a network; allowed kinds: {kinds}"
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
        for key, table in (("dataset", "datasets"), ("attack", "attacks"), ("learner", "learners")):
            yield from _undefined(raw, f"searches.{name}.{key}", search[key], table)
        if raw["attacks"].get(search["attack"], {}).get("kind") == "none":
            yield f"searches.{name}.attack: {search['attack']!r} has no trigger to be covered"
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
    column = entry.get("label_column")
    if column is not None and isinstance(column, str) != entry["header"]:
        allowed = "the column's name" if entry["header"] else "its number from 0"
        yield (
            f"{path}.label_column: {column!r}; allowed with header {str(entry['header']).lower()}: "
            f"{allowed}"
        )
    classes = [str(name) for name in entry.get("classes", [])]
    if repeated := sorted({name for name in classes if classes.count(name) > 1}):
        yield f"{path}.classes: {repeated[0]} is named more than once"


def _external_contradictions(earlier: list[Entry], experiment: Entry, path: str) -> Iterator[str]:
    """Find external experiments of one name that certify different votes."""
    run, unlike = _external_run(experiment), {"certify", "n_models"}
    for other in earlier:
        if other["kind"] == "external" and _external_run(other) == run:
            keys = {*experiment, *other} - unlike
            keys = {key for key in keys if experiment.get(key) != other.get(key)}
            if keys:
                yield (
                    f"{path}: same dataset, attack, noise, learner and seed as another external "
                    f"experiment, but other {', '.join(sorted(keys))}; name one differently"
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
    n_models, chunk_size = experiment["n_models"], raw["chunk_size"]
    if n_models % chunk_size:
        yield (
            f"{path}.n_models: {n_models} is not a multiple of chunk_size, which is "
            f"{chunk_size}; change either"
        )


def _learner_misfits(learner: Entry, defense: str, path: str) -> Iterator[str]:
    """Find learners that a defence cannot train."""
    if defense == "discrete" and learner["kind"] == "nearest_class_mean":
        yield f"{path}: nearest_class_mean learns under Gaussian noise; allowed: any other"
    if defense == "statistic" and learner["kind"] != "class_sums":
        yield f"{path}: kind {learner['kind']}; allowed with defense statistic: class_sums"
    if defense not in ROWS and (learner["kind"] == "class_sums" or "features" in learner):
        allowed = " and ".join(ROWS)
        yield f"{path}: class_sums and features are for {allowed}, not for defense {defense}"


def _undefined(raw: Entry, path: str, name: str, table: str) -> Iterator[str]:
    if name not in raw[table]:
        defined = ", ".join(sorted(raw[table]))
        yield f"{path}: {name!r} is not defined under {table}; defined: {defined}"


def _rows(experiment: Entry) -> Iterator[tuple[Run, Certification]]:
    certify = experiment["certify"]
    certification = Certification(
        int(experiment["n_models"]),
        certify["bound"],
        float(certify["alpha"]),
        certify["multiplicity"],
    )
    if experiment["kind"] == "external":
        yield _external_run(experiment), certification
        return
    for attack, noise in product(experiment["attacks"], experiment["noises"]):
        run = Run(
            experiment["dataset"],
            attack,
            experiment["defense"],
            noise,
            experiment["learner"],
            int(experiment["seed"]),
        )
        yield run, certification


def _external_run(experiment: Entry) -> Run:
    attack = experiment.get("attack", {"name": "none"})["name"]
    return Run(
        experiment["dataset"],
        attack,
        "external",
        experiment["noise"],
        experiment["learner"],
        int(experiment["seed"]),
    )


def _describe(row: tuple[Run, Certification]) -> str:
    return ", ".join(f"{key} {value}" for part in row for key, value in part._asdict().items())
