"""Charts of the report as Vega-Lite specifications, without data: the page fills these in.

A chart is as wide as its container. Its data and parameters are named in each function.
"""

from typing import Any

import altair as alt

from certbd.report.looks import SPLIT_COLOURS

Spec = dict[str, Any]
HEIGHT = 210


def certified_accuracy() -> Spec:
    """Return certified accuracy against radius, one line per method.

    Data ``curve`` (method, colour, dash, radius, accuracy, least, most, shown, spread) and ``norm``
    (norm, text). Parameters ``hidden``, names of methods that are not drawn, ``reach``, where the
    axis ends, and ``coarse``, whether points are joined rather than steps drawn: on a fine grid the
    value between radii is that at the next larger one.
    """
    lines = alt.Chart(alt.NamedData("curve")).transform_filter("indexof(hidden, datum.method) < 0")
    scale = alt.Scale(domainMax=alt.ExprRef("reach"))
    axis = alt.Axis(tickCount=6, grid=False)
    radius = alt.X("radius:Q", title="radius", axis=axis, scale=scale)
    titled = {"title": "certified accuracy", "scale": alt.Scale(domain=[0, 1])}
    look = {
        "color": alt.Color("colour:N", scale=None),
        "detail": alt.Detail("method:N"),
    }
    shape = alt.ExprRef("coarse ? 'linear' : 'step-before'")
    band = lines.mark_area(opacity=0.15, interpolate=shape).encode(
        x=radius, y=alt.Y("least:Q", **titled), y2="most:Q", **look
    )
    line = lines.mark_line(interpolate=shape, strokeWidth=2).encode(
        x=radius,
        y=alt.Y("accuracy:Q", **titled),
        strokeDash=alt.StrokeDash("dash:N", scale=None),
        **look,
    )
    nearest = alt.selection_point(
        name="nearest", nearest=True, on="pointerover", clear="pointerout", empty=False
    )
    points = (
        lines.mark_point(filled=True, size=60)
        .encode(
            x=radius,
            y=alt.Y("accuracy:Q", **titled),
            opacity=alt.condition(nearest, alt.value(1), alt.value(0)),
            tooltip=[
                alt.Tooltip("method:N", title="method"),
                alt.Tooltip("radius:Q", title="radius"),
                alt.Tooltip("shown:N", title="certified accuracy"),
                alt.Tooltip("spread:N", title="over seeds"),
            ],
            **look,
        )
        .add_params(nearest)
    )
    norm = (
        alt.Chart(alt.NamedData("norm"))
        .mark_rule(color="black")
        .encode(x=alt.X("norm:Q", title="radius", scale=scale))
    )
    name = norm.mark_text(align="left", baseline="top", dx=3, y=2, fontSize=10).encode(
        text="text:N"
    )
    chart = alt.layer(band, line, norm, name, points).add_params(
        alt.param(name="hidden", value=[]),
        alt.param(name="coarse", value=False),
        alt.param(name="reach", value=1),
    )
    return _finished(chart, {"curve": [], "norm": []})


def sigma_distribution() -> Spec:
    """Return the share of inputs below each noise level, one line per split.

    Data ``sigma`` (split, sigma, share) and ``start`` (start, where the search begins).
    """
    line = (
        alt.Chart(alt.NamedData("sigma"))
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(
            x=alt.X("sigma:Q", title="optimised noise σ*", axis=alt.Axis(tickCount=6, grid=False)),
            y=alt.Y("share:Q", title="share of inputs below", scale=alt.Scale(domain=[0, 1])),
            color=_split_colour(),
            tooltip=["split:N", alt.Tooltip("sigma:Q", format=".3f"), alt.Tooltip("share:Q")],
        )
    )
    start = (
        alt.Chart(alt.NamedData("start"))
        .mark_rule(color="black", strokeDash=[5, 3])
        .encode(x="start:Q", tooltip=[alt.Tooltip("start:Q", title="where the search starts")])
    )
    return _finished(alt.layer(line, start), {"sigma": [], "start": []})


def sigma_map() -> Spec:
    """Return the test inputs of a split on two principal components, coloured by their noise.

    Data ``map`` (x, y, sigma, sample, class, radius).
    """
    hidden = alt.Axis(labels=False, ticks=False, grid=False, domain=False)
    chart = (
        alt.Chart(alt.NamedData("map"))
        .mark_point(filled=True, size=45, opacity=0.85, cursor="pointer")
        .encode(
            x=alt.X("x:Q", title="first principal component", axis=hidden),
            y=alt.Y("y:Q", title="second principal component", axis=hidden),
            color=alt.Color(
                "sigma:Q",
                title="σ*",
                scale=alt.Scale(scheme="viridis", zero=False),
                legend=alt.Legend(orient="top", gradientLength=120),
            ),
            tooltip=[
                alt.Tooltip("sample:Q", title="input"),
                alt.Tooltip("class:N", title="true class"),
                alt.Tooltip("sigma:Q", title="σ*", format=".3f"),
                alt.Tooltip("radius:Q", title="paper radius"),
            ],
        )
    )
    return _finished(chart, {"map": []}, height=260)


def _split_colour() -> alt.Color:
    scale = alt.Scale(domain=list(SPLIT_COLOURS), range=list(SPLIT_COLOURS.values()))
    return alt.Color("split:N", title=None, scale=scale, legend=alt.Legend(orient="top"))


def _finished(chart: Any, datasets: dict[str, list[Any]], height: int = HEIGHT) -> Spec:
    sized = chart.properties(width="container", height=height, background="transparent")
    spec = sized.configure_view(stroke=None).configure_axis(gridColor="#e5e5e5").to_dict()
    return spec | {"datasets": datasets, "autosize": {"type": "fit-x", "contains": "padding"}}
