"""The learner ``ridge``."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from certbd.config.fields import Positive
from certbd.data.size import Size
from certbd.learners.footprint import Footprint
from certbd.learners.linear import Linear

if TYPE_CHECKING:
    from torch import Tensor

    from certbd.learners.networks import Ensemble


class Ridge(Linear):
    """Ridge regression on one-hot labels, fitted to each noisy copy."""

    searched_by: ClassVar[str | None] = "ridge"

    kind: Literal["ridge"]
    penalty: Positive = Field(
        0.01, description="added to the diagonal of the features' covariance, squared pixels"
    )

    def fit(self, copies: "Tensor", labels: "Tensor", n_classes: int) -> "Ensemble":
        """Solve the normal equations of each copy."""
        from certbd.learners import closed_form

        return closed_form.ridge(copies, labels, n_classes, self.penalty)

    def ridge_penalty(self) -> float:
        """Return the penalty."""
        return self.penalty

    def footprint(self, size: Size) -> Footprint:
        """Return what of the learner takes memory: the normal equations among it."""
        footprint = super().footprint(size)
        return footprint._replace(batch=3 * 4 * footprint.features**2)


KIND = Ridge
