"""The schema as a file and the table of keys, made from the types.

``python -m certbd.config.describe`` (`make keys`) writes ``config/schemas/config.schema.yaml`` and
the part of ``config/README.md`` between its two marks. A test holds both fresh.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from certbd.config import schema

CONFIG = Path(__file__).parents[4] / "config"
SCHEMA, README = CONFIG / "schemas" / "config.schema.yaml", CONFIG / "README.md"
START, END = "<!-- keys -->", "<!-- /keys -->"
HEAD = "# Made from the types in workflow/scripts/certbd by `make keys`; edit those.\n"
TOLD = {
    "minimum": "{} or more",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minItems": "{} or more of them",
}
"""Bounds in words, for keys whose description has none."""


def schema_file() -> str:
    """Return the text of the schema's file."""
    return HEAD + yaml.safe_dump(schema.whole(), sort_keys=False, allow_unicode=True, width=100)


def table() -> str:
    """Return the table of keys in Markdown: a section for each part of a configuration."""
    whole = schema.whole()
    return "\n".join(
        ["", *_section("At the top", whole), *(line for part in _parts(whole) for line in part), ""]
    )


def _parts(whole: schema.Schema) -> Iterator[list[str]]:
    definitions = whole["$defs"]
    for name in schema.TABLES:
        for branch in definitions[f"{name}_entry"]["allOf"]:
            yield _section(f"`{name}`, {_kind(branch)}", _named(branch["then"], definitions))
    for kind in ("threat", "noise", "trained", "external"):
        yield _section(TITLES[kind], definitions[kind])
    for kind in ("Certify", "GivenAttack", "Search", "Subset", "search", "reference"):
        yield _section(TITLES[kind], definitions[kind])
    for branch in definitions["features"]["allOf"]:
        yield _section(f"`features`, {_kind(branch)}", _named(branch["then"], definitions))
    for kind in ("Reach", "Audit", "Curves", "Grid", "WholeGrid"):
        yield _section(TITLES[kind], definitions[kind])


def _kind(branch: schema.Schema) -> str:
    return f"kind `{branch['if']['properties']['kind']['const']}`"


def _named(reference: schema.Schema, definitions: schema.Schema) -> schema.Schema:
    """Return the definition that a reference names."""
    named: schema.Schema = definitions[reference["$ref"].split("/")[-1]]
    return named


TITLES = {
    "threat": "`threats`",
    "noise": "`noises`",
    "trained": "`experiments`, kind `trained`, the default",
    "external": "`experiments`, kind `external`",
    "Certify": "`certify` of an experiment",
    "GivenAttack": "`attack` of an external experiment",
    "Search": "`search` of an entry of `noises`",
    "Subset": "`subset` of a dataset",
    "search": "`searches`",
    "Reach": "`reach`",
    "Audit": "`audit`",
    "Curves": "`curves`",
    "Grid": "`joint` and `trigger` of `curves`",
    "WholeGrid": "`rows` of `curves`",
    "reference": "`references`",
}


def _section(title: str, part: schema.Schema) -> list[str]:
    rows = []
    for key, value in part["properties"].items():
        if "const" in value:  # the kind, which the title says
            continue
        needed = key in part.get("required", ())
        default = "needed" if needed else _default(value)
        rows.append(f"| `{key}` | {_allowed(value)} | {default} |")
    said = part.get("description", "")
    head = [f"### {title}", "", *([f"{said}", ""] if said else [])]
    return [*head, "| key | what it is | default |", "|---|---|---|", *rows, ""]


def _default(value: schema.Schema) -> str:
    if "default" not in value:
        return "left out"
    default = value["default"]
    keyed = isinstance(default, dict) and default
    if keyed and "required" not in _named(value, schema.whole()["$defs"]):
        return "those of its keys"
    return f"`{_shown(default)}`"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_shown(item)}' for key, item in value.items())}}}"
    return str(value)


def _allowed(value: schema.Schema) -> str:
    said = [value["description"]] if "description" in value else []
    if "enum" in value:
        said.append("one of " + ", ".join(f"`{_shown(name)}`" for name in value["enum"]))
    if not said:
        said = [text.format(value[key]) for key, text in TOLD.items() if key in value]
    if not said and "$ref" in value:
        named = _named(value, schema.whole()["$defs"])
        own = "properties" in named or "allOf" in named
        said = ["keys of its own, below" if own else named["description"]]
    return "; ".join(said).replace("|", "\\|").replace("\n", " ")


def readme() -> str:
    """Return the text of ``config/README.md`` with the table of keys as it is now."""
    text = README.read_text()
    before, after = text.split(START)[0], text.split(END)[1]
    return f"{before}{START}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    SCHEMA.write_text(schema_file())
    README.write_text(readme())
