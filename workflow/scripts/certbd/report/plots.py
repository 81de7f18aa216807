"""Figures from tables, as SVG and PDF."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from certbd.artifacts.schemas import BENIGN, TRIGGERED
from certbd.report import asked
from certbd.report.looks import (
    COUNTED,
    METHOD,
    RADIUS_LABELS,
    SPLIT_COLOURS,
    STYLE,
    UNDEFENDED,
    Dashes,
    Looks,
    methods_of,
    save,
)

POINTS: dict[str, Any] = {"color": "black", "linestyle": "", "marker": "D", "markersize": 5}
SPLIT_TITLES = {
    TRIGGERED: "triggered test inputs\n(target class left out)",
    BENIGN: "benign test inputs\n(all classes)",
}


def certified_accuracy(
    curves: pd.DataFrame,
    summary: pd.DataFrame,
    certificate: str,
    path: str | Path,
    looks: Looks,
    references: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Draw certified accuracy against radius: one column per attack and threat, one row per split.

    Parameters
    ----------
    curves, summary : DataFrame
        Rows of one dataset.
    certificate : {"trigger", "joint", "paper", "l0", "rows"}
    looks : Looks
        Of the defences in them.
    references : sequence of mapping
        Published points for this dataset and certificate (configuration, ``references``).
    """
    curves = curves[curves["certificate"] == certificate]
    splits = [split for split in (TRIGGERED, BENIGN) if split in set(curves["split"])]
    worlds = list(curves[["attack", "threat"]].drop_duplicates().itertuples(index=False))
    methods = methods_of(curves, looks)
    with mpl.rc_context(STYLE):
        figure, axes = panels(len(splits), len(worlds))
        for row, split in zip(axes, splits, strict=True):
            points = [reference for reference in references if reference["split"] == split]
            for panel, (attack, threat) in zip(row, worlds, strict=True):
                part = asked.of_world(curves[curves["split"] == split], attack, threat)
                _draw_curves(panel, part, methods, points)
                for place, text in asked.marks(summary, attack, threat, certificate).items():
                    _mark(panel, place, text)
                panel.set(ylim=(0, 1.02), xlim=(0, curves["radius"].max()))
                if certificate in COUNTED:
                    panel.xaxis.get_major_locator().set_params(integer=True)
            row[0].set_ylabel(f"certified accuracy (share)\n{SPLIT_TITLES[split]}")
        for panel, (attack, threat) in zip(axes[0], worlds, strict=True):
            panel.set_title(asked.title(summary, attack, threat), pad=16)
        figure.supxlabel(RADIUS_LABELS[certificate], fontsize=9)
        frozen = " (σ* frozen)" if certificate != "paper" else ""
        entries = [
            (
                label + frozen * (method[0] in looks.frozen),
                {"color": colour, "linestyle": (0, dashes)},
            )
            for method, (label, colour, dashes) in methods.items()
        ]
        _legend(figure, entries + [(reference["label"], POINTS) for reference in references])
        save(figure, path)


def _draw_curves(
    panel: Axes,
    curves: pd.DataFrame,
    methods: Mapping[tuple[str, ...], tuple[str, str, Dashes]],
    references: Sequence[Mapping[str, Any]],
) -> None:
    for method, line in curves.groupby(METHOD, sort=False):
        _mean_curve(panel, line, *methods[method][1:])
    for reference in references:
        panel.plot(reference["radii"], reference["certified_accuracy"], clip_on=False, **POINTS)


def _mark(panel: Axes, place: float, text: str) -> None:
    panel.axvline(place, color="black", linewidth=0.8)
    panel.annotate(text, (place, 1.03), ha="center", fontsize=8, annotation_clip=False)


def sigma_distribution(
    sigmas: pd.DataFrame, attacks: Sequence[str], noises: Sequence[str], path: str | Path
) -> None:
    """Draw the noise that was optimised: one column per attack, one row per start.

    Parameters
    ----------
    sigmas : DataFrame
        The columns of `schemas.SIGMA`, with attack and noise.
    """
    with mpl.rc_context(STYLE):
        figure, axes = panels(len(noises), len(attacks), height=2.2)
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
        save(figure, path)


def attack_success(summary: pd.DataFrame, path: str | Path, looks: Looks) -> None:
    """Draw attack success of the undefended network beside each defence: one column per attack."""
    summary = summary[summary["attack_norm"] > 0]
    attacks = _order(summary["attack"])
    methods = methods_of(summary, looks)
    with mpl.rc_context(STYLE):
        figure, axes = panels(1, len(attacks), height=0.8 + 0.28 * (1 + len(methods)))
        for panel, attack in zip(axes[0], attacks, strict=True):
            part = summary[summary["attack"] == attack]
            shares = part.groupby(METHOD, sort=False)["attack_success"].mean()
            names = [methods[method][0] for method in shares.index]
            colours = [methods[method][1] for method in shares.index]
            widths, undefended = [*shares], part["undefended_attack_success"].iloc[0]
            if not np.isnan(undefended):
                names, colours = ["undefended", *names], [UNDEFENDED, *colours]
                widths = [undefended, *widths]
            bars = panel.barh(names, widths, color=colours, height=0.7)
            panel.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
            panel.set(xlim=(0, 1.12), title=attack, xticks=np.linspace(0, 1, 6))
            panel.grid(visible=False, axis="y")
            panel.invert_yaxis()
        figure.supxlabel(
            "attack success: share of triggered non-target test inputs predicted as the target",
            fontsize=9,
        )
        save(figure, path)


def reach(table: pd.DataFrame, path: str | Path) -> None:
    """Draw reach against the number of models, one panel per domain size, one line per beta."""
    sizes, betas = _order(table["values"]), _order(table["beta"])
    shades = mpl.colormaps["viridis"](np.linspace(0, 0.9, len(betas)))
    with mpl.rc_context(STYLE):
        figure, axes = panels(1, len(sizes), height=3.0)
        for panel, size in zip(axes[0], sizes, strict=True):
            part = table[table["values"] == size].pivot_table(
                index="n_models", columns="beta", values="reach"
            )
            for beta, shade in zip(betas, shades, strict=True):
                panel.plot(part.index, part[beta], color=shade, marker="o", markersize=3.5)
            panel.set(xscale="log", title=f"{size} values a coordinate")
            panel.set_yscale("symlog", linthresh=2)
            images = {3: 1, 5: 2, 9: 4, 19: 9, 39: 19, 99: 49}  # r images: 2 r + 1 coordinates
            ticks = {0: "0", 1: "1"} | {flips: f"{flips} ({r})" for flips, r in images.items()}
            panel.set_yticks(list(ticks), list(ticks.values()))
            panel.set_ylim(-1, 110)
            panel.minorticks_off()
        axes[0][0].set_ylabel("changed coordinates covered\n(images, one-pixel dirty-label)")
        figure.supxlabel("number N of models, all of one vote", fontsize=9)
        shown = zip(betas, shades, strict=True)
        _legend(figure, [(f"β = {beta}", {"color": shade}) for beta, shade in shown])
        save(figure, path)


def panels(n_rows: int, n_columns: int, height: float = 2.6) -> tuple[Figure, np.ndarray]:
    """Return a figure and its panels (rows, columns), which share their axes."""
    figure = Figure(figsize=(max(6.2, 3.1 * n_columns), height * n_rows + 1.0))
    axes = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True)
    return figure, axes


def _mean_curve(panel: Axes, line: pd.DataFrame, colour: str, dashes: Dashes) -> None:
    """Draw the mean over seeds.

    On a fine grid as steps: between radii, the value at the next larger one. The paper's grid is
    coarse: there, its points are marked and joined. A band spans the least and most of the seeds.
    """
    seeds = line.groupby("radius")["certified_accuracy"]
    mean = seeds.mean()
    if line["seed"].nunique() > 1:
        panel.fill_between(mean.index, seeds.min(), seeds.max(), color=colour, alpha=0.2, lw=0)
    coarse = len(mean) < 20
    shape = {"marker": "o", "markersize": 3.5} if coarse else {"drawstyle": "steps-pre"}
    panel.plot(mean.index, mean, color=colour, linestyle=(0, dashes), linewidth=1.6, **shape)


def _legend(figure: Figure, entries: Sequence[tuple[str, dict[str, Any]]]) -> None:
    handles = [Line2D([], [], linewidth=1.6, label=label, **look) for label, look in entries]
    inches = 0.6 + 0.075 * max(len(label) for label, _ in entries)
    columns = max(1, min(3, int(figure.get_figwidth() / inches)))
    figure.set_figheight(figure.get_figheight() + 0.2 * (math.ceil(len(entries) / columns) - 1))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns)


def _order(names: pd.Series) -> list[str]:
    return list(dict.fromkeys(names))
