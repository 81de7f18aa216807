"""What the page holds: images, columns, curves; that text cannot become code."""

import base64
import io as streams
import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import beta

import show_summary
from certbd.audit import outcomes
from certbd.report import explorer, metrics, report
from certbd.report.looks import Looks

COLOUR = dict.fromkeys(("majority", "hoeffding", "kl", "clopper_pearson", "runner_up"), "#0072b2")
LOOKS = Looks(dict.fromkeys(("rab", "bagging"), COLOUR), [])


def pixels_of(sheet):
    data = base64.b64decode(sheet["src"].removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(streams.BytesIO(data)))


@pytest.mark.parametrize("shape", [(7, 1, 3, 2), (5, 3, 2, 4), (6, 9), (1, 2, 2, 2)])
def test_each_tile_of_a_sheet_is_its_input(shape):
    inputs = np.random.default_rng(0).uniform(-0.2, 1.2, shape).astype(np.float32)
    sheet = explorer.sheet(inputs)
    pixels, width, height = pixels_of(sheet), sheet["width"], sheet["height"]
    for place, given in enumerate(inputs):
        row, column = divmod(place, sheet["columns"])
        tile = pixels[row * height : (row + 1) * height, column * width : (column + 1) * width]
        shown = given[None] if given.ndim == 1 else given
        shown = shown.transpose(1, 2, 0) if given.ndim == 3 and len(given) == 3 else shown
        shown = shown[0] if given.ndim == 3 and len(given) != 3 else shown
        np.testing.assert_array_equal(tile, np.rint(shown.clip(0, 1) * 255))


def test_few_inputs_are_all_shown_and_many_are_thinned_evenly():
    assert explorer.shown_samples(89, 19, 64) == list(range(89))
    many = explorer.shown_samples(10_000, 100, 64)
    assert many == list(range(0, 10_000, 100))
    large = explorer.shown_samples(1000, 1, 3 * 224 * 224 * 4)
    assert 1 <= len(large) <= explorer.MOST_VALUES / (3 * 224 * 224 * 4)
    assert explorer.shown_samples(10, 1, 10**9) == [0]


def test_radii_are_rounded_down_and_empty_columns_left_out():
    table = pd.DataFrame(
        {name: [None] * 3 for name in explorer.COLUMNS}
        | {"split": "benign", "sample": [0, 1, 2], "label": 1, "prediction": [1, -1, 0]}
        | {"radius_trigger": [0.12399, 0.0, np.nan], "margin": [2.4669, -np.inf, 0.1]}
        | {"covers_attack": [True, False, True]}
    )
    (split, rows), *rest = explorer.certificates_of(table, [0, 1, 2]).items()
    assert (split, rest, rows["n"], rows["label"]) == ("benign", [], 3, 1)
    assert rows["radius_trigger"] == [0.123, 0.0, None]
    assert rows["margin"] == [2.466, None, 0.1]
    assert rows["covers_attack"] == [True, False, True]
    assert "radius_rows" not in rows
    assert explorer.certificates_of(table, [2])["benign"]["prediction"] == 0


def test_curves_are_means_over_seeds_and_end_where_nothing_is_certified():
    axes = {"dataset": "d", "attack": "a", "defense": "rab", "noise": "n", "learner": "l"}
    axes |= {"bound": "majority", "split": "benign", "certificate": "trigger"}
    shares = {0: [1.0, 0.5, 0.0, 0.0], 1: [0.5, 0.25, 0.25, 0.0]}
    curves = pd.DataFrame(
        [
            axes | {"seed": seed, "radius": radius / 10, "certified_accuracy": share}
            for seed, line in shares.items()
            for radius, share in enumerate([*line, 0.0])
        ]
    )
    (line,) = report.lines(curves.assign(threat=np.nan), summary_of(row_of()), LOOKS)
    assert line["marks"] == [{"norm": 0.5, "text": "attack's norm"}]
    assert line["panel"] == "a, 1 poisoned"
    assert line["radius"] == [0, 0.1, 0.2, 0.3]
    assert line["accuracy"] == [0.75, 0.375, 0.125, 0]
    assert (line["least"][1], line["most"][1], line["seeds"]) == (0.25, 0.5, 2)


def row_of(**changes):
    axes = {"dataset": "d", "attack": "a", "defense": "bagging", "noise": "n", "learner": "l"}
    axes |= {"seed": 0, "n_models": 10, "bound": "majority", "alpha": 0.1}
    axes |= {"threat": "a", "threat_rows": 1, "threat_how": "triggered", "threat_trigger": "l2"}
    axes |= {"threat_size": 0.5, "given_threat": "", "note": ""}
    return axes | {"multiplicity": "per_input", "target": 0} | changes


def summary_of(*rows):
    shares = dict.fromkeys(report.SHARES, 0.99999)
    values = shares | {"n_test": 4, "n_poisoned": 1, "attack_norm": 0.5, "covers_labels": True}
    return pd.DataFrame([row | values for row in rows], columns=metrics.SUMMARY)


def test_experiments_are_told_apart_by_what_differs():
    rows = [row_of(), row_of(seed=1), row_of(dataset="e")]
    first, second, third = report.experiments(rows, summary_of(*rows), LOOKS)
    assert (first["label"], second["label"]) == ("bagging, n, seed 0", "bagging, n, seed 1")
    assert third["label"] == "bagging, n"
    assert first["clean_accuracy"] == 99.9
    assert first["largest_trigger_radius"] is None


@pytest.mark.parametrize(
    ("norm", "shown", "page"),
    [
        (0.5, "0.500", 0.5),
        (0.0, "0.000", 0.0),
        (0.1234, "0.124", 0.1234),
        (0.12300001, "0.124", 0.12300001),
        (1.0000001, "1.001", 1.0000001),
        (0.0004, "0.001", 0.0004),
        (0.29, "0.290", 0.29),
    ],
)
def test_norms_are_shown_no_smaller_than_they_are_and_radii_no_larger(norm, shown, page):
    row = row_of(attack_norm=norm, largest_trigger_radius=norm)
    summary = summary_of(row).assign(attack_norm=norm, largest_trigger_radius=norm)
    (experiment,) = report.experiments([row], summary, LOOKS)
    assert experiment["norm"] == page
    *_, heading, row = show_summary.show(summary).splitlines()
    assert page is None or f"norm {shown} on 1 rows" in heading
    if page is not None:
        assert experiment["largest_trigger_radius"] <= norm
        radius = float(row.split()[-1])
        assert radius <= norm <= radius + 0.001


@pytest.mark.parametrize("value", [0.3, 0.29, 0.1239999999999999, 0.9999999999999999, 1e-9, 0.57])
def test_numbers_are_never_rounded_up_and_those_of_few_digits_stay(value):
    rounded = explorer.rounded_down(value, 3)
    assert rounded <= value < rounded + 0.001
    assert rounded == value or value not in (0.3, 0.29, 0.57)


def test_curves_of_the_page_are_rounded_down():
    axes = {"dataset": "d", "attack": "a", "defense": "rab", "noise": "n", "learner": "l"}
    axes |= {"bound": "majority", "split": "benign", "certificate": "trigger", "seed": 0}
    shares = [1.0, 0.29, 2999999 / 3000000, 0.0]
    curves = pd.DataFrame(
        [axes | {"radius": r, "certified_accuracy": s} for r, s in enumerate(shares)]
    )
    (line,) = report.lines(curves.assign(threat=np.nan), summary_of(row_of()), LOOKS)
    assert line["accuracy"] == [1.0, 0.29, 0.99999, 0.0]


def test_text_from_data_cannot_become_code():
    (experiment,) = report.experiments([row_of()], summary_of(row_of()), LOOKS)
    nasty = "</script><script>alert(1)</script>"
    origin = {"code": nasty, "commit": nasty, "settings": {nasty: nasty}, "versions": {}}
    experiment |= {"certificates": {}, "origin": origin, "path": nasty}
    dataset = {"classes": [nasty], "samples": [], "n_inputs": 0, "sheets": {}}
    page = {"experiments": [experiment], "lines": [], "datasets": {"d": dataset}, "audit": []}
    page["tries"] = report.tries(None)
    html = report.render(page)
    assert html == report.render(page)
    assert "<script>alert" not in html
    assert html.count("</script>") == 3
    held = re.search(r'id="data">(.*?)</script>', html, re.DOTALL)
    assert json.loads(held[1])["datasets"]["d"]["classes"] == [nasty]


def test_audits_become_plain_rows():
    table = pd.DataFrame([dict.fromkeys(report.AUDIT, "x") | {"scale": np.nan, "trials": 7}])
    (row,) = report.audits(table)
    assert (row["scale"], row["trials"]) == (None, 7)
    assert report.audits(None) == []


def test_tries_are_summed_over_attacks_and_noises():
    axes = {"dataset": "d", "attack": "a", "defense": "rab", "noise": "n"}
    axes |= {"certificate": "joint", "side": "test", "without_votes": 0}
    counts = [(0.5, 30, 0), (0.99, 30, 1), (2.0, 30, 15), (2.0, 10, 5), (4.0, 8, 8)]
    table = [axes | dict(zip(("scale", "trials", "violations"), c, strict=True)) for c in counts]
    claim = axes | {"side": "claim", "scale": 1.0, "trials": 9, "violations": 0}
    found = report.tries(pd.DataFrame([*table, claim]))
    assert found["scales"] == [2.0, 4.0]
    tested, claimed = found["rows"]
    assert (tested["violations"], tested["trials"], tested["outside"]) == (1, 60, [0.5, 1.0])
    assert tested["rate"] == pytest.approx(beta.ppf(0.999, 2, 59))
    assert (claimed["violations"], claimed["trials"], claimed["outside"]) == (0, 9, [None, None])
    assert claimed["rate"] == pytest.approx(1 - 0.001 ** (1 / 9))


def test_what_was_not_tried_is_told_and_is_no_success():
    axes = {"dataset": "d", "attack": "a", "defense": "rab", "noise": "n", "scale": 0.5}
    none = axes | {"certificate": "joint", "side": "test", "trials": 0, "violations": 0}
    other = axes | {"noise": "m", "trials": 0, "violations": 0} | outcomes.NOT_TRIED
    audit = pd.DataFrame([none | {"without_votes": 6}, other | {"without_votes": 0}])
    found = report.tries(audit)
    (row,) = found["rows"]
    assert (row["trials"], row["without_votes"], row["rate"]) == (0, 6, None)
    assert (found["scales"], found["untried"]) == ([], ["d/a/rab/m"])
    (experiment,) = report.experiments([row_of()], summary_of(row_of()), LOOKS)
    origin = {"code": "c", "commit": "c", "settings": {}, "versions": {}}
    experiment |= {"certificates": {}, "origin": origin, "path": "p"}
    dataset = {"classes": [], "samples": [], "n_inputs": 0, "sheets": {}}
    page = {"experiments": [experiment], "lines": [], "datasets": {"d": dataset}, "tries": found}
    page["audit"] = report.audits(audit.assign(violation_rate_upper=np.nan))
    shown = report.render(page).split('<section id="audit">')[1].split("</section>")[0]
    assert "not tried (6 without votes)" in shown
    assert "0 of 0" not in shown
    assert "Not tried: d/a/rab/m." in shown
