"""What a configuration asks for: jobs, models, votes, bytes, each counted for its first user."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from certbd.config.axes import Certification, Run
from certbd.learners import learner as learners
from certbd.plan import sizes
from certbd.plan.plan import Plan

VOTE_BYTES = 0.15
"""Stored for one vote: votes of one model mostly agree with each other, and compress."""
SCORE_BYTES = 4.0


class Job(NamedTuple):
    """One job: its stage, what it works on, and how much there is to do."""

    stage: str
    run: Run
    models: int = 0
    inputs: int = 0
    stored: float = 0.0
    """Bytes that it writes, about."""


def jobs_of(plan: Plan, rows: list[tuple[Run, Certification]]) -> list[list[Job]]:
    """Return the jobs of each row, but those that an earlier row needs, too."""
    seen: set[tuple[Any, ...]] = set()
    every = []
    for run, certification in rows:
        own = []
        for key, job in _jobs(plan, run, certification):
            if key not in seen:
                seen.add(key)
                own.append(job)
        every.append(own)
    return every


def _jobs(
    plan: Plan, run: Run, certification: Certification
) -> Iterator[tuple[tuple[Any, ...], Job]]:
    """Yield a row's jobs, each with what tells it apart."""
    if run in plan.config.external:
        yield ("external", run, certification), Job("external", run)
        return
    size = sizes.size_of(plan, run.dataset)
    numbers = 4.0 * int(np.prod(size.shape))
    train, test = numbers * size.training, numbers * size.test
    yield ("data", run.dataset), Job("data", run, stored=train + test)
    triggered = test if plan.attacks[run]["n_poisoned"] is not None else 0
    stored = train + triggered
    yield ("poison", run.dataset, run.attack), Job("poison", run, stored=stored)
    if plan.config.undefended in plan.config.learners:
        yield ("undefended", run.dataset, run.attack), Job("undefended", run, models=1)
    side = plan.config.training_side(run)
    models = ("models", run.dataset, run.attack, side.folder, run.learner, run.seed)
    if side.optimises:
        yield ("sigma", *models), Job("sigma", run, inputs=size.training + 2 * size.test)
    each = learners.read(plan.config.learners[run.learner]).footprint(size).model
    inputs = size.test * (2 if triggered else 1)
    byte = VOTE_BYTES + SCORE_BYTES * size.n_classes * (run in plan.scored)
    for chunk in plan.config.chunks(certification.n_models):
        first, last = map(int, chunk.split("-"))
        n = last + 1 - first
        kept = each * n if plan.config.keep_models else 0.0
        yield (*models, chunk), Job("models", run, models=n, stored=kept)
        stored = byte * n * inputs
        yield ("votes", run, chunk), Job("votes", run, models=n, inputs=inputs, stored=stored)
        if run.dataset in plan.new:
            yield (
                ("new_votes", run, chunk),
                Job("new_votes", run, models=n, inputs=plan.n_new[run.dataset]),
            )
    if run.dataset in plan.new:
        yield ("new", run.dataset), Job("new", run)
        yield ("new_certificates", run, certification), Job("new_certificates", run)
    n_models = certification.n_models
    stored = 200.0 * inputs
    certify = Job("certificates", run, models=n_models, inputs=inputs, stored=stored)
    yield ("certificates", run, certification), certify
