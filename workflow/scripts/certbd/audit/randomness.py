"""Random numbers tested: those that a run was made of, which `streams` draws again.

Certificates rest on independent noise of known distribution; weak generators have been turned
against them (Dahiya et al., arXiv 2306.14043). Each **check** has an exact or asymptotic p-value
under that assumption.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy import stats

from certbd.data.domains import kept_share

PAIRS = 2**23
"""Correlations of two models that are computed together."""
AXES = ("dataset", "attack", "defense", "noise", "learner", "seed")
NOISE_AUDIT = (*AXES, "stream", "check", "models", "numbers", "statistic", "p_value", "passed")
"""Columns of ``noise_audit.csv``."""
CHECKS = pa.schema(
    [
        pa.field("stream", pa.string(), nullable=False),
        pa.field("check", pa.string(), nullable=False),
        pa.field("models", pa.int64(), nullable=False),
        pa.field("numbers", pa.int64(), nullable=False),
        pa.field("statistic", pa.float64(), nullable=False),
        pa.field("p_value", pa.float64(), nullable=False),
    ]
)
"""Checks of one run."""
KEY = [*AXES, "stream", "check", "models"]
"""What tells the rows of a table apart."""
LEVEL = 0.001
"""Probability that sound random numbers fail any check of a table."""

Array = NDArray[np.float64]
Checks = Iterator[tuple[str, float, float]]
"""Name, statistic and p-value."""


def table(stream: str, drawn: NDArray[Any], checks: Checks) -> pd.DataFrame:
    """Return the results of checks of numbers (models, ...) of a stream, a row each."""
    results = pd.DataFrame(checks, columns=["check", "statistic", "p_value"])
    return results.assign(stream=stream, models=len(drawn), numbers=drawn.size)


def check_normal(noise: Array) -> Checks:
    """Check standard normal noise (models, numbers): moments, distribution, independent models."""
    flat = noise.ravel()
    n = len(flat)
    yield "mean", (mean := flat.mean()), 2 * stats.norm.sf(abs(mean) * np.sqrt(n))
    total = np.square(flat).sum()
    tails = stats.chi2.cdf(total, n), stats.chi2.sf(total, n)
    yield "variance", total / n, 2 * min(tails)
    third, fourth = float(np.mean(flat**3)), float(np.mean(flat**4))
    yield "third moment", third, 2 * stats.norm.sf(abs(third) * np.sqrt(n / 15))
    yield "fourth moment", fourth, 2 * stats.norm.sf(abs(fourth - 3) * np.sqrt(n / 96))
    distance, p = stats.kstest(flat, "norm", method="asymp")
    yield "Kolmogorov-Smirnov", distance, p
    yield from check_models(noise)


def check_models(noise: Array) -> Checks:
    """Check that the models' noise (models, numbers) points in independent directions.

    For independent normal rows in d dimensions, squared cosines are Beta(1/2, (d - 1)/2), pairwise
    independent over the pairs; their mean is compared with 1/d, the largest with the distribution.
    """
    n_models, d = noise.shape
    if n_models < 2:
        return
    unit = noise / np.linalg.norm(noise, axis=1, keepdims=True)
    largest = total = 0.0
    width = max(1, min(256, PAIRS // n_models))
    for start in range(0, n_models, width):
        rows = unit[start : start + width]
        squares = np.square(rows @ unit[start:].T)[np.triu_indices(len(rows), 1, n_models - start)]
        if len(squares):
            total, largest = total + squares.sum(), max(largest, float(squares.max()))
    pairs = n_models * (n_models - 1) // 2
    mean, variance = 1 / d, 2 * (d - 1) / (d * d * (d + 2))
    z = (total / pairs - mean) / np.sqrt(variance / pairs)
    yield "mean squared correlation of models", total / pairs, 2 * stats.norm.sf(abs(z))
    tail = stats.beta.sf(min(1.0, largest), 0.5, (d - 1) / 2)
    yield "largest correlation of two models", np.sqrt(largest), -np.expm1(pairs * np.log1p(-tail))


def check_pairs(one: Array, other: Array) -> Checks:
    """Check that standardised numbers (models, numbers) are uncorrelated with others."""
    products = (one * other).ravel()
    n = len(products)
    yield "correlation", (mean := products.mean()), 2 * stats.norm.sf(abs(mean) * np.sqrt(n))


def check_rows(drawn: NDArray[np.integer], n_rows: int) -> Checks:
    """Check rows (models, m) drawn without replacement: each as often, models independent.

    A row's number of draws has variance ``N m/n (1 - m/n)``, and the numbers add up: the scaled
    sum of squares is chi-square with n - 1 degrees of freedom. Overlaps are hypergeometric.
    """
    n_models, m = drawn.shape
    repeated = sum(len(np.unique(rows)) < m for rows in drawn)
    yield "models with a row drawn twice", repeated, float(repeated == 0)
    counts = np.bincount(drawn.ravel(), minlength=n_rows)
    if m < n_rows:
        spread = np.square(counts - n_models * m / n_rows).sum()
        total = spread / (n_models * m / n_rows * (1 - m / n_rows)) * (n_rows - 1) / n_rows
        tails = stats.chi2.cdf(total, n_rows - 1), stats.chi2.sf(total, n_rows - 1)
        yield "draws of each row", total / (n_rows - 1), 2 * min(tails)
    pairs = zip(drawn[::2], drawn[1::2], strict=False)
    neighbours = [len(np.intersect1d(a, b)) for a, b in pairs]
    if neighbours and m < n_rows:
        overlap = stats.hypergeom(n_rows, m, m)
        z = (np.mean(neighbours) - overlap.mean()) / (overlap.std() / np.sqrt(len(neighbours)))
        yield "rows shared by two models", float(np.mean(neighbours)), 2 * stats.norm.sf(abs(z))


def check_shifts(drawn: NDArray[np.uint16], beta: float, size: int) -> Checks:
    """Check shifts (models, numbers): how many are kept, which replace, independent models."""
    kept, share = int((drawn == 0).sum()), float(kept_share(beta))
    yield "share kept", kept / drawn.size, stats.binomtest(kept, drawn.size, share).pvalue
    if size > 2:
        counts = np.bincount(drawn[drawn > 0], minlength=size)[1:]
        yield "values that replace", counts.max() / counts.sum(), stats.chisquare(counts).pvalue
    unit = ((drawn == 0) - share) / np.sqrt(share * (1 - share))
    half = len(unit) // 2
    yield from check_pairs(unit[:half], unit[half : 2 * half])


def judge(table: pd.DataFrame) -> pd.DataFrame:
    """Add ``passed``: a p-value of `LEVEL` over the number of checks, or more (Bonferroni)."""
    return table.assign(passed=table["p_value"] >= LEVEL / max(1, len(table)))


def describe(table: pd.DataFrame) -> str:
    """Say in a line whether the random numbers passed."""
    if not len(table):
        return "random numbers: not checked"
    failed = int((~table["passed"]).sum())
    return (
        f"random numbers: {len(table)} checks, {failed} failed; least p-value "
        f"{table['p_value'].min():.2g}, allowed from {LEVEL / len(table):.2g}"
    )
