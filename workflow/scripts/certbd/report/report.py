"""One page that opens offline: what is covered, curves, noise, inputs, provenance.

Templates say how it looks (``workflow/report/page``); this module says what it holds. The page has
no time or host in it: equal results give equal bytes.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from certbd.audit import outcomes
from certbd.config.axes import OWN
from certbd.report import asked, charts
from certbd.report.explorer import Page, rounded_down
from certbd.report.looks import COUNTED, METHOD, RADIUS_LABELS, Dashes, Looks, methods_of
from certbd.theory.bounds import clopper_pearson_upper

COARSE = 20
"""Grids with fewer radii are drawn as joined points."""
TOLD = ("seed", "n_models", "alpha", "multiplicity", "given_threat")
SHARES = (
    "undefended_accuracy", "undefended_attack_success", "clean_accuracy", "attack_success",
    "certified_at_attack", "clean_certified_at_attack", "clean_certified_at_attack_worst_class",
)  # fmt: skip
TEMPLATES = Path(__file__).parents[3] / "report" / "page"
SIDES = {
    "claim": "attack taken away",
    "test": "test input",
    "train": "training set",
    "both": "both",
    "order": "test input, before its twin",
}
AUDIT = (
    "dataset", "attack", "defense", "noise", "certificate", "side", "scale", "trials",
    "violations", "violation_rate_upper", "without_votes",
)  # fmt: skip


def experiments(
    rows: Sequence[Mapping[str, Any]], summary: pd.DataFrame, looks: Looks
) -> list[Page]:
    """Describe each experiment: its axes, how it is named and drawn, its row of the summary.

    Parameters
    ----------
    rows : sequence of mapping
        Axes of the experiments, with target; in the order of `summary`.
    summary : DataFrame
        The columns `metrics.SUMMARY`.
    """
    described = []
    axes = pd.DataFrame(list(rows))
    for dataset, part in summary.groupby("dataset", sort=False):
        methods = methods_of(part, looks)
        several = [name for name in TOLD if axes.loc[part.index, name].nunique() > 1]
        for index, row in part.iterrows():
            label, colour, dashes = methods[tuple(row[METHOD])]
            words = [
                f"{name.removeprefix('given_')} {axes.at[index, name]}"
                for name in several
                if axes.at[index, name] != OWN
            ]
            told = ", ".join([label, *words])
            described.append(
                dict(rows[int(index)])
                | {"id": int(index), "dataset": str(dataset), "method": label, "label": told}
                | {"colour": colour, "dash": _dash(dashes)}
                | {"frozen": row["defense"] in looks.frozen}
                | _headline(row)
            )
    return sorted(described, key=lambda experiment: experiment["id"])


def _dash(dashes: Dashes) -> list[float]:
    """Return the dashes of a line on the page, two pixels wide."""
    return [2 * length for length in dashes] or [1, 0]


def _headline(row: pd.Series) -> Page:
    """Return shares in percent and the largest radius, rounded down, and the norm as it is.

    None where there is none.
    """
    shares = {name: _percentage(row[name]) for name in SHARES}
    return shares | {
        "largest_trigger_radius": _given(row["largest_trigger_radius"], 3),
        "norm": None if pd.isna(row["attack_norm"]) else float(row["attack_norm"]),
        "threat": None if pd.isna(row["threat"]) else asked.of_row(row).describe(),
        "rows_alone": row["threat_trigger"] == "none",
        "median_rows": None if pd.isna(row["median_rows"]) else int(row["median_rows"]),
        "poisoned": None if pd.isna(row["n_poisoned"]) else int(row["n_poisoned"]),
        "simulated": bool(pd.notna(row["attack_norm"])),
        "covers_labels": bool(row["covers_labels"]),
        "n_test": int(row["n_test"]),
    }


def _percentage(share: float) -> float | None:
    return None if pd.isna(share) else round(100 * rounded_down(share, 3), 1)


def _given(value: float, digits: int) -> float | None:
    return None if pd.isna(value) else rounded_down(value, digits)


def lines(curves: pd.DataFrame, summary: pd.DataFrame, looks: Looks) -> list[Page]:
    """Return certified-accuracy curves, each with what its panel is called and marked with.

    There is one per dataset, attack, threat that was given, certificate, split and method.
    The accuracy is the mean over seeds, with their least and most, rounded down. A line ends where
    nothing is certified any more.
    """
    drawn = []
    for dataset, part in curves.groupby("dataset", sort=False):
        methods, here = methods_of(part, looks), summary[summary["dataset"] == dataset]
        axes = ["dataset", "attack", "certificate", "split", "threat", *METHOD]
        for key, line in part.groupby(axes, sort=False, dropna=False):
            label, colour, dashes = methods[key[5:]]
            world, certificate = (key[1], key[4]), key[2]
            marks = asked.marks(here, *world, certificate)
            seeds = line.groupby("radius")["certified_accuracy"]
            table = np.floor(seeds.agg(["mean", "min", "max"]) * 1e5 + 1e-6) / 1e5
            table = table[table["max"].shift(fill_value=1) > 0]
            drawn.append(
                dict(zip(axes[:4], key[:4], strict=True))
                | {"method": label, "colour": colour, "dash": _dash(dashes)}
                | {"seeds": int(line["seed"].nunique()), "radius": table.index.tolist()}
                | {"accuracy": table["mean"].tolist()}
                | {"least": table["min"].tolist(), "most": table["max"].tolist()}
                | {"coarse": len(seeds) < COARSE or certificate in COUNTED}
                | {"panel": asked.title(here, *world)}
                | {"marks": [{"norm": at, "text": text} for at, text in marks.items()]}
            )
    return drawn


def audits(table: pd.DataFrame | None) -> list[Page]:
    """Return the rows of ``audit.csv``; none without an audit."""
    if table is None:
        return []
    shown = table[list(AUDIT)].astype(object).where(table[list(AUDIT)].notna(), None)
    return [
        {str(name): _plain(value) for name, value in row.items()}
        for row in shown.to_dict("records")
    ]


def tries(audit: pd.DataFrame | None) -> Page:
    """Sum an audit up over attacks and noises: a row per dataset, defence, certificate, side.

    Returns
    -------
    mapping
        ``scales``, those outside the certified set, and ``rows``: trials and violations inside,
        the upper bound on their rate (confidence 0.999, as in ``audit.csv``), trials without votes,
        and the shares broken at each scale outside (None where nothing was tried); and ``untried``,
        the names of experiments of which nothing was.
    """
    if audit is None:
        return {"scales": [], "rows": [], "untried": []}
    untried = outcomes.untried(audit)
    audit = audit[audit["side"] != outcomes.NOT_TRIED["side"]]
    scales = sorted(audit.loc[audit["scale"] > 1, "scale"].unique().tolist())
    rows = []
    for axes, part in audit.groupby(["dataset", "defense", "certificate", "side"], sort=False):
        inside = part[~(part["scale"] > 1)]
        trials, violations = int(inside["trials"].sum()), int(inside["violations"].sum())
        sums = part.groupby("scale")[["trials", "violations"]].sum()
        shares = (sums["violations"] / sums["trials"]).dropna()
        rows.append(
            dict(zip(("dataset", "defense", "certificate", "side"), axes, strict=True))
            | {"trials": trials, "violations": violations}
            | {"without_votes": int(part["without_votes"].sum())}
            | {"rate": float(clopper_pearson_upper(violations, trials, 0.001)) if trials else None}
            | {"outside": [float(shares[s]) if s in shares.index else None for s in scales]}
        )
    return {"scales": scales, "rows": rows, "untried": untried}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def render(page: Page) -> str:
    """Return the page as HTML, with its data, style, behaviour and the plotting library inside.

    Parameters
    ----------
    page : mapping
        ``experiments`` (each with ``certificates`` and ``origin``), ``lines``, ``datasets``,
        ``audit`` and ``tries``.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = _percent
    specs = {
        "accuracy": charts.certified_accuracy(),
        "sigma": charts.sigma_distribution(),
        "map": charts.sigma_map(),
    }
    return environment.get_template("report.html.j2").render(
        page=page,
        sides=SIDES,
        data=page | {"specs": specs, "radius_labels": RADIUS_LABELS},
        style=_inline(TEMPLATES / "report.css"),
        behaviour=_inline(TEMPLATES / "report.js"),
        library=_library(),
        versions={
            "Vega": vl_convert.get_vega_version(),
            "Vega-Embed": vl_convert.get_vega_embed_version(),
        },
    )


@cache
def _library() -> Markup:
    return _script(vl_convert.javascript_bundle())  # type: ignore[call-arg] # it has a default


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} %"


def _inline(path: Path) -> Markup:
    return _script(path.read_text())


def _script(text: str) -> Markup:
    """Mark code of ours or of the library as such; it must not end its own element."""
    return Markup(text.replace("</script", "<\\/script").replace("</style", "<\\/style"))  # noqa: S704
