"""Storage-update certification: a memory of certified balls that later queries agree with.

Source: Qiao et al. (Cert-SSB), arXiv 2504.21730; ``docs/theory.md``, section 4, which also says
what it does not give.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from certbd.checks import require

KEPT, ALIGNED, EXTENDED, TRIMMED, ABSTAINED = "kept", "aligned", "extended", "trimmed", "abstained"


class StorageUpdate(NamedTuple):
    """Labels and radii (n,) after the update, and what was done to each query."""

    labels: NDArray[np.int64]
    radii: NDArray[np.float64]
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
    points = points.reshape(len(points), -1)
    labels, radii = np.array(labels, np.int64), np.array(radii, np.float64)
    if not len(points) == len(labels) == len(radii):
        raise ValueError(f"{len(points)} inputs, {len(labels)} labels and {len(radii)} radii")
    require(~np.isnan(points), "inputs", points, "numbers")
    require(radii >= 0, "radii", radii, "0 or above")
    actions = np.full(len(points), KEPT, dtype="<U9")
    for query in range(len(points)):
        earlier = np.flatnonzero(radii[:query] > 0)
        distances = np.linalg.norm(points[earlier] - points[query], axis=1)
        labels[query], radii[query], actions[query] = _update(
            labels[query], radii[query], distances, labels[earlier], radii[earlier]
        )
    return StorageUpdate(labels, radii, actions)


def _update(
    label: int,
    radius: float,
    distances: NDArray[np.float64],
    stored_labels: NDArray[np.int64],
    stored_radii: NDArray[np.float64],
) -> tuple[int, float, str]:
    """Answer one query given its distances to the stored balls."""
    inside = distances < stored_radii
    inner = float(np.max((stored_radii - distances)[inside], initial=0.0))
    if inside.any() and (radius == 0 or stored_labels[inside][0] != label):
        return int(stored_labels[inside][0]), _down(inner), ALIGNED
    if radius == 0:
        return label, 0.0, ABSTAINED
    action = KEPT
    overlapping = (stored_labels != label) & (distances < radius + stored_radii)
    if overlapping.any():
        radius = max(0.0, _down(float(np.min((distances - stored_radii)[overlapping]))))
        action = TRIMMED
    if inner > radius:
        radius, action = _down(inner), EXTENDED
    return label, radius, action


def _down(radius: float) -> float:
    return float(np.nextafter(radius, -np.inf))
