"""Rows with identifiers of their own, and the line that says what was read."""

import numpy as np
import pandas as pd
import pytest

from certbd.artifacts.io import DataError
from certbd.data import datasets, selection

TABLE = {"kind": "table", "label_column": "label", "header": True}
VALUES = np.round(np.linspace(0, 1, 24), 3)


def lines(labels):
    rows = [f"{value},{labels[k % len(labels)]}" for k, value in enumerate(VALUES)]
    return "\n".join(["x,label", *rows]) + "\n"


def load(path, **settings):
    return datasets.load(TABLE | settings, path)


@pytest.mark.parametrize("form", ["csv", "parquet", "npz"])
def test_rows_with_identifiers_stay_on_their_side_where_others_are_removed(tmp_path, form):
    ids = [f"row {k}" for k in range(24)]
    frame = pd.DataFrame({"x": VALUES, "who": ids, "label": ["a", "b"] * 12})

    def read(frame):
        path, settings = tmp_path / f"t.{form}", {"id_column": "who"}
        if form == "npz":
            arrays = {"inputs": frame[["x"]].to_numpy(), "labels": frame["label"].to_numpy(str)}
            np.savez(path, who=frame["who"].to_numpy(str), **arrays)
            data = datasets.load({"kind": "npz"} | settings, path)
        else:
            frame.to_csv(path, index=False) if form == "csv" else frame.to_parquet(path)
            data = load(path, **settings)
        return data.train_inputs[:, 0].tolist(), data.test_inputs[:, 0].tolist()

    training, test = read(frame)
    assert len(test) == len(selection.split_rows(ids)[1])
    fewer, left = read(frame.drop(index=[0, 7, 11]).sample(frac=1, random_state=0))
    assert set(fewer) < set(training)
    assert set(left) < set(test) or set(left) == set(test)
    frame.loc[3, "who"] = "row 9"
    with pytest.raises(DataError, match="who, row 9: 'row 9' is in row 3, too; allowed: one row"):
        read(frame)
    frame.loc[3, "who"] = " "
    with pytest.raises(DataError, match="who, row 3: no identifier; allowed: one in each row"):
        read(frame)


def test_what_was_read_is_said_in_a_line(tmp_path):
    (tmp_path / "t.csv").write_text(lines(["ham", "spam"]))
    said = datasets.describe(load(tmp_path / "t.csv"))
    training, test = (len(rows) for rows in selection.split_rows([str(k) for k in range(24)]))
    assert said.startswith(f"{training} training and {test} test inputs, 1 feature; 2 classes: ")
    assert "'ham' (label 0: " in said
    (tmp_path / "t.csv").write_text(lines(["ham", "spam"]) + "1,rare\n")
    assert "no test input of class 'rare'" in datasets.describe(load(tmp_path / "t.csv"))
    images = datasets.load({"kind": "digits", "classes": list(range(10))})
    assert "images of 8 x 8 pixels, grey; 10 classes: '0' (label 0: " in datasets.describe(images)
