"""What the wildcards of a path stand for: a run, a certification, a chunk of models.

Wildcards are whatever has the axes as attributes: Snakemake's, or `SimpleNamespace`.
"""

from typing import Any

from certbd.config.axes import EXTERNAL, OWN, Certification, Run


def models_of_chunk(wildcards: Any) -> dict[str, list[int]]:
    """Return the models of a job's chunk, where there is one: first, and the one after the last."""
    if not hasattr(wildcards, "chunk"):
        return {}
    first, last = map(int, wildcards.chunk.split("-"))
    return {"models": [first, last + 1]}


def run_of(wildcards: Any) -> Run:
    """Return the run whose folder these wildcards name."""
    axes = {name: getattr(wildcards, name) for name in Run._fields}
    return Run(**axes | {"seed": int(wildcards.seed)})


def external_run_of(wildcards: Any) -> Run:
    """Return the run of votes from elsewhere whose folder these wildcards name."""
    axes = {name: getattr(wildcards, name) for name in Run._fields if name != "defense"}
    return Run(**axes | {"defense": EXTERNAL, "seed": int(wildcards.seed)})


def certification_of(wildcards: Any) -> Certification:
    """Return the certification whose folder these wildcards name."""
    alpha, size, threat = (
        float(wildcards.alpha),
        int(wildcards.n_models),
        axis_of(wildcards, "threat"),
    )
    return Certification(size, wildcards.bound, alpha, wildcards.multiplicity, threat)


def axis_of(wildcards: Any, axis: str) -> Any:
    """Return an axis of a path; the path of an attack's own threat has no folder of a threat."""
    return getattr(wildcards, "threat", OWN) if axis == "threat" else getattr(wildcards, axis)
