"""What a defence's certificate covers, from the bound on the votes. ``docs/theory.md``.

A guarantee knows the training side of a run and the attack that must be covered. It turns claims
on the probability of the predicted label into columns of `schemas.CERTIFICATES`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from certbd.artifacts.io import DataSplits, PoisonedSet, TriggeredInputs
from certbd.certify.claims import Claims
from certbd.config.axes import Certification, alpha_of_certificate
from certbd.data.domains import kept_share
from certbd.theory import certificates, discrete
from certbd.theory.discrete import Domain

Columns = dict[str, NDArray[np.generic] | float | None]


MOST_FLIPS = 100
"""No more changed coordinates are looked for."""
LENGTH_SLACK = 1 + 1e-9
"""Relative, on roots of sums of up to a million squares in float64."""
TOGETHER = 64
"""Inputs whose triggers are measured together."""


class Guarantee(Protocol):
    """The training side of a run, as certificates need it."""

    def columns(self, claims: Claims, sigma: NDArray[np.float64]) -> Columns:
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

    def columns(self, claims: Claims, sigma: NDArray[np.float64]) -> Columns:
        """Return the joint and trigger radii and whether they cover the attack."""
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
        norm = self.attack_norm
        return {
            "radius_joint": certificates.joint_radius(margin, sigma, self.sigma),
            "radius_trigger": trigger,
            "radius_trigger_general": general,
            "radius_trigger_statistic": statistic,
            "covers_attack": None if norm is None else trigger > norm,
        }


class DiscreteNoise(NamedTuple):
    """Noise on features and labels alike, and the changes of an attack. Section 6.

    `changes` is the number of coordinates that the attack changes for each test input (n,), in
    the training set and that input together; None without an attack.
    """

    domains: Sequence[Domain]
    changes: NDArray[np.int64] | None

    @classmethod
    def of(
        cls,
        noise: Mapping[str, Any],
        data: DataSplits,
        poisoned: PoisonedSet,
        triggered: TriggeredInputs,
    ) -> "DiscreteNoise":
        """Return the guarantee of a run; `noise` is the configuration's ``noise_levels``."""
        n_features = data.train_inputs.size + data.train_inputs[0].size
        domains = domains_of(noise, len(data.train_labels), n_features, len(data.class_names))
        if not len(triggered.inputs):
            return cls(domains, None)
        clean, given = data[:2], (poisoned.inputs, poisoned.labels)
        return cls(domains, count_changes(clean, given, data.test_inputs != triggered.inputs))

    def columns(
        self,
        claims: Claims,
        sigma: NDArray[np.float64],  # noqa: ARG002
    ) -> Columns:
        """Return the number of changed coordinates that are covered (-1: abstained)."""
        flips = discrete.certified_flips_mixed(claims.p_lower, self.domains, max_flips=MOST_FLIPS)
        covered = None if self.changes is None else flips >= self.changes
        return {"radius_l0": flips, "covers_attack": covered}


def domains_of(
    noise: Mapping[str, Any], n_labels: int, n_features: int, n_classes: int
) -> list[Domain]:
    """Return the domains of all features, in training and test inputs, and of the labels.

    `noise` is the configuration's ``noise_levels``. The betas are those of `domains.shifts`.
    """
    return [
        Domain(kept_share(noise["beta"]), noise["values"], n_features),
        Domain(kept_share(noise["beta_labels"]), n_classes, n_labels),
    ]


def check_models(
    domains: Sequence[Domain], certification: Certification, n_certificates: int
) -> None:
    """Raise ValueError if too few models are planned to cover one change, however they vote."""
    n_models, bound, *_ = certification
    alpha = alpha_of_certificate(certification, n_certificates)
    required = float(discrete.required_probability_mixed(1, domains))
    needed = discrete.unanimous_models(required, alpha, bound=cast(discrete.Bound, bound))
    if n_models < needed:
        raise ValueError(
            f"n_models: {n_models} models certify not one changed coordinate, even if all agree; "
            f"needed for this noise and alpha: {needed} or more"
        )


def count_changes(
    clean: Sequence[NDArray[Any]], poisoned: Sequence[NDArray[Any]], test: NDArray[Any]
) -> NDArray[np.int64]:
    """Count the coordinates that an attack changed, for each test input.

    Parameters
    ----------
    clean, poisoned : sequences of array
        Training inputs and labels.
    test : array (n, ...)
        Whether a feature of a test input differs from its triggered version.
    """
    training = sum(int(np.sum(a != b)) for a, b in zip(clean, poisoned, strict=True))
    return training + test.reshape(len(test), -1).sum(1)


def largest_norm(
    norm: float, data: DataSplits, poisoned: PoisonedSet, triggered: TriggeredInputs | None = None
) -> float:
    """Return the norm that a trigger radius must exceed: the attack's, or the longest trigger's.

    Triggers and their sums with inputs are rounded to float32, which makes some of them longer than
    the attack's `norm`. Without `triggered` only training inputs are looked at.
    """
    rows = poisoned.indices
    found = [norm, _longest(data.train_inputs[rows], poisoned.inputs[rows])]
    if triggered is not None:
        found.append(_longest(data.test_inputs, triggered.inputs))
    return max(found)


def _longest(clean: NDArray[np.float32], moved: NDArray[np.float32]) -> float:
    """Return the largest distance between inputs (n, ...) and what became of them, rounded up."""
    longest = 0.0
    for start in range(0, len(clean), TOGETHER):
        part = slice(start, start + TOGETHER)
        steps = moved[part].astype(np.float64) - clean[part]
        squares = np.square(steps).reshape(len(steps), -1).sum(1)
        longest = max(longest, float(np.sqrt(squares.max())) * LENGTH_SLACK)
    return longest
