"""Figures from tables. A method has one colour everywhere, a line style for each noise."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from certbd.io import atomic
from certbd.schemas import BENIGN, TRAIN, TRIGGERED

COLOURS = {  # Okabe and Ito, readable without colour vision
    "undefended": "#4d4d4d",
    "rab": "#0072b2",
    "cert_ssb": "#d55e00",
    "decoupled": "#009e73",
}
SPLIT_COLOURS = {TRAIN: "#4d4d4d", BENIGN: "#56b4e9", TRIGGERED: "#cc79a7"}
BOUND_COLOURS = {  # votes from elsewhere: one method, several bounds
    "hoeffding": "#cc79a7",
    "kl": "#e69f00",
    "clopper_pearson": "#56b4e9",
    "majority": "#009e73",
}
METHOD = ["defense", "noise", "bound"]
LINE_STYLES = ["-", "--", ":", "-."]
SPLIT_TITLES = {
    TRIGGERED: "triggered test inputs\n(target class left out)",
    BENIGN: "benign test inputs\n(all classes)",
}
RADIUS_LABELS = {
    "trigger": "trigger norm on test input and poisoned training inputs (ℓ2)",
    "joint": "norm of any perturbation of training set and test input together (ℓ2)",
    "paper": "published radius (ℓ2); for cert_ssb after storage-update",
}
STYLE = {
    "svg.hashsalt": "certbd",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def certified_accuracy(
    curves: pd.DataFrame,
    summary: pd.DataFrame,
    certificate: str,
    path: str | Path,
    references: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Draw certified accuracy against radius: a column an attack, a row a split.

    Parameters
    ----------
    curves, summary : DataFrame
        Rows of one dataset.
    certificate : {"trigger", "joint", "paper"}
    references : sequence of mapping
        Published points for this dataset and certificate (configuration, ``references``).
    """
    curves = curves[curves["certificate"] == certificate]
    attacks = _order(summary["attack"])
    splits = [split for split in (TRIGGERED, BENIGN) if split in set(curves["split"])]
    methods = _methods(curves)
    with mpl.rc_context(STYLE):
        figure, axes = _panels(len(splits), len(attacks))
        for row, split in zip(axes, splits, strict=True):
            for panel, attack in zip(row, attacks, strict=True):
                part = curves[(curves["split"] == split) & (curves["attack"] == attack)]
                for method, line in part.groupby(METHOD, sort=False):
                    _mean_curve(panel, line, *methods[method][1:])
                for reference in references:
                    if reference["split"] == split:
                        points = (reference["radii"], reference["certified_accuracy"])
                        panel.plot(*points, "D", color="black", markersize=5, clip_on=False)
                norm = summary.loc[summary["attack"] == attack, "attack_norm"].iloc[0]
                if certificate == "trigger" and norm > 0:
                    _mark_norm(panel, norm)
                panel.set(ylim=(0, 1.02), xlim=(0, curves["radius"].max()))
            row[0].set_ylabel(f"certified accuracy (share)\n{SPLIT_TITLES[split]}")
        counts = summary.drop_duplicates("attack")["n_poisoned"]
        for panel, attack, count in zip(axes[0], attacks, counts, strict=True):
            known = not np.isnan(count)
            panel.set_title(
                f"{attack}, {count:.0f} poisoned" if known else "attack not given", pad=16
            )
        figure.supxlabel(RADIUS_LABELS[certificate], fontsize=9)
        entries = [
            (label, {"color": c, "linestyle": style}) for label, c, style in methods.values()
        ]
        marks = {"color": "black", "linestyle": "", "marker": "D", "markersize": 5}
        _legend(figure, entries + [(reference["label"], marks) for reference in references])
        _save(figure, path)


def _methods(curves: pd.DataFrame) -> dict[tuple[str, str, str], tuple[str, str, str]]:
    """Return label, colour and line style of each (defense, noise, bound)."""
    methods = curves[METHOD].drop_duplicates()
    rank = methods.groupby("defense").cumcount() % len(LINE_STYLES)
    several = methods["bound"].nunique() > 1
    frozen = set(curves["certificate"]) != {"paper"}
    looks = {}
    for (defense, noise, bound), style in zip(
        methods.itertuples(index=False, name=None), rank, strict=True
    ):
        label = f"{defense}, {noise}" + (f", {bound} bound" if several else "")
        label += " (σ* frozen)" if defense == "cert_ssb" and frozen else ""
        external = defense == "external"
        colour = BOUND_COLOURS[bound] if external else COLOURS[defense]
        looks[defense, noise, bound] = (label, colour, LINE_STYLES[style])
    return looks


def _mark_norm(panel: Axes, norm: float) -> None:
    panel.axvline(norm, color="black", linewidth=0.8)
    panel.annotate("attack's norm", (norm, 1.03), ha="center", fontsize=8, annotation_clip=False)


def sigma_distribution(
    sigmas: pd.DataFrame, attacks: Sequence[str], noises: Sequence[str], path: str | Path
) -> None:
    """Draw the distribution of cert_ssb's optimised noise: a column an attack, a row a start.

    Parameters
    ----------
    sigmas : DataFrame
        The columns of `schemas.SIGMA`, with attack and noise.
    """
    with mpl.rc_context(STYLE):
        figure, axes = _panels(len(noises), len(attacks), height=2.2)
        for row, noise in zip(axes, noises, strict=True):
            for panel, attack in zip(row, attacks, strict=True):
                part = sigmas[(sigmas["noise"] == noise) & (sigmas["attack"] == attack)]
                for split, values in part.groupby("split", observed=True):
                    panel.ecdf(values["sigma"], color=SPLIT_COLOURS[split], linewidth=1.6)
                panel.axvline(part["start"].iloc[0], color="black", linewidth=0.8, linestyle="--")
                panel.set(ylim=(0, 1.02), xlim=(0, sigmas["sigma"].max() * 1.05))
            row[0].set_ylabel(f"share of inputs below\nstart: {noise}")
        for panel, attack in zip(axes[0], attacks, strict=True):
            panel.set_title(attack)
        figure.supxlabel("optimised noise σ* of an input (pixels in [0, 1])", fontsize=9)
        entries = [(f"{split} inputs", {"color": c}) for split, c in SPLIT_COLOURS.items()]
        start = {"color": "black", "linestyle": "--"}
        _legend(figure, [*entries, ("where the search starts", start)])
        _save(figure, path)


def attack_success(summary: pd.DataFrame, path: str | Path) -> None:
    """Draw attack success of the undefended network beside each defence: a column an attack."""
    summary = summary[summary["attack_norm"] > 0]
    attacks = _order(summary["attack"])
    n_bars = 1 + len(summary[["defense", "noise"]].drop_duplicates())
    with mpl.rc_context(STYLE):
        figure, axes = _panels(1, len(attacks), height=0.8 + 0.28 * n_bars)
        for panel, attack in zip(axes[0], attacks, strict=True):
            part = summary[summary["attack"] == attack]
            groups = part.groupby(["defense", "noise"], sort=False)["attack_success"].mean()
            shares = [part["undefended_attack_success"].iloc[0], *groups]
            colours = [
                COLOURS[name] for name in ("undefended", *(method[0] for method in groups.index))
            ]
            names = ["undefended", *(", ".join(method) for method in groups.index)]
            bars = panel.barh(names, shares, color=colours, height=0.7)
            panel.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
            panel.set(xlim=(0, 1.12), title=attack, xticks=np.linspace(0, 1, 6))
            panel.grid(visible=False, axis="y")
            panel.invert_yaxis()
        figure.supxlabel(
            "attack success: share of triggered non-target test inputs predicted as the target",
            fontsize=9,
        )
        _save(figure, path)


def _panels(n_rows: int, n_columns: int, height: float = 2.6) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(max(6.2, 3.1 * n_columns), height * n_rows + 1.0))
    axes = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True)
    return figure, axes


def _mean_curve(panel: Axes, line: pd.DataFrame, colour: str, style: str) -> None:
    """Draw the mean over learners and seeds.

    On a fine grid as steps: between radii, the value at the next larger one. The paper's grid is
    coarse: there, its points are marked and joined.
    """
    mean = line.groupby("radius")["certified_accuracy"].mean()
    coarse = len(mean) < 20
    shape = {"marker": "o", "markersize": 3.5} if coarse else {"drawstyle": "steps-pre"}
    panel.plot(mean.index, mean, color=colour, linestyle=style, linewidth=1.6, **shape)


def _legend(figure: Figure, entries: Sequence[tuple[str, dict[str, Any]]]) -> None:
    handles = [Line2D([], [], linewidth=1.6, label=label, **look) for label, look in entries]
    columns = max(1, min(3, len(handles), int(figure.get_figwidth() // 3)))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)


def _order(names: pd.Series) -> list[str]:
    return list(dict.fromkeys(names))


def _save(figure: Figure, path: str | Path) -> None:
    with atomic(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
