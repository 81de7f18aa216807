"""Which library code a job depends on.

Snakemake watches a script's file, not the modules that it imports. The workflow passes the
fingerprint of a job's script, with the entries that the job uses (`config.entries`, which a script
imports by name while it runs), as a parameter: a job runs again when code that it uses has changed,
and only then.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = "certbd"


def fingerprint(script: Path, entries: Iterable[str] = ()) -> str:
    """Hash a script and the ``certbd`` modules that it imports, directly or through others.

    What is hashed is the syntax tree without docstrings, so comments, docstrings and layout
    do not count.

    Parameters
    ----------
    script : Path
        A file beside the ``certbd`` folder.
    entries : iterable of str
        Names of the modules of entries that the job uses.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in dependencies(script, entries):
        digest.update(path.relative_to(script.parent).as_posix().encode())
        digest.update(_code(path.read_text()).encode())
    return digest.hexdigest()[:16]


def dependencies(script: Path, entries: Iterable[str] = ()) -> list[Path]:
    """Return the script and every ``certbd`` module that it needs, sorted after the script."""
    package = script.parent / PACKAGE
    found: set[Path] = set()
    waiting = _imports(script, package) | {_file(name, package) for name in entries}
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting |= _imports(path, package)
    return [script, *sorted(found)]


def check_loaded(script: Path, entries: Iterable[str], loaded: Iterable[str]) -> None:
    """Refuse to end a job that used a module whose code is not in its fingerprint.

    `loaded` are names of modules. ``__init__.py`` files do not count: they hold docstrings and
    names of entries alone (the package's own serves ``from certbd import``, which no job uses).

    Raises
    ------
    RuntimeError
        If there is one: a change of it would not make the job run again.
    """
    package = script.parent / PACKAGE
    known = set(dependencies(script, entries))
    for name in sorted(loaded):
        if name.startswith(f"{PACKAGE}."):
            file = _file(name, package)
            if file.is_file() and file not in known:
                raise RuntimeError(
                    f"{script.name}: module {name} was loaded, but is not among those that its "
                    "fingerprint covers; import it by its name at the top of a module, or name it "
                    "among the entries of its stage (plan/used.py)"
                )


def _file(name: str, package: Path) -> Path:
    return package.joinpath(*name.split(".")[1:]).with_suffix(".py")


def _imports(path: Path, package: Path) -> set[Path]:
    """Return the modules that a file imports, in the package or any folder below it."""
    found = set()
    for name in _imported_names(path.read_text()):
        first, *parts = name.split(".")
        if first == PACKAGE:
            tried = (package.joinpath(*parts[: n + 1]) for n in range(len(parts)))
            found |= {file.with_suffix(".py") for file in tried}
    return {file for file in found if file.is_file()}


@cache
def _imported_names(source: str) -> set[str]:
    names: set[str] = set()
    for node in _executed(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError("a relative import, which no fingerprint follows")
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a tree but those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from _executed(node)


@cache
def _code(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
