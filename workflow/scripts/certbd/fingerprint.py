"""Which library code a script depends on.

Snakemake watches a script's file, not the modules that it imports. The workflow passes the
fingerprint of a rule's script as a parameter, so that a job runs anew when code that it uses
has changed, and only then.
"""

import ast
import hashlib
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
        digest.update(path.name.encode())
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


def _imports(path: Path, package: Path) -> set[Path]:
    parts = [name.split(".") for name in _imported_names(path.read_text())]
    files = {package / f"{p[1]}.py" for p in parts if p[0] == PACKAGE and len(p) > 1}
    return {file for file in files if file.is_file()}


@cache
def _imported_names(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = f"{PACKAGE}.{node.module or ''}" if node.level else node.module or ""
            names |= {f"{module.rstrip('.')}.{alias.name}" for alias in node.names} | {module}
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
