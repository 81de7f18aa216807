"""Predictions by name: what a spreadsheet gets, and what it is spared."""

import io

import numpy as np
import pandas as pd
import pytest

from certbd.artifacts import schemas
from certbd.certify import predictions

ROWS = {"rows": 3, "how": "replaced", "trigger": "none", "size": 0.0}
TRIGGER = {"rows": 3, "how": "removed", "trigger": "patch", "size": 2}


def certificates():
    table = pd.DataFrame(
        {
            "split": ["benign", "benign", "triggered", "new"],
            "sample": [0, 1, 1, 0],
            "label": [0, 1, 1, -1],
            "prediction": [0, -1, 0, 1],
            "votes": [9, 5, 8, 10],
            "radius_rows": [4, -1, 2, 3],
            "radius_rows_removed": [6, -1, 4, 5],
            "radius_trigger": [0.1234567, 0.0, 1e-9, np.inf],
            "radius_l0": np.nan,
            "radius_paper": np.nan,
            "covers_attack": [True, False, False, True],
        }
    )
    return table.reindex(columns=[*schemas.CERTIFICATES.names]).assign(
        **{name: table[name] for name in table}
    )


SOURCES = pd.DataFrame({"source": ["a.png", "b.png"], "id": [None, None]})


def named(threat, note=""):
    return predictions.predictions(certificates(), ["kät", "=dog"], SOURCES, threat, note)


def test_classes_and_sources_are_named():
    table = named(ROWS)
    assert tuple(table) == tuple(schemas.PREDICTED.names)
    assert table["source"].tolist() == ["a.png", "b.png", "b.png", "a.png"]
    assert table["true_class"].tolist()[:3] == ["kät", "=dog", "=dog"]
    assert pd.isna(table["true_class"][3])
    assert table["predicted_class"].tolist() == ["kät", "abstained", "kät", "=dog"]


@pytest.mark.parametrize(
    ("threat", "rows", "has_radius"),
    [(ROWS, [4, -1, 2, 3], False), (TRIGGER, [6, -1, 4, 5], True), (None, [4, -1, 2, 3], True)],
)
def test_rows_are_counted_as_the_threat_says_and_radii_go_with_triggers(threat, rows, has_radius):
    table = named(threat)
    assert table["rows"].tolist() == rows
    assert table["radius"].notna().all() == has_radius
    assert table["radius_unit"].dropna().unique().tolist() == (["l2"] if has_radius else [])


def test_a_spreadsheet_gets_plain_numbers_rounded_down_and_its_byte_order_mark(tmp_path):
    predictions.write_csv(tmp_path / "p.csv", named(TRIGGER, "look"))
    content = (tmp_path / "p.csv").read_bytes()
    assert content.startswith("\ufeffsplit,".encode())
    table = pd.read_csv(io.BytesIO(content), encoding="utf-8-sig", dtype=str)
    assert table["radius"].tolist() == ["0.123456", "0.000000", "0.000000", "inf"]
    assert table["certified"].tolist() == ["yes", "no", "no", "yes"]
    assert table["rows"].tolist() == ["6", "-1", "4", "5"]
    assert (table["note"] == "look").all()


def test_a_threat_that_is_not_covered_has_no_radius_of_another_kind():
    published = certificates().assign(
        covers_attack=None, radius_trigger=np.nan, radius_paper=[0.5, 0.0, 0.1, 0.2]
    )
    table = predictions.predictions(published, ["a", "b"], SOURCES, TRIGGER)
    assert table["radius"].isna().all()
    unasked = predictions.predictions(published, ["a", "b"], SOURCES, None)
    assert unasked["radius_unit"].unique().tolist() == ["l2, as published"]


def test_what_is_not_asked_is_empty_and_said(tmp_path):
    nothing = named(None).assign(certified=None)
    predictions.write_csv(tmp_path / "p.csv", nothing)
    assert pd.read_csv(tmp_path / "p.csv", encoding="utf-8-sig")["certified"].isna().all()
    assert predictions.describe(nothing) == ("no threat asked, or none that this defence covers")
    assert predictions.describe(named(ROWS)) == "2 of 3 benign or new inputs certified"
