"""What every feature map is: settings, what others ask of it, and its map. ``learners.maps``."""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, SerializeAsAny, WithJsonSchema
from typing_extensions import TypeAliasType

from certbd.artifacts.io import DataError
from certbd.config import entries
from certbd.config.fields import Entry, Positive
from certbd.learners.weights import WeightsFile

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Map = Callable[["Tensor"], "Tensor"]
"""From inputs (n, ...) to features (n, features)."""
ROWS = 2000
"""Inputs whose features are computed together."""
SLACK = 1 + 1e-5
"""Relative, on Lipschitz constants, which are computed in float64 and used in float32."""


class FeatureMap(Entry):
    """A feature map fixed before the data are seen: nothing of it is fitted."""

    lipschitz: ClassVar[bool]
    """Whether its Lipschitz constant is known to be at most 1; else test noise is on its input."""
    never_negative: ClassVar[bool]
    """Whether no feature is below 0, the one that `sphere` appends included."""

    kind: str
    sphere: Positive | None = Field(
        None,
        description="above 0; appended as one more feature, and all features are scaled to this "
        "norm; left out, they are not scaled",
    )

    def count(self, shape: tuple[int, ...]) -> tuple[int, float]:
        """Return the number of features of an input, and the bytes inside the map to them."""
        if len(shape) != 3:
            return math.prod(shape), 0.0
        count, inside = self.count_image(shape)
        return count + (self.sphere is not None), inside

    @abstractmethod
    def count_image(self, shape: tuple[int, ...]) -> tuple[int, float]:
        """Return the number of features of an image before `sphere`, and the bytes inside."""

    def mapping(self, shape: tuple[int, ...], device: "torch.device") -> Map:
        """Return the map of inputs (n, *shape) to features (n, features), on a device.

        Raises
        ------
        DataError
            If inputs of this shape do not fit the map, or its weights cannot be read.
        """
        import torch

        matrices = [torch.from_numpy(matrix).to(device) for matrix in self.matrices(shape)]
        return lambda inputs: self.features(inputs, matrices)

    def matrices(self, shape: tuple[int, ...]) -> list[NDArray[np.float32]]:  # noqa: ARG002
        """Return what `project` multiplies inputs of this shape with."""
        return []

    def features(self, inputs: "Tensor", matrices: list["Tensor"]) -> "Tensor":
        """Return the features (n, features) of inputs (n, ...)."""
        return self.on_sphere(self.project(inputs, matrices).flatten(1))

    @abstractmethod
    def project(self, inputs: "Tensor", matrices: list["Tensor"]) -> "Tensor":
        """Return the features of inputs (n, ...) before `sphere`, of Lipschitz constant 1."""

    def on_sphere(self, features: "Tensor") -> "Tensor":
        """Put features (n, features) on the sphere of radius `sphere`, if there is one.

        Points at least c from the origin come no further apart when scaled to norm c.
        """
        if self.sphere is None:
            return features
        from torch.nn.functional import normalize, pad

        return self.sphere * normalize(pad(features, (0, 1), value=self.sphere), dim=-1)

    def check_features(self, features: "Tensor") -> None:
        """Raise DataError if features are not finite because of weights that were read."""

    def weights_file(self) -> WeightsFile | None:
        """Return the file of weights that the settings name, None for none."""
        return None

    def with_weights(self, path: str) -> Self:
        """Return the map with weights from a file; errors as `Learner.with_weights`."""
        raise ValueError(f"{path}: features of kind {self.kind} have no weights")

    def need_images(self, shape: tuple[int, ...]) -> None:
        """Raise DataError if inputs of this shape are no images."""
        if len(shape) != 3:
            raise DataError(
                f"features of kind {self.kind} need images, not inputs of shape {shape}"
            )


def read(settings: Any) -> FeatureMap:
    """Return the feature map that checked settings describe, or the one given."""
    if isinstance(settings, FeatureMap):
        return settings
    feature_map: FeatureMap = entries.read(entries.MAPS, settings)
    return feature_map


features = TypeAliasType(
    "features",
    Annotated[
        SerializeAsAny[FeatureMap],
        BeforeValidator(read),
        WithJsonSchema({"type": "object", "required": ["kind"]}),
    ],
)
Features = features
"""A learner's key ``features``. Its definition in the schema, ``features``, is made by kind."""
