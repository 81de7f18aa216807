"""Whether a row can certify its threat if every model agrees, and what would.

Every answer comes from the guarantee that certifies the run itself, asked with votes of one class
(`certify.unanimous`), so a formula stands in one place.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from certbd.artifacts.io import PoisonedSet
from certbd.certify import unanimous
from certbd.config import defences
from certbd.config.axes import Certification, Run
from certbd.config.threats import Threat
from certbd.learners import learner as learners
from certbd.plan import sizes
from certbd.plan.plan import Plan
from certbd.training import side as sides
from certbd.training.world import World

MOST_MODELS = 10_000_000
"""N beyond which none is looked for."""
DOUBLINGS = 40
HALVINGS = 12


@dataclass(frozen=True)
class Question:
    """A row of the summary, asked before there are votes."""

    plan: Plan
    run: Run
    certification: Certification
    threat: Threat
    noise: dict[str, Any]

    @classmethod
    def of(cls, plan: Plan, run: Run, certification: Certification) -> "Question | None":
        """Return the question of a row of the workflow's own; None where nothing can be asked."""
        threat = plan.threats[run, certification]
        if threat is None or run in plan.config.external:
            return None
        if not defences.read(run.defense).covers(plan.config.test_side(run), threat):
            return None
        return cls(plan, run, certification, threat, dict(plan.config.noises[run.noise]))

    def holds(self) -> bool:
        """Return whether the threat is covered if all models agree.

        Noise that its side refuses covers nothing.
        """
        try:
            return self._covered()
        except ValueError:
            return False

    def _covered(self) -> bool:
        known = self.plan.outlines[self.run.dataset]
        shape = sizes.size_of(self.plan, self.run.dataset).shape
        defence = defences.read(self.run.defense)
        side, test = defence.training_side(self.noise), defence.test_side(self.noise)
        labels = np.repeat(np.arange(len(known.classes)), known.training_counts)
        side.check_fit(len(labels))
        inputs = np.broadcast_to(np.float32(0), (len(labels), *shape))  # no memory of its own
        learner = learners.read(self.plan.config.learners[self.run.learner])
        n_classes, start = len(known.classes), float(self.noise.get("sigma", math.nan))
        if side.optimises:  # as far as the ascent may go
            start *= side.search.bounds[1]
        sigma_train = None
        if side.has_sigma:
            sigma_train = np.full(len(labels), start if side.optimises else side.sigma)
        world = World(
            training=PoisonedSet(inputs, labels, np.arange(0)),
            test=test,
            n_classes=n_classes,
            by_class_means=learner.by_class_means,
            sums_bound=learner.sums_bound(n_classes),
            sigma_train=sigma_train,
            threat=self.threat,
            norm=None if self.threat.trigger == "l0" else self.threat.norm(shape),
        )
        sigma = start if side.optimises else float(test.sigma("", 1, None, None)[0])
        splits = 1 if self.plan.attacks[self.run]["n_poisoned"] is None else 2
        return unanimous.covers(
            sides.guarantee_of(side, world), sigma, self.certification, n_classes,
            splits * sum(known.test_counts),
        )  # fmt: skip

    def with_noise(self, key: str, value: float) -> "Question":
        """Return the same question under other noise."""
        return replace(self, noise=self.noise | {key: value})

    def with_rows(self, rows: int) -> "Question":
        """Return the same question of so many rows."""
        return replace(self, threat=self.threat._replace(rows=rows))

    def with_size(self, size: float) -> "Question":
        """Return the same question of a trigger of another size."""
        return replace(self, threat=self.threat._replace(size=size))

    def with_models(self, n_models: int) -> "Question":
        """Return the same question to so many models."""
        return replace(self, certification=self.certification._replace(n_models=n_models))


def warning(plan: Plan, rows: list[tuple[Run, Certification]]) -> str:
    """Name the rows that can certify nothing of what they are asked, however models vote."""
    asked = [Question.of(plan, *row) for row in rows]
    lost = [question for question in asked if question is not None and not question.holds()]
    if not lost:
        return ""
    names = dict.fromkeys(
        f"{question.run.dataset}/{question.run.defense}/{question.run.noise}" for question in lost
    )
    return (
        f"warning: {len(lost)} of {len(rows)} experiments cannot certify what they are asked, even "
        f"if all their models agree ({', '.join(names)}); `snakemake plan` says what could"
    )


def reach(question: Question) -> list[str]:
    """Say how far agreement would reach: the most rows, the largest trigger."""
    said, threat = [], question.threat
    n_rows = sum(question.plan.outlines[question.run.dataset].training_counts)
    if threat.rows and threat.trigger != "l0":
        most = _most(lambda rows: question.with_rows(rows).holds(), n_rows)
        said.append(f"{most} row{'' if most == 1 else 's'} {threat.how}")
    if threat.trigger in ("l2", "linf"):
        most_size = _largest(lambda size: question.with_size(size).holds(), threat.size)
        said.append(f"{threat.trigger} {_down(most_size)}")
    return said


def remedies(question: Question) -> list[str]:
    """Say what alone would let the threat be covered if all models agreed."""
    said = []
    least = _least_models(question)
    if least is not None:
        said.append(f"n_models {least} or more")
    key = defences.read(question.run.defense).searched
    if key is not None and key in question.noise:
        said += _noise_remedy(question, key)
    known = question.plan.outlines[question.run.dataset]
    bound = question.certification.bound
    alone = defences.read(question.run.defense).side.alone
    if len(known.classes) > 2 and bound != "runner_up" and not alone:
        said.append("bound runner_up, where models do not all agree")
    return said


def _least_models(question: Question) -> int | None:
    low, high = question.certification.n_models, question.certification.n_models
    while not question.with_models(high).holds():
        low, high = high, 2 * high
        if high > MOST_MODELS:
            return None
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if question.with_models(middle).holds() else (middle, high)
    return high


def _noise_remedy(question: Question, key: str) -> list[str]:
    """Find the nearest value of the training parameter that would do, up or down."""
    value = question.noise[key]
    if isinstance(value, int):
        most = _most(lambda rows: rows == 0 or question.with_noise(key, rows).holds(), value)
        return [f"{key} {most} or fewer"] if most > 0 else []
    for factor, words in ((2.0, "or more"), (0.5, "or less")):
        far = value
        for _ in range(DOUBLINGS):
            far *= factor
            if question.with_noise(key, far).holds():
                near = far / factor
                for _ in range(HALVINGS):
                    middle = (near + far) / 2
                    holds = question.with_noise(key, middle).holds()
                    near, far = (near, middle) if holds else (middle, far)
                return [f"{key} {far:.3g} {words}"]
    return []


def _most(holds: Callable[[int], bool], limit: int) -> int:
    """Return the largest whole number up to a limit that holds, for what falls; 0 if none."""
    low, high = 0, limit + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _largest(holds: Callable[[float], bool], start: float) -> float:
    """Return the largest size that holds, for what falls; 0 if none."""
    low, high = 0.0, start
    while holds(high) and high < 1e6:
        low, high = high, 2 * high
    for _ in range(3 * HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _down(value: float) -> str:
    """Return a number with three digits, rounded down."""
    if value <= 0:
        return "0"
    scale = 10 ** (2 - math.floor(math.log10(value)))
    return f"{math.floor(value * scale) / scale:g}"
