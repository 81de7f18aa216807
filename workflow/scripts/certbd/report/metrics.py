"""Rows of ``summary.csv`` and ``curves.csv`` from certificates. ``docs/theory.md``, section 8.

Metrics on triggered inputs are taken on those whose true class is not the target, with their
true labels. An abstention is neither right nor a successful attack.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from certbd.artifacts.schemas import ABSTAIN, BENIGN, TRIGGERED
from certbd.config.axes import CHANGES
from certbd.config.threats import ROW_COLUMNS, counted_as

SUMMARY = (
    "dataset", "attack", "defense", "noise", "learner", "seed", "n_models", "bound", "alpha",
    "n_test", "n_poisoned", "attack_norm", "undefended_accuracy", "undefended_attack_success",
    "clean_accuracy", "attack_success", "empirical_robust_accuracy", "abstain_rate",
    "certified_at_attack", "clean_certified_at_attack", "clean_certified_at_attack_worst_class",
    "average_trigger_radius", "average_joint_radius", "average_paper_radius",
    "largest_trigger_radius", "covers_labels", "storage_trimmed", "storage_aligned",
    "threat", "threat_rows", "threat_how", "threat_trigger", "threat_size", "median_rows",
)  # fmt: skip
COUNTS = (
    "n_models", "n_test", "n_poisoned", "storage_trimmed", "storage_aligned", "threat_rows",
    "median_rows",
)  # fmt: skip
CURVES = (
    "dataset", "attack", "defense", "noise", "learner", "seed", "split", "certificate", "bound",
    "radius", "certified_accuracy", "certified_rate", "threat",
)  # fmt: skip
LINE = ("dataset", "attack", "defense", "noise", "learner", "seed", "bound")
"""What tells the lines of ``curves.csv`` apart, with certificate, split and threat."""
Line = tuple[Any, ...]
MODELS = (
    "dataset", "attack", "defense", "noise", "learner", "seed", "n_models", "diverged", "constant",
)  # fmt: skip
ENDING = ("l0",)
"""Certificates without a grid: curves end where nothing is certified."""
PAPER_RADII = np.arange(0, 2.51, 0.25)


def summarise(
    row: Mapping[str, Any], certified: pd.DataFrame, undefended: pd.DataFrame | None
) -> dict[str, Any]:
    """Return one row of ``summary.csv``.

    Parameters
    ----------
    row : mapping
        The axes of the experiment with n_poisoned, attack_norm, target (None if not known),
        covers_labels, known_test (test inputs that are known to be poisoned), and the threat that
        certificates are under.
    certified : DataFrame
        Its certificates, columns of `schemas.CERTIFICATES`.
    undefended : DataFrame or None
        Predictions of the undefended network, columns of `schemas.PREDICTIONS`; None for votes
        from elsewhere.
    """
    certified = as_known(certified, row)
    benign, triggered = split_of(certified, BENIGN, row), split_of(certified, TRIGGERED, row)
    right = benign["prediction"] == benign["label"]
    values = {
        **row,
        "n_test": len(benign),
        "clean_accuracy": right.mean(),
        "abstain_rate": (benign["prediction"] == ABSTAIN).mean(),
    }
    if undefended is not None:
        undefended = as_known(undefended, row)
        plain, attacked = split_of(undefended, BENIGN, row), split_of(undefended, TRIGGERED, row)
        values["undefended_accuracy"] = (plain["prediction"] == plain["label"]).mean()
        if len(attacked) and row["target"] is not None:
            success = (attacked["prediction"] == row["target"]).mean()
            values["undefended_attack_success"] = success
    if len(triggered):
        if row["target"] is not None:
            values["attack_success"] = (triggered["prediction"] == row["target"]).mean()
        values["empirical_robust_accuracy"] = _right(triggered).mean()
    if certified["covers_attack"].notna().any():
        covered = right & benign["covers_attack"].eq(True)
        by_class = covered.groupby(benign["label"]).mean()
        values["clean_certified_at_attack"] = covered.mean()
        values["clean_certified_at_attack_worst_class"] = by_class.min()
        if len(triggered):
            both = _right(triggered) & triggered["covers_attack"].eq(True)
            values["certified_at_attack"] = both.mean()
    counted = benign[ROW_COLUMNS[counted_as(row["threat_how"] or "replaced")]]
    if counted.notna().any():
        values["median_rows"] = _median_rows(counted.where(right, -1).to_numpy())
    if certified["radius_joint"].notna().any():
        values["average_joint_radius"] = benign["radius_joint"].where(right, 0).mean()
    if certified["radius_trigger"].notna().any():
        values["average_trigger_radius"] = benign["radius_trigger"].where(right, 0).mean()
        values["largest_trigger_radius"] = certified["radius_trigger"].max()
    if certified["radius_paper"].notna().any():
        right_after = benign["prediction_storage"] == benign["label"]
        values["average_paper_radius"] = benign["radius_paper"].where(right_after, 0).mean()
    if certified["storage_action"].notna().any():
        actions = certified["storage_action"].value_counts()
        values["storage_trimmed"] = actions.get("trimmed", 0)
        values["storage_aligned"] = actions.get("aligned", 0)
    return {column: values.get(column) for column in SUMMARY}


def _median_rows(covered: NDArray[np.float64]) -> int:
    """Return the most rows that half of the inputs hold against; -1 where fewer do at 0."""
    return int(np.sort(covered)[len(covered) // 2])


def curves(
    row: Mapping[str, Any], certified: pd.DataFrame, grids: Mapping[str, Mapping[str, float]]
) -> Iterator[tuple[Line, list[dict[str, Any]]]]:
    """Yield lines of ``curves.csv``, each with what tells it apart and its rows.

    Certified at R means right, not abstained, and `reaches` R. Trigger radii are for the rows of a
    threat, so their lines have its name, where one was given; others do not depend on it.

    Parameters
    ----------
    row, certified
        As for `summarise`.
    grids : mapping
        ``stop`` and ``step`` of the radii for joint and trigger certificates.
    """
    radii = {name: np.arange(0, g["stop"] + g["step"] / 2, g["step"]) for name, g in grids.items()}
    radii["paper"] = PAPER_RADII
    for name in ENDING:
        largest = certified[f"radius_{name}"].max() if f"radius_{name}" in certified else np.nan
        radii |= {name: np.arange(largest + 2.0)} if largest >= 0 else {}
    known = as_known(certified, row)
    for split in (BENIGN, TRIGGERED):
        part = split_of(known, split, row)
        for certificate, grid in radii.items():
            radius = part[f"radius_{certificate}"].to_numpy()
            if len(part) == 0 or np.isnan(radius).all():
                continue
            threat = (row["given_threat"] or None) if certificate == "trigger" else None
            axes = {**row, "split": split, "certificate": certificate, "threat": threat}
            line = (*(axes[name] for name in LINE), certificate, split, threat)
            yield line, list(_points(axes, part, radius, grid))


def _points(
    axes: Mapping[str, Any], part: pd.DataFrame, radius: NDArray[np.float64], grid: NDArray[Any]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one line."""
    certificate = axes["certificate"]
    predicted = part["prediction_storage" if certificate == "paper" else "prediction"]
    kept = (predicted != ABSTAIN).to_numpy()
    right = (predicted == part["label"]).to_numpy()
    for point in np.round(grid, 10):
        certain = kept & reaches(certificate, radius, point)
        values = {
            **axes,
            "radius": point,
            "certified_accuracy": np.mean(right & certain),
            "certified_rate": np.mean(certain),
        }
        yield {column: values[column] for column in CURVES}


def reaches(certificate: str, radius: NDArray[np.float64], point: float) -> NDArray[np.bool_]:
    """Tell which radii count at a point of a curve.

    A norm is covered strictly below its radius, so radius 0 counts nowhere. So many changes are
    covered as are counted, 0 among them: rows as given; -1 counts nowhere.
    """
    if certificate in CHANGES:
        return np.asarray((radius >= point) & (radius >= 0))
    return np.asarray(radius > point)


def as_known(table: pd.DataFrame, row: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table in which test inputs that are known to be poisoned count as triggered."""
    if not row["known_test"]:
        return table
    known = (table["split"] == BENIGN) & table["sample"].isin(row["known_test"])
    return table.assign(split=table["split"].astype(str).mask(known, TRIGGERED))


def split_of(table: pd.DataFrame, split: str, row: Mapping[str, Any]) -> pd.DataFrame:
    """Return a split's rows; of the triggered ones those whose true class is not the target."""
    part = table[table["split"] == split]
    return part[part["label"] != row["target"]] if split == TRIGGERED else part


def _right(part: pd.DataFrame) -> NDArray[np.bool_]:
    return (part["prediction"] == part["label"]).to_numpy()


def count_faults(row: Mapping[str, Any], faults: pd.DataFrame) -> dict[str, Any]:
    """Return one row of ``models.csv`` from the columns of `schemas.FAULTS`."""
    counts = faults["fault"].value_counts()
    return {**row, "diverged": counts.get("diverged", 0), "constant": counts.get("constant", 0)}
