"""The feature map ``encoder``."""

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field
from typing_extensions import override

from certbd.artifacts.io import DataError, check_sum
from certbd.config import entries
from certbd.config.fields import Positive
from certbd.data.size import MB
from certbd.learners.feature_map import FeatureMap, Map
from certbd.learners.weights import PLANNED, WeightsFile

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

ENCODED = 512
"""Features of either network."""
ENCODER = 1500 * MB
"""Bytes of the noisy inputs of one model on the way through it."""
ENCODED_BYTES = 2**22
"""Memory for inputs that an encoder takes together; its inner maps take some ten times as much."""


class Encoder(FeatureMap):
    """What the last layer of a frozen network sees.

    Certificates hold only if its weights are no work of the attacker: that they were trained on
    clean data is for you to know.
    """

    lipschitz: ClassVar[bool] = False
    never_negative: ClassVar[bool] = True

    kind: Literal["encoder"]
    network: Literal["cnn", "resnet18"] = Field(
        description="resnet18 with the names of torchvision's, or cnn, the published network for "
        "MNIST"
    )
    weights: str = Field(
        min_length=1,
        description="safetensors file with every weight of the network, the last layer apart; "
        "relative to data_root unless absolute",
    )
    mean: list[float] = Field(
        [0], min_length=1, description="taken from the pixels, one number or one per channel"
    )
    scale: list[Positive] = Field(
        [1],
        min_length=1,
        description="pixels less the mean are divided by it, one number or one per channel; "
        "above 0",
    )

    def count_image(self, shape: tuple[int, ...]) -> tuple[int, float]:  # noqa: ARG002
        """Return the width of the network's last layer, and the bytes on the way to it."""
        return ENCODED, float(ENCODER)

    def mapping(self, shape: tuple[int, ...], device: "torch.device") -> Map:
        """Return the network without its head, in evaluation mode, with the weights of the file."""
        import torch

        network: Any = self._network(shape, device)
        mean, scale = (
            torch.tensor(values, dtype=torch.float32, device=device).reshape(-1, 1, 1)
            for values in (self.mean, self.scale)
        )
        if {len(mean), len(scale)} - {1, shape[0]}:
            raise DataError(
                f"features of kind encoder: mean {self.mean}, scale {self.scale}; allowed: one "
                f"number, or one for each of {shape[0]} channels"
            )
        rows = max(1, ENCODED_BYTES // (4 * math.prod(shape)))

        @torch.no_grad()
        def encode(inputs: "Tensor") -> "Tensor":
            parts = [network.features((part - mean) / scale) for part in inputs.split(rows)]
            return self.on_sphere(torch.cat(parts))

        return encode

    @override
    def project(self, inputs: "Tensor", matrices: list["Tensor"]) -> "Tensor":
        """Refuse: its `mapping` multiplies with the weights of a network."""
        raise ValueError("features of kind encoder are no product with matrices")

    def _network(self, shape: tuple[int, ...], device: "torch.device") -> "nn.Module":
        import torch

        from certbd.learners.layers import body_state

        network: nn.Module = entries.read(entries.LEARNERS, {"kind": self.network}).module(shape, 2)
        state = body_state(network, self.weights)
        network = network.to_empty(device=device)
        network.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
        return network

    def check_features(self, features: "Tensor") -> None:
        """Raise DataError if features are not finite."""
        if not features.isfinite().all():
            raise DataError(f"{self.weights}: features are not finite; other weights are needed")

    def weights_file(self) -> WeightsFile:
        """Return the file of weights."""
        return WeightsFile("weights", self.weights, f"the weights of {self.network}")

    def with_weights(self, path: str) -> Self:
        """Return the map with weights from a file, whose SHA-256 `weights` is."""
        check_sum(path, self.weights, PLANNED)
        return self.model_copy(update={"weights": path})


KIND = Encoder
