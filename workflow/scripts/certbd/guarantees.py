"""What a defence's certificate covers, from the bound on the votes. ``docs/theory.md``.

A guarantee knows the training side of a run and the attack that must be covered. It turns lower
bounds on the probability of the predicted label into columns of `schemas.CERTIFICATES`.
"""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from certbd import certificates

Columns = dict[str, NDArray[np.generic] | float | None]


class Guarantee(Protocol):
    """The training side of a run, as certificates need it."""

    def columns(
        self,
        p_lower: NDArray[np.float64],
        margin: NDArray[np.float64],
        sigma: NDArray[np.float64],
    ) -> Columns:
        """Return the radii of each input (n,) and ``covers_attack``.

        `sigma` is the noise on each test input. What is not given stays empty.
        """


class GaussianTraining(NamedTuple):
    """Training noise, a scalar or (n,), and the attack that a certificate must cover.

    `class_variance` is the sum of sigma_i^2 over each class, for a learner that sees its inputs
    through class means alone; None for others. `n_poisoned` is None where it is not known: then
    there is no trigger radius. Without an attack, `attack_norm` is None. Sections 2 to 4.
    """

    sigma: NDArray[np.float64]
    class_variance: NDArray[np.float64] | None
    n_poisoned: int | None
    attack_norm: float | None

    def columns(
        self,
        p_lower: NDArray[np.float64],  # noqa: ARG002
        margin: NDArray[np.float64],
        sigma: NDArray[np.float64],
    ) -> Columns:
        """Return the joint and trigger radii and whether they cover the attack."""
        general = statistic = np.full(len(margin), np.nan)
        count = self.n_poisoned
        if count is not None:
            general = certificates.trigger_radius(margin, sigma, self.sigma, count)
        if count is not None and self.class_variance is not None:
            statistic = certificates.class_mean_trigger_radius(
                margin, sigma, self.class_variance, count
            )
        trigger = np.fmax(general, statistic)
        norm = self.attack_norm
        return {
            "radius_joint": certificates.joint_radius(margin, sigma, self.sigma),
            "radius_trigger": trigger,
            "radius_trigger_general": general,
            "radius_trigger_statistic": statistic,
            "covers_attack": None if norm is None else trigger > norm,
        }
