"""What the report shows of single inputs: which ones, their images, their certificates.

Everything here is plain lists, numbers and text, for JSON. Radii and bounds are rounded down.
"""

import base64
import io as streams
import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from certbd.artifacts.io import DataSplits
from certbd.artifacts.schemas import BENIGN, TRAIN, TRIGGERED

Page = dict[str, Any]
MOST_INPUTS = 500
"""Inputs of a dataset that are shown at most, of each split."""
MOST_ROWS = 10_000
"""Certificates on the page at most, of each split."""
MOST_VALUES = 4_000_000
"""Pixel values on the page at most."""
MOST_QUANTILES = 200
DIGITS = {
    "p_lower": 5, "margin": 3, "sigma": 3, "radius_paper": 3, "radius_joint": 3,
    "radius_trigger": 3, "storage_order_sensitivity": 3,
}  # fmt: skip
COLUMNS = (
    "sample", "label", "prediction", "prediction_storage", "votes", "p_lower", "margin", "sigma",
    "radius_paper", "radius_joint", "radius_trigger", "radius_rows", "radius_rows_added",
    "radius_rows_removed", "radius_l0", "covers_attack",
    "storage_action", "storage_order_sensitivity",
)  # fmt: skip


def rounded_down(value: float, digits: int) -> float:
    """Return `value`, as the shortest decimal that stands for it, with so many digits, or less."""
    return float(Decimal(repr(float(value))).quantize(Decimal(10) ** -digits, ROUND_FLOOR))


def shown_samples(n_inputs: int, n_experiments: int, n_values: int) -> list[int]:
    """Choose the inputs of a dataset that the page shows, evenly spaced, the same for all splits.

    Parameters
    ----------
    n_inputs : int
        Test inputs of the dataset.
    n_experiments : int
        Experiments on the page, which share `MOST_ROWS`.
    n_values : int
        Numbers that one input takes in all its images, for all datasets on the page, which share
        `MOST_VALUES`.
    """
    most = min(MOST_INPUTS, MOST_ROWS // n_experiments, MOST_VALUES // max(n_values, 1), n_inputs)
    return [place * n_inputs // max(most, 1) for place in range(max(most, 1))]


def dataset_of(
    tables: Sequence[pd.DataFrame],
    n_experiments: int,
    n_datasets: int,
    data: DataSplits | None,
    triggered: Mapping[str, NDArray[np.float32]],
) -> Page:
    """Return the inputs of a dataset that are shown, their images and their places in a plane.

    Parameters
    ----------
    tables : sequence of DataFrame
        Certificates of its experiments, columns of `schemas.CERTIFICATES`.
    n_experiments, n_datasets : int
        On the whole page.
    data : DataSplits or None
        None for votes from elsewhere, whose inputs are not known.
    triggered : mapping
        Triggered test inputs (n, ...) of each attack; none without an attack.
    """
    n_inputs = max(int(table["sample"].max()) + 1 for table in tables)
    if data is None:
        samples = shown_samples(n_inputs, n_experiments, 1)
        return {"samples": samples, "n_inputs": n_inputs, "classes": [], "sheets": {},
                "plane": {}, "features": False}  # fmt: skip
    n_values = data.test_inputs[0].size * (1 + len(triggered)) * n_datasets
    samples = shown_samples(n_inputs, n_experiments, n_values)
    arrays = {BENIGN: data.test_inputs[samples]}
    arrays |= {attack: inputs[samples] for attack, inputs in triggered.items() if len(inputs)}
    return {
        "samples": samples,
        "n_inputs": n_inputs,
        "classes": data.class_names.tolist(),
        "sheets": {name: sheet(inputs) for name, inputs in arrays.items()},
        "plane": plane(arrays),
        "features": data.test_inputs.ndim == 2,
    }


def sheet(inputs: NDArray[np.float32]) -> Page:
    """Return inputs (n, channels, height, width) or (n, features) as one PNG image of tiles.

    Rows of features become tiles one pixel high. Values outside [0, 1] are clipped. Of other than 1
    or 3 channels, the first is drawn.
    """
    images = inputs[:, None, None, :] if inputs.ndim == 2 else inputs
    n, channels, height, width = images.shape
    kept = images if channels == 3 else images[:, :1]
    n_columns = max(1, math.isqrt(n * height // width))
    n_rows = -(-n // n_columns)
    tiles = np.zeros((n_rows * n_columns, kept.shape[1], height, width), np.uint8)
    tiles[:n] = np.rint(kept.clip(0, 1) * 255)
    grid = tiles.reshape(n_rows, n_columns, -1, height, width)
    pixels = grid.transpose(0, 3, 1, 4, 2).reshape(n_rows * height, n_columns * width, -1)
    stream = streams.BytesIO()
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(
        stream, "PNG", optimize=True
    )
    source = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    return {"src": source, "columns": n_columns, "width": width, "height": height}


def certificates_of(table: pd.DataFrame, samples: Sequence[int]) -> Page:
    """Return the columns of `schemas.CERTIFICATES` for these samples, split by split.

    A column that is empty in a split is left out; one whose values are all equal is one value. The
    margin of an input with no lower bound above 0 is not finite: None.
    """
    parts = {}
    for split in (BENIGN, TRIGGERED):
        part = table[(table["split"] == split) & table["sample"].isin(samples)]
        if len(part):
            part = part.sort_values("sample")
            columns = {name: _column(part[name], DIGITS.get(name)) for name in COLUMNS}
            parts[split] = {name: values for name, values in columns.items() if values is not None}
            parts[split]["n"] = len(part)
    return parts


def _column(values: pd.Series, digits: int | None) -> Any:
    if values.isna().all():
        return None
    if digits is not None:
        listed = [rounded_down(v, digits) if np.isfinite(v) else None for v in values]
    else:
        listed = [None if pd.isna(v) else v for v in values.astype(object)]
        listed = [v.item() if isinstance(v, np.generic) else v for v in listed]
        listed = [int(v) if isinstance(v, float) else v for v in listed]
    return listed[0] if all(v == listed[0] for v in listed) else listed


def predictions_of(table: pd.DataFrame, samples: Sequence[int]) -> Page:
    """Return what the undefended network answers (columns of `schemas.PREDICTIONS`), by split."""
    part = table[table["sample"].isin(samples)].sort_values("sample")
    return {
        split: part.loc[part["split"] == split, "prediction"].tolist()
        for split in (BENIGN, TRIGGERED)
    }


def sigma_quantiles(table: pd.DataFrame) -> list[Page]:
    """Return the distribution of optimised noise (columns of `schemas.SIGMA`) in each split."""
    points: list[Page] = []
    for split in (TRAIN, BENIGN, TRIGGERED):
        sigma = table.loc[table["split"] == split, "sigma"].to_numpy()
        for share in np.linspace(0, 1, min(len(sigma), MOST_QUANTILES)).round(4).tolist():
            level = round(float(np.quantile(sigma, share)), 4)
            points.append({"split": split, "sigma": level, "share": share})
    return points


def plane(inputs: Mapping[str, NDArray[np.float32]]) -> dict[str, list[list[float]]]:
    """Return inputs on the first two principal components of the benign ones: for display only.

    Parameters
    ----------
    inputs : mapping
        Arrays (n, ...) by name, ``benign`` among them; no certificate depends on this.
    """
    flat = {name: array.reshape(len(array), -1).astype(float) for name, array in inputs.items()}
    mean = flat[BENIGN].mean(0)
    _, _, axes = np.linalg.svd(flat[BENIGN] - mean, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2].sum(1, keepdims=True) + 1e-30)
    return {name: np.round((array - mean) @ axes.T, 3).tolist() for name, array in flat.items()}
