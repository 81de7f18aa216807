"""The configuration: checked against its schema and in itself, then frozen.

Dictionaries define datasets, attacks, noises and learners; the list ``experiments`` says which
of their combinations run. An error names the key, what it holds and what is allowed.
"""

import copy
import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import jsonschema

from certbd.config import defences, schema
from certbd.config.axes import NO_ATTACK, OWN, Certification, Run
from certbd.config.checks.contradictions import Entry, contradictions, external_run

MOST_VALUES, MOST_LEVELS = 100_000, 20
"""Size of a configuration beyond which it is refused."""


class ConfigError(ValueError):
    """The configuration cannot be run; the message has one line for each mistake."""


@dataclass(frozen=True)
class Config:
    """A valid configuration; `rows` are the rows of ``summary.csv``, in their order."""

    data_root: str
    device: str
    keep_models: bool
    replace_tables: bool
    chunk_size: int
    undefended: str
    datasets: Mapping[str, Entry]
    attacks: Mapping[str, Entry]
    threats: Mapping[str, Entry]
    noises: Mapping[str, Entry]
    learners: Mapping[str, Entry]
    searches: Mapping[str, Entry]
    references: Mapping[str, Entry]
    curves: Mapping[str, Entry]
    reach: Entry
    audit: Entry
    external: Mapping[Run, Entry]
    rows: tuple[tuple[Run, Certification], ...]

    def training_side(self, run: Run) -> Any:
        """Return what models of a run see of the training set, typed (`training.side`)."""
        return defences.read(run.defense).training_side(self.noises[run.noise])

    def test_side(self, run: Run) -> Any:
        """Return what votes of a run are cast on, typed (`testing.side`)."""
        return defences.read(run.defense).test_side(self.noises[run.noise])

    def chunks(self, n_models: int) -> list[str]:
        """Names of the chunks that hold models 0 to ``n_models - 1``: first and last model.

        The last chunk is smaller where `chunk_size` does not divide their number.
        """
        firsts = range(0, n_models, self.chunk_size)
        return [f"{first}-{min(first + self.chunk_size, n_models) - 1}" for first in firsts]


def read_config(raw: Mapping[str, Any]) -> Config:
    """Check a configuration as Snakemake merged it, fill in defaults and freeze it.

    Raises
    ------
    ConfigError
        If a key is unknown, missing or has a value that is not allowed, if a name is not
        defined, or if settings contradict each other.
    """
    settings = _plain(raw, 0, iter(range(MOST_VALUES)))
    _read_truth(settings)
    _refuse(_schema_mistakes(settings))
    _take_as_they_come(settings)
    _refuse(contradictions(settings))
    experiments = settings.pop("experiments")
    rows = tuple(row for experiment in experiments for row in _rows(experiment))
    external = {external_run(e): e for e in experiments if e["kind"] == "external"}
    repeated = {row for row in rows if rows.count(row) > 1}
    _refuse(f"experiments: {_describe(row)} is listed more than once" for row in repeated)
    return Config(**settings, external=external, rows=rows)


def _read_truth(settings: Any) -> None:
    """Take the words true and false for truth values, as ``--config KEY=true`` hands them over."""
    for key, part in schema.whole()["properties"].items():
        if part.get("type") == "boolean" and settings.get(key) in ("true", "false"):
            settings[key] = settings[key] == "true"


def _take_as_they_come(settings: Entry) -> None:
    """Give experiments that list threats alone the attack that simulates nothing."""
    for experiment in settings["experiments"]:
        if "threats" in experiment and "attacks" not in experiment:
            experiment["attacks"] = [NO_ATTACK]
            settings["attacks"].setdefault(NO_ATTACK, {"kind": NO_ATTACK, "seed": 0})
    searches = settings["searches"].values()
    if any("threat" in search or "trusted" in search for search in searches):
        settings["attacks"].setdefault(NO_ATTACK, {"kind": NO_ATTACK, "seed": 0})


def _refuse(mistakes: Iterator[str]) -> None:
    if found := list(mistakes):
        raise ConfigError("\n".join(found))


def _plain(value: Any, depth: int, room: Iterator[int]) -> Any:
    """Copy nested mappings and lists into plain ones; YAML's anchors can make them endless."""
    if depth > MOST_LEVELS or next(room, None) is None:
        raise ConfigError(
            f"config: more than {MOST_VALUES} values or {MOST_LEVELS} levels; allowed: fewer (is "
            "an anchor repeated in itself?)"
        )
    if isinstance(value, Mapping):
        return {key: _plain(item, depth + 1, room) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1, room) for item in value]
    return value


def _schema_mistakes(raw: Any) -> Iterator[str]:
    misnamed = list(_unusual(raw, ""))
    yield from misnamed
    if not misnamed:
        validator = _filling_validator()(schema.whole())
        for error in sorted(validator.iter_errors(raw), key=lambda e: [str(p) for p in e.path]):
            yield _explain(error)


def _unusual(value: Any, path: str) -> Iterator[str]:
    """Find what JSON does not have: keys that are not text, numbers that are not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{path}: {value} is not a finite number"
    elif isinstance(value, int | float) and abs(value) >= 2**63:
        yield f"{path}: a number as large as that; allowed: between -2^63 and 2^63"
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
                    instance.setdefault(key, copy.deepcopy(subschema["default"]))
        yield from check_properties(validator, properties, instance, schema)

    whole = base.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )  # JSON Schema takes 64.0 for an integer, range() does not
    return jsonschema.validators.extend(base, {"properties": fill_and_check}, type_checker=whole)


def _explain(error: jsonschema.ValidationError) -> str:
    path = ""
    for part in error.absolute_path:
        path = _join(path, part)
    schema: Any = error.schema
    if error.validator == "additionalProperties":
        return _explain_unknown(path, error.instance, sorted(schema["properties"]))
    message = error.message
    if error.validator == "type":
        types: Any = error.validator_value
        message += _hint(error.instance, [types] if isinstance(types, str) else types)
    description = schema.get("description")
    return f"{path or 'config'}: {message}" + (f"; allowed: {description}" if description else "")


def _hint(value: Any, types: list[str]) -> str:
    """Say how a value of one of these types is written, where YAML has read another."""
    if "string" in types and not isinstance(value, dict | list):
        return ' (in YAML, yes, no, on, off, null and 1.0 are no text; quote them: "yes")'
    if "integer" in types and isinstance(value, float):
        return " (a whole number is written without a dot)"
    if not isinstance(value, str):
        return ""
    if "boolean" in types:
        return " (true or false, without quotes)"
    if {"number", "integer"} & set(types):
        return " (a number is written without quotes, and with a dot: 1.0e-3)"
    if "array" in types:
        return " (a list is written [a, b], in a file)"
    return " (it needs keys of its own, in a file)" if "object" in types else ""


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


def _rows(experiment: Entry) -> Iterator[tuple[Run, Certification]]:
    certify = experiment["certify"]
    certification = Certification(
        int(experiment["n_models"]),
        certify["bound"],
        float(certify["alpha"]),
        certify["multiplicity"],
    )
    threats = experiment.get("threats", [OWN])
    if experiment["kind"] == "external":
        for threat in threats:
            yield external_run(experiment), certification._replace(threat=threat)
        return
    for attack, noise, threat in product(experiment["attacks"], experiment["noises"], threats):
        run = Run(
            experiment["dataset"],
            attack,
            experiment["defense"],
            noise,
            experiment["learner"],
            int(experiment["seed"]),
        )
        yield run, certification._replace(threat=threat)


def _describe(row: tuple[Run, Certification]) -> str:
    return ", ".join(f"{key} {value}" for part in row for key, value in part._asdict().items())
