"""The learner ``class_sums``."""

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from certbd.learners.learner import Generators
from certbd.learners.linear import Linear

if TYPE_CHECKING:
    from torch import Tensor

    from certbd.learners.networks import Ensemble


class ClassSums(Linear):
    """One sum per class of its rows, each of unit norm; the largest product with an input wins."""

    learns_from: ClassVar[tuple[str, ...]] = ("rows", "sums")

    kind: Literal["class_sums"]
    constant: float = Field(
        0, ge=0, description="one more feature, the same for every input; 0 or more"
    )

    def fit(self, copies: "Tensor", labels: "Tensor", n_classes: int) -> "Ensemble":
        """Sum the rows that each model has drawn."""
        from certbd.learners import closed_form

        return closed_form.drawn_class_sums(copies, labels, n_classes, self.constant)

    def sums(
        self, inputs: NDArray[np.float32], labels: NDArray[np.int64], n_classes: int
    ) -> NDArray[np.float64]:
        """Return the class sums over n, (classes, features + 1)."""
        from certbd.learners import closed_form

        return closed_form.class_sums(inputs, labels, n_classes, self.constant)

    def sums_bound(self, n_classes: int) -> float:
        """Return B of the class sums less their mean over the classes.

        ``sqrt(1 - 1/C)`` in general, ``sqrt(1/2)`` where features are never negative.
        """
        mapped = self.feature_map
        never_negative = mapped is not None and mapped.never_negative
        return math.sqrt(0.5 if never_negative else 1 - 1 / n_classes)

    def from_sums(
        self, sums: NDArray[np.float64], sigma: float, generators: Generators
    ) -> "Ensemble":
        """Return classifiers from class sums with each one's own noise."""
        from certbd.learners import closed_form

        return closed_form.noisy_class_sums(sums, sigma, self.constant, generators)


KIND = ClassSums
