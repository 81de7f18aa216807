"""How large a dataset is, as jobs need to know it before anything is read."""

import math
from typing import NamedTuple

MB = 10**6


class Size(NamedTuple):
    """How large a dataset is: inputs to train on and to test, their shape, its classes."""

    training: int
    test: int
    shape: tuple[int, ...]
    n_classes: int

    def mb(self, n_inputs: int) -> float:
        """Return the size of so many inputs in MB."""
        return 4 * n_inputs * math.prod(self.shape) / MB

    @property
    def stored(self) -> float:
        """The size of training and test inputs in MB."""
        return self.mb(self.training + self.test)
