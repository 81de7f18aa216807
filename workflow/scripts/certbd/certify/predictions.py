"""Whose prediction is it: certificates with the sources of their inputs, for people's own tools.

``predictions.csv`` opens in a spreadsheet: UTF-8 with a byte order mark, plain numbers, no more
digits than hold (radii are rounded down).
"""

from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from certbd.artifacts.io import atomic, write_table
from certbd.artifacts.logs import LOGGER
from certbd.artifacts.schemas import ABSTAIN, PREDICTED, TRIGGERED
from certbd.config.threats import ROW_COLUMNS, counted_as

UNITS = {"trigger": "l2", "l0": "changed coordinates", "paper": "l2, as published"}
"""Certificate of a radius -> its unit, in the order in which one is taken."""
DIGITS = Decimal("0.000001")
ABSTAINED = "abstained"


def predictions(
    table: pd.DataFrame,
    class_names: Sequence[str],
    sources: pd.DataFrame,
    threat: Mapping[str, Any] | None,
    note: str = "",
) -> pd.DataFrame:
    """Name what certificates say of each input.

    Parameters
    ----------
    table : DataFrame
        Certificates, columns of `schemas.CERTIFICATES`.
    class_names : sequence of str
        In label order.
    sources : DataFrame
        ``source`` and ``id`` of each test input, in sample order (columns of `schemas.SOURCES`).
    threat : mapping or None
        Fields of the `Threat` that certificates are under; None where nothing was asked.
    note : str
        What else must be said of every row.

    Returns
    -------
    DataFrame
        The columns of `schemas.PREDICTED`.
    """
    names, place = np.array([*class_names, ABSTAINED], object), table["sample"].to_numpy()
    labels = table["label"].to_numpy()
    radius, unit = _radius(table, threat)
    return pd.DataFrame(
        {
            "split": table["split"].astype(str),
            "sample": place,
            "source": sources["source"].to_numpy()[place],
            "id": sources["id"].to_numpy()[place],
            "true_class": np.where(labels == ABSTAIN, None, names[labels]),
            "predicted_class": names[table["prediction"].to_numpy()],
            "certified": table["covers_attack"],
            "rows": table[ROW_COLUMNS[counted_as(threat["how"] if threat else "replaced")]],
            "radius": radius,
            "radius_unit": unit,
            "votes": table["votes"],
            "note": note,
        }
    )


def numbered(table: pd.DataFrame) -> pd.DataFrame:
    """Return sources of inputs that are known by their number alone."""
    names = list(map(str, range(int(table["sample"].max()) + 1)))
    return pd.DataFrame({"source": names, "id": None})


def _radius(
    table: pd.DataFrame, threat: Mapping[str, Any] | None
) -> tuple[NDArray[np.float64], str | None]:
    """Return the radius that belongs to a threat, and its unit.

    There is none for a threat of rows alone, nor for one that is not covered.
    """
    uncovered = threat is not None and table["covers_attack"].isna().all()
    if threat is None or (threat["trigger"] != "none" and not uncovered):
        for certificate, unit in UNITS.items():
            radius = table[f"radius_{certificate}"].to_numpy(np.float64, na_value=np.nan)
            if not np.isnan(radius).all():
                return radius, unit
    return np.full(len(table), np.nan), None


def write_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write predictions for a spreadsheet; an empty cell is a value that does not exist."""
    text = table.assign(
        certified=table["certified"].map({True: "yes", False: "no"}),
        radius=[_plain(value) for value in table["radius"]],
        rows=table["rows"].astype("Int64"),
    )
    with atomic(path) as temporary:
        text.to_csv(temporary, index=False, encoding="utf-8-sig", lineterminator="\n")


def write(output: Any, table: pd.DataFrame, origin: Mapping[str, Any]) -> None:
    """Write predictions twice: ``output.predictions`` (Parquet), ``output.spreadsheet`` (CSV)."""
    LOGGER.info("%s", describe(table))
    write_table(output.predictions, table, PREDICTED, origin)
    write_csv(output.spreadsheet, table)


def _plain(value: float) -> str:
    """Return a number without an exponent, rounded down."""
    if np.isnan(value):
        return ""
    if np.isinf(value):
        return "inf"
    return str(Decimal(repr(float(value))).quantize(DIGITS, ROUND_FLOOR))


def describe(table: pd.DataFrame) -> str:
    """Say in a line how many inputs are certified."""
    asked = table[table["certified"].notna() & (table["split"] != TRIGGERED)]
    if not len(asked):
        return "no threat asked, or none that this defence covers"
    return f"{int(asked['certified'].sum())} of {len(asked)} benign or new inputs certified"
