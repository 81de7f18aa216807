"""Backdoor triggers and poison sets, as RAB and Cert-SSB build them.

Pure functions of arrays and a generator. Sources: Weber et al., arXiv 2003.08904, and the
published code of Qiao et al., arXiv 2504.21730; ``docs/theory.md``, section 8.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certbd.artifacts.io import DataError, PoisonedSet
from certbd.data import domains

# Published positions (row, column) by image height and width.
ONE_PIXEL = {28: [(23, 23)], 32: [(15, 15)], 224: [(112, 112)]}
CHANNELS = {"cifar10": 3, "imagenette": 3}
FOUR_PIXEL = {
    28: [(18, 20), (19, 19), (20, 18), (20, 20)],
    32: [(14, 16), (15, 15), (16, 14), (16, 16)],
    224: [(112, 112), (111, 113), (113, 111), (113, 113)],
}
PIXELS = {"one_pixel": (ONE_PIXEL, 1), "four_pixel": (FOUR_PIXEL, 4)}
"""Published positions, and the number of pixels, of kinds that are a list of pixels."""
CLIPPED = {"one_pixel": True, "four_pixel": True, "blending": False}
"""Whether sums of input and trigger are clipped at 1."""


def positions(kind: str, height: int, width: int) -> list[tuple[int, int]]:
    """Return the pixels of a one-pixel or four-pixel trigger.

    The published ones for square images of 28, 32 and 224 pixels; for other sizes the top left
    corner, and all four corners.
    """
    published, count = PIXELS[kind]
    if height == width and height in published:
        return published[height]
    corners = [(0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1)]
    wanted = corners[:count]
    if len(set(wanted)) < len(wanted):
        raise DataError(
            f"a four_pixel trigger needs images of 2 x 2 pixels, not {height} x {width}"
        )
    return wanted


def check_fit(kind: str, has_images: bool) -> None:
    """Raise DataError if a trigger of pixels is for inputs that are rows of features."""
    if kind in ("one_pixel", "four_pixel") and not has_images:
        raise DataError(
            f"kind: a {kind} trigger needs images, not rows of features; blending fits both"
        )


def check_domain(attack: Mapping[str, Any], dataset_kind: str, size: int) -> None:
    """Raise DataError if a trigger leads out of a domain of `size` values.

    Where the number of channels is not known from the kind of dataset, one is taken.
    """
    kind = attack["kind"]
    if kind == "blending":
        raise DataError(
            "kind: blending adds numbers outside any domain; allowed: triggers of pixels"
        )
    n_values = CHANNELS.get(dataset_kind, 1) * PIXELS[kind][1]
    domains.check_trigger(attack["norm"] / math.sqrt(n_values), size)


def make_trigger(
    kind: str, norm: float, shape: tuple[int, ...], generator: np.random.Generator
) -> NDArray[np.float32]:
    """Return a trigger of l2 norm `norm` for inputs of this shape.

    Parameters
    ----------
    kind : {"one_pixel", "four_pixel", "blending"}
        Pixels share the norm equally, over positions and channels; blending is one Gaussian
        pattern over the whole input, drawn from `generator`.
    norm : float
        l2 norm, pixels in [0, 1].
    shape : tuple of int
        (channels, height, width); blending takes any shape.
    """
    if kind == "blending":
        trigger = generator.standard_normal(shape)
    else:
        check_fit(kind, len(shape) == 3)
        rows, columns = zip(*positions(kind, *shape[1:]), strict=True)
        trigger = np.zeros(shape)
        trigger[:, rows, columns] = 1
    return (trigger * (norm / np.linalg.norm(trigger))).astype(np.float32)


def add_trigger(
    inputs: NDArray[np.float32], trigger: NDArray[np.float32], kind: str
) -> NDArray[np.float32]:
    """Add a trigger to inputs (n, ...); sums are clipped at 1 except for blending."""
    triggered = inputs + trigger
    return np.minimum(triggered, np.float32(1)) if CLIPPED[kind] else triggered


def count_poisoned(attack: Mapping[str, Any], class_counts: Sequence[int]) -> int:
    """Return the number of training inputs that an attack poisons: its rate of all, rounded down.

    Raises
    ------
    DataError
        If that is none, or more than there are outside the target class, or if the target is
        not a label.
    """
    if attack["kind"] == "none":
        return 0
    n_inputs, target, rate = sum(class_counts), attack["target"], attack["rate"]
    if target >= len(class_counts):
        raise DataError(f"target: {target} is not a label; allowed: 0 to {len(class_counts) - 1}")
    others = n_inputs - class_counts[target]
    count = int(rate * n_inputs * (1 + 1e-12))
    if not 1 <= count <= others:
        raise DataError(
            f"rate: {rate} of {n_inputs} training inputs is {count} to poison; "
            f"allowed: 1 to {others}, the number outside the target class, "
            f"so a rate from {1 / n_inputs:.2g} to {others / n_inputs:.2g}"
        )
    return count


def poison(
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    attack: Mapping[str, Any],
    trigger: NDArray[np.float32],
    generator: np.random.Generator,
) -> PoisonedSet:
    """Put the trigger on randomly drawn training inputs of other classes and relabel them.

    Parameters
    ----------
    inputs, labels : arrays
        The clean training set, (n, ...) and (n,).
    attack : mapping
        An entry of the configuration's ``attacks`` with a trigger.
    trigger : array
        As `make_trigger` returns it.

    Raises
    ------
    DataError
        If a class is left without training inputs, and as `count_poisoned`.
    """
    class_counts = np.bincount(labels)
    count = count_poisoned(attack, class_counts.tolist())
    candidates = np.flatnonzero(labels != attack["target"])
    indices = np.sort(generator.choice(candidates, count, replace=False))
    inputs, labels = inputs.copy(), labels.copy()
    inputs[indices] = add_trigger(inputs[indices], trigger, attack["kind"])
    labels[indices] = attack["target"]
    if empty := np.flatnonzero(np.bincount(labels, minlength=len(class_counts)) == 0).tolist():
        raise DataError(
            f"rate: {attack['rate']} poisons {count} inputs and leaves none of label {empty[0]}; "
            "a lower rate is needed"
        )
    return PoisonedSet(inputs, labels, indices)
