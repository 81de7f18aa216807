"""The figure of a noise search."""

import math
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

from certbd.report.looks import STYLE, save
from certbd.report.plots import panels


def noise_search(grid: pd.DataFrame, title: str, parameter: str, path: str | Path) -> None:
    """Draw certified accuracy over pairs of parameters: all classes, and the worst class.

    Parameters
    ----------
    grid : DataFrame
        The columns of `schemas.SEARCH`. The best pair is framed, if there is one; a pair under
        which some class is never predicted is marked by a cross.
    parameter : str
        What is searched on the training side, for the axis.
    """
    has_levels = grid["sigma_test"].notna().all()
    grid = grid.assign(sigma_test=grid["sigma_test"].fillna(0))
    pairs = grid.set_index(["value", "sigma_test"])
    suggested = "the best pair is framed" if grid["best"].any() else "no pair to suggest"
    shares = {"certified": "all classes", "worst_class": "worst class"}
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        figure, axes = panels(1, 2, height=3.2)
        for panel, (column, name) in zip(axes[0], shares.items(), strict=True):
            table = grid.pivot_table(column, "value", "sigma_test")
            image = panel.imshow(
                table, cmap="cividis", vmin=0, vmax=1, origin="lower", aspect="auto"
            )
            for (row, at), share in np.ndenumerate(table.to_numpy()):
                if np.isnan(share):
                    continue
                pair = pairs.loc[(table.index[row], table.columns[at])]
                look = {"weight": "bold", "bbox": {"fill": False, "pad": 2}} if pair["best"] else {}
                text = f"{math.floor(1000 * share) / 10:.1f}" + " ×" * bool(pair["unpredicted"])
                panel.text(
                    at, row, text, ha="center", va="center",
                    fontsize=8, color="black" if share > 0.5 else "white", **look,
                )  # fmt: skip
            panel.set(title=name, xlabel="test noise σ_test" if has_levels else "")
            levels = [f"{level:g}" if has_levels else "" for level in table.columns]
            panel.set_xticks(range(table.shape[1]), levels)
            panel.set_yticks(range(table.shape[0]), [f"{level:g}" for level in table.index])
        axes[0][0].set_ylabel(parameter)
        figure.colorbar(image, ax=list(axes[0]), label="certified (share; % in cells)")
        never = "; ×: a class is never predicted" if grid["unpredicted"].any() else ""
        figure.suptitle(f"{title}\n{suggested}{never}", fontsize=9)
        save(figure, path)
