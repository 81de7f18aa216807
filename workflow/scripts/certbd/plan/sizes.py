"""How large a job's data, models and chunk are, for the memory that it asks for."""

from typing import Any

from certbd.data import datasets
from certbd.data.size import Size
from certbd.learners import learner as learners
from certbd.learners.footprint import Footprint
from certbd.plan import memory
from certbd.plan.plan import Plan


def size_of(plan: Plan, name: str) -> Size:
    """Return how large a dataset is."""
    known, entry = plan.outlines[name], plan.config.datasets[name]
    shape = datasets.read(entry).shape(known.files)
    counts = sum(known.training_counts), sum(known.test_counts)
    return Size(*counts, shape, len(known.classes))


def sizes_of(plan: Plan, wildcards: Any) -> tuple[Size, Footprint]:
    """Return how large the dataset of a job is, and a model of its learner."""
    size = size_of(plan, wildcards.dataset)
    return size, learners.read(plan.config.learners[wildcards.learner]).footprint(size)


def of_search(plan: Plan, wildcards: Any) -> int:
    """Return the memory in MB of a search."""
    search = plan.config.searches[wildcards.search]
    size = size_of(plan, search["dataset"])
    learner = learners.read(plan.config.learners[search["learner"]]).footprint(size)
    return memory.of_search(size, learner, search, plan.config.device)


def chunk_of(wildcards: Any) -> int:
    """Return the number of models of a job's chunk."""
    first, last = map(int, wildcards.chunk.split("-"))
    return last + 1 - first
