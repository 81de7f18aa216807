"""What Gaussian noise on training inputs certifies. ``docs/theory.md``, sections 2 to 4."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from certbd.theory import certificates
from certbd.theory.claims import Claims
from certbd.training.side import TrainingSide
from certbd.training.world import Columns, Guarantee, World


class GaussianTraining(NamedTuple):
    """Training noise, a scalar or (n,), and the threat that a certificate must cover.

    `class_variance` is the sum of sigma_i^2 over each class, for a learner that sees its inputs
    through class means alone; None for others. `n_poisoned` is None where it is not known: then
    there is no trigger radius. `norm` is that of the trigger, None where there is none to cover.
    """

    sigma: NDArray[np.float64]
    class_variance: NDArray[np.float64] | None
    n_poisoned: int | None
    norm: float | None

    def columns(self, claims: Claims, sigma: NDArray[np.float64]) -> Columns:
        """Return the joint and trigger radii and whether they cover the threat."""
        margin = claims.margin
        general = statistic = np.full(len(margin), np.nan)
        count = self.n_poisoned
        if count is not None:
            general = certificates.trigger_radius(margin, sigma, self.sigma, count)
        if count is not None and self.class_variance is not None:
            statistic = certificates.class_mean_trigger_radius(
                margin, sigma, self.class_variance, count
            )
        trigger = np.fmax(general, statistic)
        norm = self.norm
        return {
            "radius_joint": certificates.joint_radius(margin, sigma, self.sigma),
            "radius_trigger": trigger,
            "radius_trigger_general": general,
            "radius_trigger_statistic": statistic,
            "covers_attack": None if norm is None else trigger > norm,
        }


def guarantee_of(side: TrainingSide, world: World) -> Guarantee:
    """Return the guarantee of a run whose training inputs have noise ``world.sigma_train``."""
    if world.sigma_train is None:
        raise ValueError(f"training side {side.kind}: its noise on training inputs is not given")
    sigma = np.asarray(world.sigma_train, np.float64)
    variance = None
    if world.by_class_means:
        variance = certificates.class_variance(world.training.labels, sigma)
    return GaussianTraining(sigma, variance, world.n_poisoned, world.norm)
