"""Certified against broken: the figure of the audit, from its table alone."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from certbd.audit.outcomes import NOT_TRIED, inside
from certbd.report.looks import DASHES, STYLE, Dashes, save

SIDES = {
    "test": "test input attacked",
    "train": "training set attacked",
    "both": "both attacked",
    "order": "before its twin",
}
MARKERS = {"joint": "o", "trigger": "^", "rows": "s", "l0": "D", "paper": "x"}
SHADE = "#e8f1e8"


def certified_against_broken(
    audit: pd.DataFrame, path: str | Path, colours: Mapping[str, str]
) -> None:
    """Draw the share of broken predictions against the scale, one panel per side.

    Parameters
    ----------
    audit : DataFrame
        Rows of one dataset, the columns of `outcomes.AUDIT`; attacks are added up.
    colours : mapping
        Of each defence in it.
    """
    audit = audit[audit["side"] != NOT_TRIED["side"]]
    if unknown := set(audit["side"]) - {*SIDES, "claim"}:
        raise ValueError(f"sides {sorted(unknown)}; known: claim, {', '.join(SIDES)}")
    sides = [side for side in SIDES if side in set(audit["side"])]
    methods = audit[["defense", "noise"]].drop_duplicates()
    rank = methods.groupby("defense").cumcount() % len(DASHES)
    styles = {tuple(m): DASHES[k] for m, k in zip(methods.to_numpy(), rank, strict=True)}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(6.2, 2.6 * len(sides)), 4.2))
        panels = figure.subplots(1, max(1, len(sides)), squeeze=False, sharey=True)[0]
        for panel, side in zip(panels, sides, strict=False):
            _draw_side(panel, audit[audit["side"] == side], styles, colours)
            panel.set_title(SIDES[side], fontsize=9)
        panels[0].set_ylabel("broken predictions (share of trials)")
        scale = "size of the attack (1: the edge of the certified set)"
        figure.supxlabel(f"{scale}\n{_inside(audit)}", fontsize=9)
        handles = _handles(audit, styles, colours)
        figure.legend(handles=handles, loc="outside upper center", ncols=3)
        save(figure, path)


def _draw_side(
    panel: Axes,
    audit: pd.DataFrame,
    styles: Mapping[tuple[str, ...], Dashes],
    colours: Mapping[str, str],
) -> None:
    panel.axvspan(0, 1, color=SHADE, zorder=0)
    for (defense, noise, certificate), line in audit.groupby(["defense", "noise", "certificate"]):
        sums = line.groupby("scale")[["trials", "violations"]].sum()
        sums = sums[sums["trials"] > 0]
        panel.plot(
            sums.index, sums["violations"] / sums["trials"], color=colours[defense],
            linestyle=(0, styles[defense, noise]), marker=MARKERS[certificate], markersize=4,
            linewidth=1.4, clip_on=False,
        )  # fmt: skip
    panel.set(xlim=(0, 4.1), ylim=(0, 1.02), xticks=np.arange(5))


def _inside(audit: pd.DataFrame) -> str:
    """Say what happened inside the certificates, and how often the paper's radius failed."""
    claims = audit["side"] == "claim"
    paper = (audit["certificate"] == "paper") & (audit["scale"] <= 1)
    tried = audit.loc[inside(audit), "trials"].sum()
    text = f"inside the certificates {_broken(audit[inside(audit)])}"
    text += " trials broken" if tried else ""
    text += f" (the claim itself: {_broken(audit[claims])})"
    if paper.any():
        text += f"; paper radius: {_broken(audit[paper])}"
    return text


def _broken(rows: pd.DataFrame) -> str:
    violations, trials = rows[["violations", "trials"]].sum()
    return f"{violations} of {trials}" if trials else "not tried"


def _handles(
    audit: pd.DataFrame,
    styles: Mapping[tuple[str, ...], Dashes],
    colours: Mapping[str, str],
) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=colours[defense], linestyle=(0, dashes), label=f"{defense}, {noise}")
        for (defense, noise), dashes in styles.items()
    ]
    used = [
        name for name in MARKERS if name in set(audit.loc[audit["side"] != "claim"]["certificate"])
    ]
    handles += [
        Line2D([], [], color="black", linestyle="", marker=MARKERS[name], markersize=4,
               label=f"{name} certificate")
        for name in used
    ]  # fmt: skip
    return [*handles, Patch(color=SHADE, label="certified")]
