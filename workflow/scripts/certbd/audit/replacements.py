"""The worst replaced rows, labels and features that can be found, as `attackers` finds steps."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from certbd.artifacts.io import PoisonedSet
from certbd.audit.attackers import Inputs
from certbd.audit.descent import EVALUATION_BYTES, margin_score
from certbd.learners.networks import Ensemble, logits, saved_bytes

FAR = 1e4
"""Where an attacker puts a row that shall draw a class mean out of sight."""


def replace_rows(
    training: PoisonedSet, point: Inputs, label: int, other: int, n_rows: int, by_means: bool
) -> PoisonedSet:
    """Replace the rows that speak most for a test input's label.

    A nearest class mean never recovers from one row of the label far away, in whatever draw it is:
    the worst there is. For other learners the rows become the test input under another label,
    which for class sums comes closest to the bound ``2 B/n``.
    """
    likeness = training.inputs.reshape(len(training.labels), -1) @ point.ravel()
    order = np.argsort(np.where(training.labels == label, -likeness, np.inf), kind="stable")
    inputs, labels, chosen = training.inputs.copy(), training.labels.copy(), order[:n_rows]
    inputs[chosen] = np.float32(FAR) if by_means else point
    labels[chosen] = label if by_means else other
    return training._replace(inputs=inputs, labels=labels)


def flip_labels(
    training: PoisonedSet, point: Inputs, label: int, other: int, flips: int
) -> PoisonedSet:
    """Relabel the rows most like a test input, those of its label first."""
    distance = np.linalg.norm((training.inputs - point).reshape(len(training.labels), -1), axis=1)
    order = np.lexsort((distance, training.labels != label))
    labels = training.labels.copy()
    labels[order[:flips]] = other
    return training._replace(labels=labels)


@torch.no_grad()
def flip_features(
    module: nn.Module,
    pilots: Ensemble,
    point: Inputs,
    label: int,
    flips: int,
    noisy: Callable[[Tensor], Tensor],
) -> Inputs:
    """Change features of a test input one by one, each time the one that lowers the score most.

    A feature goes to the far end of its domain, 0 or 1.

    Parameters
    ----------
    noisy : callable
        From inputs (n, ...) to what each pilot sees of them (pilots, n, ...).
    """
    moved = torch.from_numpy(point).flatten().clone()
    changed = torch.zeros(len(moved), dtype=torch.bool)
    each = len(next(iter(pilots.values()))) * (
        3 * point.nbytes + saved_bytes(module, (1, *point.shape))
    )
    features = torch.arange(len(moved)).split(max(1, EVALUATION_BYTES // each))
    for _ in range(min(flips, len(moved))):
        scores = []
        for some in features:
            candidates = moved.repeat(len(some), 1)
            candidates[torch.arange(len(some)), some] = (moved[some] < 0.5).float()
            answers = logits(module, pilots, noisy(candidates.reshape(-1, *point.shape)))
            scores.append(margin_score(answers, torch.full((len(some),), label)))
        chosen = int(torch.cat(scores).masked_fill(changed, torch.inf).argmin())
        moved[chosen], changed[chosen] = float(moved[chosen] < 0.5), True
    return moved.reshape(point.shape).numpy()
