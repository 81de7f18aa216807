"""The schema and the table of keys, which are made from types, are as their files have them."""

import jsonschema
import pytest
import yaml

from certbd.config import describe, schema


def test_the_files_are_fresh():
    """`make keys` writes them."""
    assert describe.SCHEMA.read_text() == describe.schema_file()
    assert describe.README.read_text() == describe.readme()


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(schema.whole())
    assert yaml.safe_load(describe.schema_file()) == schema.whole()


def test_what_is_defined_twice_in_different_ways_is_refused():
    known = {"sigma": {"type": "number"}}
    schema._add(known, {"sigma": {"type": "number"}, "beta": {}}, "here")
    assert known == {"sigma": {"type": "number"}, "beta": {}}
    with pytest.raises(ValueError, match="noises of mine: sigma is defined elsewhere"):
        schema._add(known, {"sigma": {"type": "integer"}}, "noises of mine")


def test_every_key_is_described_and_closed():
    def walk(part, path):
        if "properties" in part and "allOf" not in part:
            assert part["additionalProperties"] is False, path
        for key, value in part.items():
            if isinstance(value, dict):
                walk(value, f"{path}.{key}")

    walk(schema.whole(), "schema")
    rows = [line for line in describe.table().splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row for row in rows if "|  |" in row] == []
