"""The JSON schema of a configuration, made from the types of its parts and of all entries.

It is what messages about mistakes are made from (`config.read_config`), and what editors complete
keys with (``config/schemas/config.schema.yaml``, a copy that a test holds fresh).
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

from certbd.config import defences, entries, types
from certbd.config.fields import Entry
from certbd.config.threats import ThreatEntry

Schema = dict[str, Any]
TITLE = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "certbd configuration",
    "description": "Dictionaries define named datasets, attacks, noises and learners; the list "
    "`experiments` says what runs.",
}
TABLES = {
    "datasets": "datasets (docs/datasets.md describes each kind)",
    "attacks": "simulated attacks; kind none takes the data as they come",
    "learners": "what is trained",
}
FOLDER_OF = {
    "datasets": entries.DATASETS, "attacks": entries.ATTACKS, "learners": entries.LEARNERS,
}  # fmt: skip
PLURAL = {"threat": "threats", "search": "searches", "reference": "references"}
NEEDED = ("datasets", "noises", "learners", "experiments")


@cache
def whole() -> Schema:
    """Return the schema of a whole configuration."""
    parts = _Parts()
    settings = parts.of(types.Settings)
    tables = {
        name: parts.table(
            f"{name}_entry", _by_kind(parts, FOLDER_OF[name], said), f"{said}, by name"
        )
        for name, said in TABLES.items()
    }
    parts.definitions["features"] = _by_kind(parts, entries.MAPS, "what a learner sees of inputs")
    tables["attacks"] = {"default": {}} | tables["attacks"]  # threats need none
    properties = settings["properties"] | tables
    properties["noises"] = parts.table("noise", _noise(parts), "parameters of noise, by name")
    properties["experiments"] = {
        "description": "what runs: each a dataset, attacks, a defence, noises and a learner",
        "type": "array",
        "minItems": 1,
        "items": _experiment(parts),
    }
    for name, entry, said in (
        ("threat", parts.of(ThreatEntry), "what may have happened to rows and inputs, by name"),
        ("search", _search(parts), "searches for the parameters of defences, by name"),
        ("reference", parts.of(types.Reference), "published results, by name"),
    ):
        properties[PLURAL[name]] = {"default": {}} | parts.table(name, entry, said)
    return TITLE | {
        "type": "object",
        "additionalProperties": False,
        "required": list(NEEDED),
        "properties": properties,
        "$defs": dict(sorted(parts.definitions.items())),
    }


class _Parts:
    """Schemas of types, and the definitions that they share."""

    def __init__(self) -> None:
        self.definitions: Schema = {}

    def of(self, kind: type[Entry]) -> Schema:
        """Return the schema of a type; what it refers to becomes a definition."""
        made = kind.model_json_schema()
        found = made.pop("$defs", {})
        found.pop("features", None)  # by kind, in `whole`
        _add(
            self.definitions,
            {name: _plain(part, found) for name, part in found.items()},
            f"type {kind.__name__}",
        )
        return _plain(made, found)

    def table(self, name: str, entry: Schema, said: str) -> Schema:
        """Return the schema of a dictionary of named entries, and what is said of it."""
        self.of(types.Trained)  # defines Name
        self.definitions[name] = entry
        return {
            "description": said,
            "type": "object",
            "propertyNames": {"$ref": "#/$defs/Name"},
            "additionalProperties": {"$ref": f"#/$defs/{name}"},
        }


def _plain(schema: Any, definitions: Schema) -> Any:
    """Return a schema of pydantic's as it is read best: no titles, no null for what is left out."""
    if isinstance(schema, list):
        return [_plain(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "anyOf" in schema:
        kept = [part for part in schema["anyOf"] if part != {"type": "null"}]
        left_out = {} if len(kept) == len(schema["anyOf"]) else {"default": None}
        rest = {k: v for k, v in schema.items() if k != "anyOf" and (k, v) not in left_out.items()}
        schema = (kept[0] if len(kept) == 1 else _either(kept, definitions)) | rest
    if "one_of" in schema:
        names = {"enum": list(_names_of(schema["one_of"]))}
        schema = names | {k: v for k, v in schema.items() if k not in ("one_of", "type")}
    return {
        key: _plain(part, definitions)
        for key, part in schema.items()
        if not (key == "title" and isinstance(part, str))
    }


def _either(parts: Iterable[Schema], definitions: Schema) -> Schema:
    """Return one schema for values of several types, whose keywords do not meet."""
    merged: Schema = {"type": []}
    for part in parts:
        whole = definitions[part["$ref"].split("/")[-1]] if "$ref" in part else part
        merged["type"].append(whole["type"])
        merged |= {key: value for key, value in whole.items() if key not in ("type", "description")}
    return merged


def _names_of(registry: str) -> Iterable[str]:
    """Return the names that a field with ``one_of`` allows."""
    if registry == "bounds":
        return entries.names(entries.BOUNDS)
    if registry == "unanimous":
        kinds = entries.names(entries.BOUNDS)
        modules = {kind: entries.module(entries.BOUNDS, kind) for kind in kinds}
        return [kind for kind in kinds if hasattr(modules[kind], "unanimous")]
    known = {name: defences.read(name) for name in defences.names()}
    if registry == "defences":
        return known
    if registry == "searched":
        return [name for name, defence in known.items() if defence.searched is not None]
    raise ValueError(f"one_of {registry!r}: there are no such names")


def _by_kind(parts: _Parts, folder: str, said: str) -> Schema:
    """Return the schema of an entry whose key kind says which other keys it has."""
    kinds = entries.names(folder)
    branches = []
    for kind in kinds:
        name = f"{folder.removesuffix('.kinds').rpartition('.')[2]}_{kind}"
        _add(parts.definitions, {name: parts.of(entries.module(folder, kind).KIND)}, folder)
        then = {"$ref": f"#/$defs/{name}"}
        branches.append({"if": _has_kind(kind), "then": then})
    return {
        "description": said,
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": list(kinds)}},
        "allOf": branches,
    }


def _has_kind(kind: str) -> Schema:
    return {"required": ["kind"], "properties": {"kind": {"const": kind}}}


def _noise(parts: _Parts) -> Schema:
    """Return the schema of an entry of `noises`: the keys of all training and test sides."""
    properties: Schema = {}
    for folder, part in ((entries.TRAINING, "entry"), (entries.TESTING, "")):
        for side in entries.names(folder):
            own = getattr(entries.module(folder, side, part), "Noise", Entry)
            _add(properties, parts.of(own).get("properties", {}), f"noises of {side}")
    return {
        "description": "Parameters of a defence's randomness on the training and the test side.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _add(all_of: Schema, more: Schema, where: str) -> None:
    """Add definitions or keys; raise ValueError where one is there already with another content."""
    for name, part in more.items():
        if all_of.setdefault(name, part) != part:
            raise ValueError(f"{where}: {name} is defined elsewhere in another way")


def _search(parts: _Parts) -> Schema:
    """Return the schema of an entry of `searches`, with lists for what can be searched."""
    search = parts.of(types.NoiseSearch)
    for side in entries.names(entries.TRAINING):
        searched = getattr(entries.module(entries.TRAINING, side, "entry"), "Searched", None)
        if searched is not None:
            _add(search["properties"], parts.of(searched)["properties"], f"searches of {side}")
    return search


def _experiment(parts: _Parts) -> Schema:
    parts.definitions |= {"trained": parts.of(types.Trained), "external": parts.of(types.External)}
    for kind in ("trained", "external"):
        parts.definitions[kind]["properties"]["kind"] = {"const": kind}
    return {
        "type": "object",
        "properties": {
            "kind": {
                "description": "trained: the whole chain; external: certify votes of models "
                "trained elsewhere",
                "enum": ["trained", "external"],
                "default": "trained",
            }
        },
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": "trained"}}},
                "then": {"$ref": "#/$defs/trained"},
            },
            {"if": _has_kind("external"), "then": {"$ref": "#/$defs/external"}},
        ],
    }
