"""What votes claim of an input: the predicted class, and bounds on it and on its runner-up."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from certbd.theory import certificates


class Claims(NamedTuple):
    """The predicted class of each input (n,), and bounds that hold together but for alpha.

    `p_lower` is below the probability of that class, `p_upper` above that of any other.
    ``docs/theory.md``, section 5.
    """

    predicted: NDArray[np.int64]
    p_lower: NDArray[np.float64]
    p_upper: NDArray[np.float64]

    @property
    def margin(self) -> NDArray[np.float64]:
        """The margin M of each input, in standard deviations; not above 0: nothing is claimed."""
        return certificates.margin(self.p_lower, self.p_upper)


def alone(predicted: NDArray[np.int64], p_lower: NDArray[np.float64]) -> Claims:
    """Bound the runner-up by all that the predicted class leaves."""
    return Claims(predicted, p_lower, 1 - p_lower)
