"""Features of many inputs, by a map that is fixed before the data are seen (``learners.maps``).

Each map but an encoder is scaled to a Lipschitz constant of at most 1, so a trigger of norm tau
moves a test input's features by at most tau, and noise on the features certifies as noise on the
input does (``docs/theory.md``, section 7). An encoder is a network with weights from a file: its
constant is not known, and test noise goes on the input.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from certbd.learners.feature_map import ROWS, FeatureMap, Map
from certbd.learners.networks import allow_tf32


def apply(
    feature_map: FeatureMap | None,
    inputs: NDArray[np.float32],
    device: torch.device | None = None,
) -> NDArray[np.float32]:
    """Return the features of inputs (n, ...) as (n, features); without a map the inputs.

    Raises
    ------
    DataError
        If inputs of this shape do not fit the map, or it cannot be read.
    """
    if feature_map is None:
        return inputs
    on = device or torch.device("cpu")
    features = mapping(feature_map, inputs.shape[1:], on)
    parts = [features(part.to(on)).cpu() for part in torch.from_numpy(inputs).split(ROWS)]
    mapped = torch.cat(parts)
    feature_map.check_features(mapped)
    return mapped.numpy()


def before_noise(
    feature_map: FeatureMap | None,
    inputs: NDArray[np.float32],
    noisy: bool,
    device: torch.device,
) -> tuple[NDArray[np.float32], Map | None]:
    """Return what test noise is added to, and the map behind the noise if there is one.

    That is a map whose Lipschitz constant is not known: noise goes on the input.
    """
    if noisy and feature_map is not None and not feature_map.lipschitz:
        return inputs, mapping(feature_map, inputs.shape[1:], device)
    return apply(feature_map, inputs, device), None


def each_before_noise(
    feature_map: FeatureMap | None,
    inputs: NDArray[np.float32],
    noisy: bool,
    device: torch.device,
) -> tuple[NDArray[np.float32], Map | None]:
    """Do as `before_noise`, but map each input by itself, so that none depends on the others."""
    before, encode = before_noise(feature_map, inputs[:1], noisy, device)
    if encode is not None or feature_map is None:
        return inputs, encode
    rest = [apply(feature_map, inputs[row : row + 1], device) for row in range(1, len(inputs))]
    return np.concatenate([before, *rest]), None


def mapping(feature_map: FeatureMap, shape: tuple[int, ...], device: torch.device) -> Map:
    """Return the map of inputs (n, *shape) to features (n, features); errors as `apply`."""
    allow_tf32(False)
    return feature_map.mapping(shape, device)
