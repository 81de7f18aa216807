"""Feature maps that are fixed before the data are seen: nothing of them is fitted.

Each but `encoder` is scaled to a Lipschitz constant of at most 1, so a trigger of norm tau moves a
test input's features by at most tau, and noise on the features certifies as noise on the input does
(``docs/theory.md``, section 7). Every constant comes from the configuration. An encoder is a
network with weights from a file: its constant is not known, and test noise goes on the input.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize, pad

from certbd import rng
from certbd.artifacts.io import DataError
from certbd.learners import models
from certbd.learners.networks import allow_tf32

ROWS = 2000
"""Inputs whose features are computed together."""
ENCODED_BYTES = 2**22
"""Memory for inputs that an encoder takes together; its inner maps take some ten times as much."""
SLACK = 1 + 1e-5
"""Relative, on Lipschitz constants, which are computed in float64 and used in float32."""

Entry = Mapping[str, Any]
Map = Callable[[Tensor], Tensor]
"""From inputs (n, ...) to features (n, features)."""


def apply(
    entry: Entry | None, inputs: NDArray[np.float32], device: torch.device | None = None
) -> NDArray[np.float32]:
    """Return the features of inputs (n, ...) as (n, features); without an entry the inputs.

    Parameters
    ----------
    entry : mapping or None
        ``features`` of one of the configuration's ``learners``.

    Raises
    ------
    DataError
        If inputs of this shape do not fit the map, or it cannot be read.
    """
    if entry is None:
        return inputs
    on = device or torch.device("cpu")
    features = mapping(entry, inputs.shape[1:], on)
    parts = [features(part.to(on)).cpu() for part in torch.from_numpy(inputs).split(ROWS)]
    mapped = torch.cat(parts)
    if entry["kind"] == "encoder" and not mapped.isfinite().all():
        raise DataError(f"{entry['weights']}: features are not finite; other weights are needed")
    return mapped.numpy()


def before_noise(
    entry: Entry | None, inputs: NDArray[np.float32], noisy: bool, device: torch.device
) -> tuple[NDArray[np.float32], Map | None]:
    """Return what test noise is added to, and the map behind the noise if there is one.

    That is an encoder's: its Lipschitz constant is not known, so noise goes on the input.
    """
    if noisy and entry is not None and entry["kind"] == "encoder":
        return inputs, mapping(entry, inputs.shape[1:], device)
    return apply(entry, inputs, device), None


def mapping(entry: Entry, shape: tuple[int, ...], device: torch.device) -> Map:
    """Return the map of inputs (n, *shape) to features (n, features), on a device.

    Raises
    ------
    DataError
        If inputs of this shape do not fit the map, or the weights of an encoder cannot be read.
    """
    allow_tf32(False)
    if entry["kind"] == "encoder":
        return _encoder(entry, shape, device)
    matrices = [matrix.to(device) for matrix in _matrices(entry, shape)]
    return lambda inputs: _features(entry, inputs, matrices)


def _encoder(entry: Entry, shape: tuple[int, ...], device: torch.device) -> Map:
    """Return a network without its head, in evaluation mode, with the weights of a file."""
    network: Any = models.build({"kind": entry["network"]}, shape, 2)
    state = models.body_state(network, entry["weights"])
    network = network.to_empty(device=device)
    network.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
    mean, scale = (
        torch.tensor(entry[key], dtype=torch.float32, device=device).reshape(-1, 1, 1)
        for key in ("mean", "scale")
    )
    if {len(mean), len(scale)} - {1, shape[0]}:
        raise DataError(
            f"features of kind encoder: mean {entry['mean']}, scale {entry['scale']}; allowed: one "
            f"number, or one for each of {shape[0]} channels"
        )
    rows = max(1, ENCODED_BYTES // (4 * math.prod(shape)))

    @torch.no_grad()
    def encode(inputs: Tensor) -> Tensor:
        parts = [network.features((part - mean) / scale) for part in inputs.split(rows)]
        return _on_sphere(entry, torch.cat(parts))

    return encode


def _matrices(entry: Entry, shape: tuple[int, ...]) -> list[Tensor]:
    """Return what a map multiplies with, scaled to a Lipschitz constant of at most 1."""
    kind = entry["kind"]
    if kind in ("dct", "random_conv") and len(shape) != 3:
        raise DataError(f"features of kind {kind} need images, not inputs of shape {shape}")
    if kind == "pixels":
        return []
    if kind == "dct":
        if entry["size"] > min(shape[1:]):
            raise DataError(f"features of kind dct: size {entry['size']} of inputs {shape}")
        return [_tensor(_cosines(entry["size"], side) / SLACK) for side in shape[1:]]
    if kind != "random_conv":
        raise ValueError(f"features of kind {kind!r}: there is no map of that kind")
    if entry["pool"] > min(shape[1:]):
        raise DataError(f"features of kind random_conv: pool {entry['pool']} of inputs {shape}")
    if entry["width"] == shape[0] == 1:
        raise DataError(
            "features of kind random_conv: width 1 of images with 1 channel; allowed: width 2 or "
            "more, because nothing is left of a filter of one value less its mean"
        )
    generator = rng.generator(entry["seed"], rng.Purpose.FEATURES)
    kernels = generator.standard_normal((entry["filters"], shape[0], *[entry["width"]] * 2))
    kernels -= kernels.mean((1, 2, 3), keepdims=True)
    return [_tensor(kernels / (SLACK * convolution_norm(kernels, shape[1:])))]


def _features(entry: Entry, inputs: Tensor, matrices: list[Tensor]) -> Tensor:
    """Return features (n, features) of a map with a Lipschitz constant of at most 1."""
    return _on_sphere(entry, _map(entry, inputs, matrices).flatten(1))


def _on_sphere(entry: Entry, features: Tensor) -> Tensor:
    """Put features on a sphere if the entry has its radius.

    Points at least c from the origin come no further apart when scaled to norm c.
    """
    if (radius := entry.get("sphere")) is None:
        return features
    return radius * normalize(pad(features, (0, 1), value=radius), dim=-1)


def _map(entry: Entry, inputs: Tensor, matrices: list[Tensor]) -> Tensor:
    kind = entry["kind"]
    if kind == "pixels":
        return inputs - entry["pixel_mean"]
    if kind == "dct":
        rows, columns = matrices
        return rows @ (inputs - entry["pixel_mean"]) @ columns.T
    if kind != "random_conv":
        raise ValueError(f"features of kind {kind!r}: there is no map of that kind")
    (kernels,) = matrices
    filtered = torch.nn.functional.conv2d(inputs, kernels, padding=entry["width"] // 2).relu()
    pool = entry["pool"]  # a mean of pool^2 values divides norms by pool
    return pool * torch.nn.functional.avg_pool2d(filtered, pool)


def _cosines(size: int, side: int) -> NDArray[np.float64]:
    """Return the `size` lowest rows of the orthonormal cosine transform (type II) of `side`."""
    frequency, place = np.arange(size)[:, None], np.arange(side)
    rows = np.cos(np.pi * frequency * (2 * place + 1) / (2 * side)) * math.sqrt(2 / side)
    rows[0] /= math.sqrt(2)
    return rows


def convolution_norm(kernels: NDArray[np.float64], sides: tuple[int, ...]) -> float:
    """Return the norm of a convolution with zero padding of images, or a little more.

    It is part of a circular convolution of the padded images, whose norm is the largest singular
    value of its transfer matrices (filters, channels) over all frequencies (Sedghi et al., arXiv
    1805.10408).
    """
    padded = [side + 2 * (kernels.shape[-1] // 2) for side in sides]
    transfer = np.fft.fft2(kernels, padded).transpose(2, 3, 0, 1)
    return float(np.linalg.norm(transfer, 2, axis=(2, 3)).max())


def _tensor(array: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(array.astype(np.float32))
