"""How figures look: one colour per method, one line style per noise; and how they are saved."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from certbd.artifacts.io import atomic
from certbd.artifacts.schemas import BENIGN, TRAIN, TRIGGERED

UNDEFENDED = "#4d4d4d"
SPLIT_COLOURS = {TRAIN: "#4d4d4d", BENIGN: "#56b4e9", TRIGGERED: "#cc79a7"}


class Looks(NamedTuple):
    """How the defences of a run are drawn; the plan knows it from their entries."""

    colours: Mapping[str, Mapping[str, str]]
    """Of each defence and bound, of Okabe and Ito's palette, readable without colour vision."""
    frozen: Sequence[str]
    """Defences whose certificates hold for optimised noise, kept as it is."""


METHOD = ["defense", "noise", "learner", "bound"]
Dashes = tuple[float, ...]
DASHES: tuple[Dashes, ...] = (
    (),
    (4, 2),
    (1, 1.5),
    (5, 1.5, 1, 1.5),
    (7, 2),
    (1, 4),
    (5, 1.5, 1, 1.5, 1, 1.5),
    (7, 1.5, 2.5, 1.5),
)
"""Line styles: on and off, in widths of the line; nothing for a solid one."""
COUNTED = ("l0",)
"""Certificates drawn at each whole number."""
RADIUS_LABELS = {
    "trigger": "trigger norm on test input and poisoned training inputs (ℓ2)",
    "joint": "norm of any perturbation of training set and test input together (ℓ2)",
    "l0": "changed coordinates: training features, labels and test features together",
    "rows": "training rows replaced, inputs and labels (test input untouched)",
    "paper": "published radius (ℓ2); for cert_ssb after storage-update",
}
STYLE = {
    "legend.handlelength": 3.6,  # the longest of `DASHES` one and a half times
    "svg.hashsalt": "certbd",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def methods_of(
    curves: pd.DataFrame, looks: Looks
) -> dict[tuple[str, ...], tuple[str, str, Dashes]]:
    """Return label, colour and dashes of each method in a table with the columns `METHOD`."""
    methods = curves[METHOD].drop_duplicates().reset_index(drop=True)
    rank = methods.groupby("defense").cumcount() % len(DASHES)
    told = methods.groupby(["defense", "noise"])[["learner", "bound"]].transform("nunique") > 1
    drawn = {}
    for row, method in enumerate(methods.itertuples(index=False, name=None)):
        defense, noise, learner, bound = method
        label = f"{defense}, {noise}"
        label += f", {learner}" if told["learner"][row] else ""
        label += f", {bound} bound" if told["bound"][row] else ""
        colour = looks.colours[defense][bound]
        drawn[method] = (label, colour, DASHES[rank[row]])
    return drawn


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as SVG to `path`, and as PDF beside it: fonts inside, no date."""
    for suffix, date in (("svg", "Date"), ("pdf", "CreationDate")):
        with atomic(Path(path).with_suffix(f".{suffix}")) as temporary:
            figure.savefig(temporary, format=suffix, metadata={date: None})
