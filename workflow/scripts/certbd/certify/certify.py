"""From counted votes to a split's table of certificates. ``docs/theory.md``, sections 2 to 5."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from certbd.artifacts.schemas import ABSTAIN
from certbd.certify.claims import claim
from certbd.certify.tally import Tally
from certbd.config.axes import Certification
from certbd.theory.storage import order_sensitivity, storage_update
from certbd.training.world import Guarantee

RADII = (
    "joint", "trigger", "trigger_general", "trigger_statistic", "rows", "rows_added",
    "rows_removed", "l0",
)  # fmt: skip
EMPTY = {f"radius_{name}": np.nan for name in RADII} | {"covers_attack": None}
ORDERS = 10
"""Random query orders in which storage-update is repeated."""


class Paper(NamedTuple):
    """Whether there is a published radius, sigma times the margin, and it is stored and updated."""

    published: bool
    stored: bool


class VotedSplit(NamedTuple):
    """Test inputs (n, ...), if known, true labels (n,), their votes, the noise of those (n,)."""

    name: str
    inputs: NDArray[np.float32] | None
    labels: NDArray[np.int64]
    tally: Tally
    sigma: NDArray[np.float64]


def certify_splits(
    splits: Iterable[VotedSplit],
    guarantee: Guarantee | None,
    certification: Certification,
    paper: Paper,
    orders: np.random.Generator,
) -> pd.DataFrame:
    """Certify the test inputs of every split; parameters as for `certify_split`."""
    splits = [split for split in splits if len(split.labels)]
    n_certificates = sum(len(split.labels) for split in splits)
    tables = [
        certify_split(split, guarantee, certification, n_certificates, paper, orders)
        for split in splits
    ]
    return pd.concat(tables, ignore_index=True)


def certify_split(
    split: VotedSplit,
    guarantee: Guarantee | None,
    certification: Certification,
    n_certificates: int,
    paper: Paper,
    orders: np.random.Generator,
) -> pd.DataFrame:
    """Certify every input of a split.

    Parameters
    ----------
    guarantee : Guarantee or None
        None if nothing on the training side was random: then there is only a published radius.
    n_certificates : int
        Number of certificates among which `multiplicity: simultaneous` shares alpha.
    paper : Paper
        What becomes of the published radius; storage-update takes inputs in sample order.
    orders : Generator
        Draws the random query orders of `storage.order_sensitivity`.

    Returns
    -------
    DataFrame
        The columns of `schemas.CERTIFICATES`.
    """
    claims = claim(split.tally, certification, n_certificates)
    margin = claims.margin
    rows = np.arange(len(margin))
    certified = np.where(margin > 0, claims.predicted, ABSTAIN)
    table = pd.DataFrame(
        {
            "split": split.name,
            "sample": rows,
            "label": split.labels,
            "prediction": certified,
            "prediction_storage": certified,
            "votes": split.tally.votes[rows, claims.predicted],
            "p_lower": claims.p_lower,
            "margin": margin,
            "sigma": split.sigma,
            "radius_paper": split.sigma * margin.clip(0) if paper.published else np.nan,
            **EMPTY,
            "storage_action": None,
            "storage_order_sensitivity": np.nan,
        }
    )
    if guarantee is not None:
        table = table.assign(**guarantee.columns(claims, split.sigma))
    if paper.stored and split.inputs is not None:
        queries = (split.inputs, certified, table["radius_paper"].to_numpy())
        updated = storage_update(*queries)
        table["radius_paper"] = updated.radii
        table["prediction_storage"] = np.where(updated.radii > 0, updated.labels, ABSTAIN)
        table["storage_action"] = updated.actions
        table["storage_order_sensitivity"] = order_sensitivity(*queries, orders, ORDERS)
    return table


def describe(table: pd.DataFrame) -> str:
    """Say in a line what a table of certificates holds."""
    abstained = (table["prediction"] == ABSTAIN).mean()
    text = f"{len(table)} inputs, {100 * abstained:.1f} % abstained"
    if table["storage_action"].notna().any():
        actions = table["storage_action"].value_counts().to_dict()
        changed = 100 * table["storage_order_sensitivity"].mean()
        text += f"; storage-update {actions}, {changed:.2f} % of outcomes change with the order"
    return text
