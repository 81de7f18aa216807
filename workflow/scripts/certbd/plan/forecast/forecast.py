"""The forecast of a run: for each experiment what it costs, and what it can certify at most."""

from pathlib import Path
from typing import Any

import pandas as pd

from certbd.config.axes import Certification, Run
from certbd.data import datasets
from certbd.learners import learner as learners
from certbd.plan import sizes
from certbd.plan.forecast import advice, costs
from certbd.plan.forecast.costs import Job
from certbd.plan.forecast.rates import (
    BYTES_PER_SECOND,
    VOTES_PER_SECOND,
    Rates,
    key_of,
    unknown,
)
from certbd.plan.plan import Plan

Row = tuple[Run, Certification]
TABLES = ("certificates", "new_certificates", "external", "poison")
"""Stages without torch."""
AT_THE_END = 4
"""Jobs without torch at the end: tables, figures, the page."""
STREAM = 3e-5
"""Seconds of a vote on a new input by itself, with a noise stream of its own."""
STARTING = 3.0
"""Seconds of Snakemake's own at the start."""
MANY = 5000
"""Training inputs from which the network without defence takes long."""


def forecast(plan: Plan, rows: list[Row], rates_file: Path, cores: int) -> pd.DataFrame:
    """Return one row per experiment: jobs, models, seconds on so many cores, MB, and what holds."""
    own = [row for row in rows if row[0] not in plan.config.external]
    keys = {key_of(*_trained(plan, run)[:3]) for run, _ in own}
    rates = Rates(rates_file, unknown(rates_file, keys))
    found = []
    for (run, certification), jobs in zip(rows, costs.jobs_of(plan, rows), strict=True):
        seconds = sum(_seconds(plan, job, rates) for job in jobs) / cores
        question = advice.Question.of(plan, run, certification)
        holds = None if question is None else question.holds()
        found.append(
            run._asdict()
            | {"n_models": certification.n_models, "bound": certification.bound}
            | {"threat": _threat(plan, run, certification), "jobs": len(jobs)}
            | {"models": sum(job.models for job in jobs if job.stage == "models")}
            | {"seconds": seconds, "megabytes": sum(job.stored for job in jobs) / 1e6}
            | {"can_certify": holds, "reach": _joined(advice.reach, question)}
            | {"would": _joined(advice.remedies, question) if holds is False else ""}
        )
    return pd.DataFrame(found)


def ending(rates_file: Path, cores: int) -> float:
    """Return the seconds of the jobs that every run ends with."""
    return STARTING + AT_THE_END * 1.5 * Rates(rates_file, 0).start("tables") / min(cores, 2)


def units(plan: Plan, dataset: str) -> str:
    """Say what the norms that are asked of a dataset are in the units of its files."""
    threats = [t for (run, _), t in plan.threats.items() if run.dataset == dataset and t]
    norms = sorted({threat.size for threat in threats if threat.trigger in ("l2", "linf")})
    entry = datasets.read(plan.config.datasets[dataset])
    files = plan.outlines[dataset].files
    said = [(norm, entry.source_units(files, norm)) for norm in norms]
    return "".join(f"; a change of {n:g} in one value alone is {text}" for n, text in said if text)


def _joined(ask: Any, question: advice.Question | None) -> str:
    return "" if question is None else ", ".join(ask(question))


def _threat(plan: Plan, run: Run, certification: Certification) -> str:
    threat = plan.threats[run, certification]
    return "" if threat is None else threat.describe()


def _trained(plan: Plan, run: Run) -> tuple[Any, Any, Any, float]:
    """Return what rates depend on: learner, training side, size, and noise to start from."""
    learner = learners.read(plan.config.learners[run.learner])
    learner = learner.with_weights(plan.pretrained[run.learner])
    level = float(plan.config.noises[run.noise].get("sigma", 1.0))
    return learner, plan.config.training_side(run), sizes.size_of(plan, run.dataset), level


def _seconds(plan: Plan, job: Job, rates: Rates) -> float:
    """Return about how long a job takes on one core."""
    start = rates.start("tables" if job.stage in TABLES else "torch")
    if job.stage in ("external", "data", "poison", "new", "new_certificates"):
        return start + job.stored / BYTES_PER_SECOND
    if job.stage == "certificates":
        return start + job.models * job.inputs / VOTES_PER_SECOND
    if job.stage == "undefended":
        return start + _undefended(plan, job)
    rate = rates.of(*_trained(plan, job.run))
    if job.stage == "models":
        return start + rate.fixed + rate.model * job.models
    if job.stage in ("votes", "new_votes"):
        alone = STREAM if job.stage == "new_votes" else 0.0
        return start + (rate.vote + alone) * job.models * job.inputs
    search = plan.config.training_side(job.run).search  # sigma: forward and backward
    draws = search.pilots * search.draws * search.steps
    return start + rate.model * search.pilots + 3 * rate.vote * draws * job.inputs


def _undefended(plan: Plan, job: Job) -> float:
    """Return a guess for one network without noise: a few seconds, a small part of a run."""
    return 2.0 if sizes.size_of(plan, job.run.dataset).training < MANY else 20.0
