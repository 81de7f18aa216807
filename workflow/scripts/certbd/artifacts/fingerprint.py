"""Which library code a script depends on.

Snakemake watches a script's file, not the modules that it imports. The workflow passes the
fingerprint of a rule's script as a parameter, so that a job runs anew when code that it uses
has changed, and only then.
"""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = "certbd"


def fingerprint(script: Path) -> str:
    """Hash a script and the ``certbd`` modules that it imports, directly or through others.

    What is hashed is the syntax tree without docstrings, so comments, docstrings and layout
    do not count.

    Parameters
    ----------
    script : Path
        A file beside the ``certbd`` folder.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in dependencies(script):
        digest.update(path.relative_to(script.parent).as_posix().encode())
        digest.update(_code(path.read_text()).encode())
    return digest.hexdigest()[:16]


def dependencies(script: Path) -> list[Path]:
    """Return the script and every ``certbd`` module that it needs, sorted after the script."""
    package = script.parent / PACKAGE
    found: set[Path] = set()
    waiting = _imports(script, package)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting |= _imports(path, package)
    return [script, *sorted(found)]


def check_loaded(script: Path, loaded: Iterable[str]) -> None:
    """Refuse to end a job that used a module whose code is not in its fingerprint.

    `loaded` are names of modules. ``__init__.py`` files do not count: they hold docstrings alone.

    Raises
    ------
    RuntimeError
        If there is one: a change of it would not make the job run again.
    """
    known, package = set(dependencies(script)), script.parent / PACKAGE
    for name in sorted(loaded):
        first, *parts = name.split(".")
        if first == PACKAGE and parts:
            file = package.joinpath(*parts).with_suffix(".py")
            if file.is_file() and file not in known:
                raise RuntimeError(
                    f"{script.name}: module {name} was loaded, but is not among those that its "
                    "fingerprint covers; import it by its name at the top of a module"
                )


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
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError("a relative import, which no fingerprint follows")
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


@cache
def _code(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
