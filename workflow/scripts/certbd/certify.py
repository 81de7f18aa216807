"""From counted votes to a split's table of certificates. ``docs/theory.md``, sections 2 to 5."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from certbd import bounds, certificates
from certbd.axes import Certification
from certbd.schemas import ABSTAIN
from certbd.storage import storage_update


class VotedSplit(NamedTuple):
    """Test inputs (n, ...), true labels (n,), votes (n, classes), the noise of those votes (n,)."""

    name: str
    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    counts: NDArray[np.int64]
    sigma: NDArray[np.float64]


class TrainingSide(NamedTuple):
    """Training noise (n,), labels (n,) as given, and the attack that a certificate must cover."""

    sigma: NDArray[np.float64]
    labels: NDArray[np.int64]
    n_poisoned: int
    attack_norm: float


def certify_split(
    split: VotedSplit,
    training: TrainingSide,
    certification: Certification,
    n_certificates: int,
    defense: str,
    learner_kind: str,
) -> pd.DataFrame:
    """Certify every input of a split.

    Parameters
    ----------
    n_certificates : int
        Number of certificates among which `multiplicity: simultaneous` shares alpha.
    defense : str
        ``rab`` and ``cert_ssb`` have a published radius; ``cert_ssb``'s goes through
        storage-update, in sample order.
    learner_kind : str
        ``nearest_class_mean`` has a statistic trigger radius.

    Returns
    -------
    DataFrame
        The columns of `schemas.CERTIFICATES`.
    """
    predicted = split.counts.argmax(1)
    votes = split.counts.max(1)
    alpha = certification.alpha
    if certification.multiplicity == "simultaneous":
        alpha /= n_certificates
    # alpha/2 for any number of classes: docs/theory.md, section 5
    p_lower = bounds.clopper_pearson_lower(votes, certification.n_models, alpha / 2)
    margin = certificates.margin(p_lower, 1 - p_lower)
    predicted = np.where(margin > 0, predicted, ABSTAIN)

    general = certificates.trigger_radius(margin, split.sigma, training.sigma, training.n_poisoned)
    statistic = np.full(len(votes), np.nan)
    if learner_kind == "nearest_class_mean":
        class_variance = np.bincount(training.labels, training.sigma**2)
        statistic = certificates.class_mean_trigger_radius(
            margin, split.sigma, class_variance, training.n_poisoned
        )
    trigger = np.fmax(general, statistic)

    table = pd.DataFrame(
        {
            "split": split.name,
            "sample": np.arange(len(votes)),
            "label": split.labels,
            "prediction": predicted,
            "prediction_storage": predicted,
            "votes": votes,
            "p_lower": p_lower,
            "margin": margin,
            "sigma": split.sigma,
            "radius_paper": np.nan,
            "radius_joint": certificates.joint_radius(margin, split.sigma, training.sigma),
            "radius_trigger": trigger,
            "radius_trigger_general": general,
            "radius_trigger_statistic": statistic,
            "covers_attack": trigger > training.attack_norm if training.n_poisoned else None,
            "storage_action": None,
        }
    )
    if defense in ("rab", "cert_ssb"):
        table["radius_paper"] = split.sigma * np.maximum(margin, 0)
    if defense == "cert_ssb":
        updated = storage_update(split.inputs, predicted, table["radius_paper"])
        table["radius_paper"] = updated.radii
        table["prediction_storage"] = np.where(updated.radii > 0, updated.labels, ABSTAIN)
        table["storage_action"] = updated.actions
    return table
