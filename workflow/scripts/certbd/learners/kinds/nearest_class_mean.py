"""The learner ``nearest_class_mean``."""

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from certbd.learners.linear import Linear

if TYPE_CHECKING:
    from torch import Tensor

    from certbd.learners.networks import Ensemble


class NearestClassMean(Linear):
    """The class whose mean is nearest."""

    by_class_means: ClassVar[bool] = True
    learns_from: ClassVar[tuple[str, ...]] = ("noisy", "rows")
    searched_by: ClassVar[str | None] = "class_means"

    kind: Literal["nearest_class_mean"]

    def fit(self, copies: "Tensor", labels: "Tensor", n_classes: int) -> "Ensemble":
        """Take the class means of each model's rows."""
        from certbd.learners import closed_form

        return closed_form.drawn_class_means(copies, labels, n_classes)

    def from_means(self, means: NDArray[np.float64]) -> "Ensemble":
        """Return the classifiers of class means (models, classes, features)."""
        from certbd.learners import closed_form

        return closed_form.nearest_class_mean(means)


KIND = NearestClassMean
