"""Storage-update certification: a memory of certified balls that later queries agree with.

Source: Qiao et al. (Cert-SSB), arXiv 2504.21730; ``docs/theory.md``, section 4, which also says
what it does not give.

The **depth** of a query x in a stored ball (x_j, R_j) is ``R_j - |x - x_j|``: positive inside, else
minus the gap. A query needs its greatest depth in any ball, and in balls of other labels. Distances
are first bounded by one matrix product a block; only the few balls that could be the deepest are
then measured exactly.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certbd.theory.checks import require

Array = NDArray[np.float64]

KEPT, ALIGNED, EXTENDED, TRIMMED, ABSTAINED = "kept", "aligned", "extended", "trimmed", "abstained"
BLOCK = 512
"""Queries whose distances are bounded at a time."""


class StorageUpdate(NamedTuple):
    """Labels and radii (n,) after the update, and what was done to each query."""

    labels: NDArray[np.int64]
    radii: Array
    actions: NDArray[np.str_]


def storage_update(inputs: ArrayLike, labels: ArrayLike, radii: ArrayLike) -> StorageUpdate:
    """Query the memory with each input in turn and store its ball.

    1. Inside stored balls, which all bear one label: with another label, or abstained, take
       that label and the largest ball around the query inside a stored one (aligned). With the
       same label, do so at the end if it is larger than its own (extended).
    2. Else an abstained query stays abstained.
    3. Overlapping stored balls of other labels: shrink to touch the nearest (trimmed).
    4. Store; a radius that was changed is moved one float down, so that rounding cannot make
       balls of different labels meet.

    Parameters
    ----------
    inputs : array_like (n, ...)
        Queries in order; distances are l2 over all features, in float64.
    labels : array_like (n,)
        Predicted labels.
    radii : array_like (n,)
        Certified radii of open balls; 0 means that the query abstained.

    Returns
    -------
    StorageUpdate
        Radius 0 means abstained: not stored, label as it came.

    Raises
    ------
    ValueError
        If lengths differ, a radius is negative, or an input or radius is NaN.
    """
    points = np.asarray(inputs, np.float64)
    points = points.reshape(len(points), int(np.prod(points.shape[1:])))
    labels, radii = np.array(labels, np.int64), np.array(radii, np.float64)
    if not len(points) == len(labels) == len(radii):
        raise ValueError(f"{len(points)} inputs, {len(labels)} labels and {len(radii)} radii")
    require(np.isfinite(points), "inputs", points, "finite numbers")
    require(radii >= 0, "radii", radii, "0 or above")
    actions = np.full(len(points), KEPT, dtype="<U9")
    for query, nearest, farthest in _distance_bounds(points):
        stored = np.flatnonzero(radii[:query] > 0)
        memory = _Memory(points, labels, radii, query, stored, nearest[stored], farthest[stored])
        labels[query], radii[query], actions[query] = _answer(
            int(labels[query]), float(radii[query]), memory
        )
    return StorageUpdate(labels, radii, actions)


def order_sensitivity(
    inputs: ArrayLike,
    labels: ArrayLike,
    radii: ArrayLike,
    generator: np.random.Generator,
    orders: int,
) -> Array:
    """Return, for each query, the share of random orders in which its outcome is another.

    Parameters
    ----------
    inputs, labels, radii
        As for `storage_update`.
    generator : Generator
        Draws the orders.
    orders : int
        How many.

    Returns
    -------
    array (n,)
        Compared with the order as given; an outcome is the label, abstention included, and the
        radius.
    """
    points, labels, radii = np.asarray(inputs), np.asarray(labels), np.asarray(radii)
    given = storage_update(points, labels, radii)
    changed = np.zeros(len(points))
    for _ in range(orders):
        order = generator.permutation(len(points))
        other = storage_update(points[order], labels[order], radii[order])
        label_differs = np.where(other.radii > 0, other.labels, -1) != np.where(
            given.radii[order] > 0, given.labels[order], -1
        )
        changed[order] += label_differs | ~np.isclose(other.radii, given.radii[order], rtol=1e-9)
    return changed / orders


class _Memory(NamedTuple):
    """The balls stored before a query, with bounds on their distances (stored,) from it."""

    points: Array
    labels: NDArray[np.int64]
    radii: Array
    query: int
    stored: NDArray[np.int64]
    nearest: Array
    farthest: Array

    def deepest(self, among: NDArray[np.bool_], above: float) -> tuple[Array, Array, int]:
        """Measure the balls `among` the stored ones in which the query may be deepest.

        Those in which its depth cannot be above `above`, or is less than in another, are left out.

        Returns
        -------
        distances, radii, label
            Of the balls measured; the label of the deepest of them, -1 if there are none.
        """
        radii = self.radii[self.stored]
        at_least = np.max(radii - self.farthest, where=among, initial=above)
        contenders = self.stored[among & (radii - self.nearest >= at_least)]
        distances = _distances(self.points[contenders], self.points[self.query])
        radii = self.radii[contenders]
        label = int(self.labels[contenders[(radii - distances).argmax()]]) if len(radii) else -1
        return distances, radii, label


def _answer(label: int, radius: float, memory: _Memory) -> tuple[int, float, str]:
    """Apply the four steps to one query."""
    distances, radii, inner_label = memory.deepest(np.ones(len(memory.stored), np.bool_), 0.0)
    inner = float(np.max(radii - distances, where=distances < radii, initial=0.0))
    if inner > 0 and (radius == 0 or inner_label != label):
        return inner_label, _down(inner), ALIGNED
    if radius == 0:
        return label, 0.0, ABSTAINED
    action = KEPT
    distances, radii, _ = memory.deepest(memory.labels[memory.stored] != label, -radius)
    overlapping = distances < radius + radii
    if overlapping.any():
        radius = max(0.0, _down(float(np.min((distances - radii)[overlapping]))))
        action = TRIMMED
    if inner > radius:
        radius, action = _down(inner), EXTENDED
    return label, radius, action


def _distance_bounds(points: Array) -> Iterator[tuple[int, Array, Array]]:
    """Yield each query with lower and upper bounds on its distances to all earlier queries."""
    squares = np.einsum("ij,ij->i", points, points)
    require(np.isfinite(squares), "squared norms of inputs", squares, "finite")
    # a product's error is at most d u |x||y| (Higham, section 3.1): four times that for safety
    error = 4 * (points.shape[1] + 8) * np.finfo(np.float64).eps
    for start in range(0, len(points), BLOCK):
        stop = min(start + BLOCK, len(points))
        scale = squares[start:stop, None] + squares[:stop]
        estimate = scale - 2 * (points[start:stop] @ points[:stop].T)
        scale *= error
        nearest = np.sqrt(np.maximum(estimate - scale, 0))
        farthest = np.sqrt(np.maximum(estimate + scale, 0))
        for query in range(start, stop):
            row = query - start
            yield query, nearest[row, :query], farthest[row, :query]


def _distances(points: Array, point: Array) -> Array:
    return np.sqrt(np.sum(np.square(points - point), axis=1))


def _down(radius: float) -> float:
    return float(np.nextafter(radius, -np.inf))
