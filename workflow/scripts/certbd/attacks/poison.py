"""Poison sets, as RAB and Cert-SSB build them: pure functions of arrays and an attack's seed.

Sources: Weber et al., arXiv 2003.08904, and the published code of Qiao et al., arXiv 2504.21730;
``docs/theory.md``, section 8.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from certbd import rng
from certbd.artifacts.io import DataError, PoisonedSet
from certbd.attacks.attack import Backdoor


def simulate(
    inputs: NDArray[np.float32], labels: NDArray[np.int64], attack: Backdoor
) -> tuple[PoisonedSet, NDArray[np.float32]]:
    """Return a training set as the attack leaves it, and its trigger; all is drawn from its seed.

    Arguments and errors as `poison`, and as `Backdoor.make_trigger`.
    """
    pattern = rng.generator(attack.seed, rng.Purpose.PATTERN)
    trigger = attack.make_trigger(inputs.shape[1:], pattern)
    drawn = rng.generator(attack.seed, rng.Purpose.POISON)
    return poison(inputs, labels, attack, trigger, drawn), trigger


def add_trigger(
    inputs: NDArray[np.float32], trigger: NDArray[np.float32], attack: Backdoor
) -> NDArray[np.float32]:
    """Add a trigger to inputs (n, ...); the attack says whether sums are clipped at 1."""
    triggered = inputs + trigger
    return np.minimum(triggered, np.float32(1)) if attack.clipped else triggered


def count_poisoned(attack: Backdoor, class_counts: Sequence[int]) -> int:
    """Return the number of training inputs that an attack poisons: its rate of all, rounded down.

    Raises
    ------
    DataError
        If that is none, or more than there are outside the target class, or if the target is
        not a label.
    """
    n_inputs, target, rate = sum(class_counts), attack.target, attack.rate
    if target >= len(class_counts):
        raise DataError(f"target: {target} is not a label; allowed: 0 to {len(class_counts) - 1}")
    others = n_inputs - class_counts[target]
    count = int(rate * n_inputs * (1 + 1e-12))
    if not 1 <= count <= others:
        raise DataError(
            f"rate: {rate:.15g} of {n_inputs} training inputs is {count} to poison; "
            f"allowed: 1 to {others}, the number outside the target class, "
            f"so a rate from {1 / n_inputs:.2g} to {others / n_inputs:.2g}"
        )
    return count


def poison(
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    attack: Backdoor,
    trigger: NDArray[np.float32],
    generator: np.random.Generator,
) -> PoisonedSet:
    """Put the trigger on randomly drawn training inputs of other classes and relabel them.

    Parameters
    ----------
    inputs, labels : arrays
        The clean training set, (n, ...) and (n,).
    attack : Backdoor
    trigger : array
        As its `make_trigger` returns it.

    Raises
    ------
    DataError
        If a class is left without training inputs, and as `count_poisoned`.
    """
    class_counts = np.bincount(labels)
    count = count_poisoned(attack, class_counts.tolist())
    candidates = np.flatnonzero(labels != attack.target)
    indices = np.sort(generator.choice(candidates, count, replace=False))
    inputs, labels = inputs.copy(), labels.copy()
    inputs[indices] = add_trigger(inputs[indices], trigger, attack)
    labels[indices] = attack.target
    if empty := np.flatnonzero(np.bincount(labels, minlength=len(class_counts)) == 0).tolist():
        raise DataError(
            f"rate: {attack.rate:.15g} poisons {count} inputs and leaves none of label "
            f"{empty[0]}; a lower rate is needed"
        )
    return PoisonedSet(inputs, labels, indices)
