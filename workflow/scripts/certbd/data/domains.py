"""Features of finitely many values, and the noise that keeps or replaces them.

A domain of K values holds 0, 1/(K-1), ..., 1, numbered 0 to K - 1; labels are numbers already.
Noise adds a shift modulo K: 0 with probability beta, else any other, uniformly
(``docs/theory.md``, section 6).
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from certbd.artifacts.io import DataError

BITS = 32


class Replacement(NamedTuple):
    """Noise on features of `values` values each: kept with probability `beta`, else replaced."""

    beta: float
    values: int


def kept_share(beta: float) -> Fraction:
    """Return the probability with which `shifts` keeps a value: beta in `BITS` binary digits."""
    return Fraction(round(beta * 2**BITS), 2**BITS)


def shifts(
    generator: np.random.Generator, shape: tuple[int, ...], beta: float, size: int
) -> NDArray[np.uint16]:
    """Draw a shift for each value of an array: 0 with `kept_share`, else uniform in 1 to size - 1.

    Both probabilities are exact for exactly random bits.
    """
    kept = kept_share(beta).numerator * (2**BITS // kept_share(beta).denominator)
    drawn = generator.integers(2**BITS, size=shape, dtype=np.uint32) >= kept
    if size == 2:
        return drawn.astype(np.uint16)
    shift = np.zeros(shape, np.uint16)
    shift[drawn] = generator.integers(1, size, int(drawn.sum()), dtype=np.uint16)
    return shift


def shifted(
    numbers: NDArray[np.uint16], shift: NDArray[np.uint16], size: int
) -> NDArray[np.uint16]:
    """Return ``numbers + shift`` modulo size."""
    total = numbers + shift
    total -= np.uint16(size) * (total >= size)
    return total


def numbers_of(inputs: NDArray[np.float32], size: int, where: str) -> NDArray[np.uint16]:
    """Return the numbers of values.

    Raises
    ------
    DataError
        If a value is not one of the domain's, naming it and `where`.
    """
    scaled = inputs * np.float32(size - 1)
    numbers = np.rint(scaled)
    wrong = ~((np.abs(scaled - numbers) < 1e-3) & (numbers >= 0) & (numbers < size))
    if wrong.any():
        place = np.argwhere(wrong)[0].tolist()
        allowed = "0 or 1" if size == 2 else f"one of {size} values, multiples of 1/{size - 1}"
        raise DataError(
            f"{where}, input {place[0]}: {inputs[tuple(place)]} at {place[1:]}; allowed: "
            f"{allowed} (the noise's key values, the dataset's key binarise)"
        )
    return numbers.astype(np.uint16)


def check_features(stored: int | None, size: int) -> None:
    """Raise DataError if features of so many values are not of the domain; None: not known."""
    if stored is not None and (size - 1) % (stored - 1):
        raise DataError(
            f"features of {stored} values are not of a domain of {size}; allowed: noise with "
            f"values: {stored}, or a dataset with binarise: 0.5"
        )


def check_trigger(step: float, size: int) -> None:
    """Raise DataError if adding `step` to a pixel, up to 1, leads out of the domain."""
    scaled = step * (size - 1)
    if step < 1 - 1e-6 and abs(scaled - round(scaled)) > 1e-3:
        allowed = "1 or more" if size == 2 else f"a multiple of 1/{size - 1}, or 1 or more"
        raise DataError(
            f"norm: it adds {step:g} to a pixel of {size} values; allowed: {allowed} a pixel"
        )
