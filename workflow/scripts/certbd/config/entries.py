"""Entries: each in a file of its own, found by the name that the configuration gives it.

A folder of entries lists their names in the tuple ``KINDS`` of its ``__init__.py``; the module of
an entry has its name. Modules are imported when they are asked for, so that a job loads, and its
fingerprint covers, the entries it uses and no others.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from certbd.config.fields import Entry

ATTACKS, DATASETS, LEARNERS = "attacks.kinds", "data.kinds", "learners.kinds"
MAPS, BOUNDS = "learners.maps", "certify.bounds"
TRAINING, TESTING, DEFENCES = "training", "testing", "defences"
"""Folders of entries, below ``certbd``."""


def names(folder: str) -> tuple[str, ...]:
    """Return the names of a folder's entries, in the order of its registry."""
    kinds: tuple[str, ...] = import_module(f"certbd.{folder}").KINDS
    return kinds


def name_of(folder: str, kind: str, part: str = "") -> str:
    """Return the name of an entry's module, or of one part of an entry that is a folder.

    Raises
    ------
    ValueError
        If no entry has that name.
    """
    if kind not in names(folder):
        known = ", ".join(names(folder))
        raise ValueError(f"certbd.{folder}: {kind!r} is not in its KINDS; known: {known}")
    return ".".join(["certbd", folder, kind, *([part] if part else [])])


def module(folder: str, kind: str, part: str = "") -> ModuleType:
    """Return an entry's module; errors as `name_of`."""
    return import_module(name_of(folder, kind, part))


def has(folder: str, kind: str, part: str) -> bool:
    """Return whether an entry that is a folder has a part."""
    return find_spec(name_of(folder, kind, part)) is not None


def read(folder: str, settings: Mapping[str, Any], part: str = "") -> Any:
    """Return the typed entry (`fields.Entry`) that checked settings describe, by their key kind."""
    kind: type[Entry] = module(folder, settings["kind"], part).KIND
    return kind.model_validate(dict(settings))
