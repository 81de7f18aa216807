"""What flips of features and labels certify: changed coordinates. ``docs/theory.md``, section 6."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from certbd.attacks.attack import Backdoor
from certbd.config import entries
from certbd.config.axes import Certification, alpha_of_certificate
from certbd.config.fields import Entry
from certbd.data import domains as values
from certbd.theory import discrete
from certbd.theory.claims import Claims
from certbd.theory.discrete import Domain
from certbd.training.flips.entry import Flips
from certbd.training.world import Asked, Columns, Guarantee, World

MOST_FLIPS = 100
"""No more changed coordinates are looked for."""


class DiscreteNoise(NamedTuple):
    """Noise on features and labels alike, and the changes of an attack.

    `changes` is the number of coordinates that the attack changes for each test input (n,), or one
    for all, in the training set and that input together; None without an attack.
    """

    domains: Sequence[Domain]
    changes: NDArray[np.int64] | None

    def columns(
        self,
        claims: Claims,
        sigma: NDArray[np.float64],  # noqa: ARG002
    ) -> Columns:
        """Return the number of changed coordinates that are covered (-1: abstained)."""
        flips = discrete.certified_flips_mixed(claims.p_lower, self.domains, max_flips=MOST_FLIPS)
        covered = None if self.changes is None else flips >= self.changes
        return {"radius_l0": flips, "covers_attack": covered}


def guarantee_of(side: Flips, world: World) -> Guarantee:
    """Return the guarantee of a run.

    The dataset and the triggered inputs say what an attack changed; without them all that its
    threat can change counts.
    """
    check_test_side(side, world.test)
    given, data, triggered = world.training, world.data, world.triggered
    n_features = given.inputs.size + given.inputs[0].size
    domains = domains_of(side, world.n_rows, n_features, world.n_classes)
    if world.threat is None:
        return DiscreteNoise(domains, None)
    if data is None or triggered is None:  # as many as the threat can change at most
        return DiscreteNoise(domains, np.array(world.threat.size, np.int64))
    changes = count_changes(
        data[:2], (given.inputs, given.labels), data.test_inputs != triggered.inputs
    )
    return DiscreteNoise(domains, changes)


def domains_of(side: Flips, n_labels: int, n_features: int, n_classes: int) -> list[Domain]:
    """Return the domains of all features, in training and test inputs, and of the labels.

    The betas are those of `domains.shifts`.
    """
    return [
        Domain(values.kept_share(side.beta), side.values, n_features),
        Domain(values.kept_share(side.kept_labels), n_classes, n_labels),
    ]


def check_promise(side: Flips, asked: Asked) -> None:
    """Refuse values out of their domain, and numbers of models that certify nothing.

    Raises
    ------
    ValueError
        Naming what is allowed.
    """
    check_test_side(side, asked.test)
    values.check_features(asked.dataset.n_values, side.values)
    if isinstance(asked.attack, Backdoor):
        asked.attack.check_domain(asked.dataset.channels, side.values)
    of_each = domains_of(side, asked.n_training, 1, asked.n_classes)
    n_certificates = asked.n_test * (2 if asked.attack.simulated else 1)
    check_models(of_each, asked.certification, n_certificates)


def check_test_side(side: Flips, test: Entry) -> None:
    """Raise ValueError if test features are not flipped as training features are.

    One count of changed coordinates covers both, so both need the same noise.
    """
    found = test.settings()
    expected = {"kind": "flips", "beta": side.beta, "values": side.values}
    if found != expected:
        raise ValueError(f"training side flips: its test side is {found}; allowed: {expected}")


def check_models(
    domains: Sequence[Domain], certification: Certification, n_certificates: int
) -> None:
    """Raise ValueError if too few models are planned to cover one change, however they vote."""
    alpha = alpha_of_certificate(certification, n_certificates)
    bound = entries.module(entries.BOUNDS, certification.bound)
    required = float(discrete.required_probability_mixed(1, domains))
    needed = discrete.unanimous_models(required, lambda n: bound.unanimous(n, alpha))
    if certification.n_models < needed:
        raise ValueError(
            f"n_models: {certification.n_models} models certify not one changed coordinate, even "
            f"if all agree; needed for this noise and alpha: {needed} or more"
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
