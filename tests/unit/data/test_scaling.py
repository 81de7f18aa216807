"""Tables as they are: logarithms, clipping, centres; columns left out; new rows without labels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from certbd.artifacts.io import DataError
from certbd.data import datasets, new_inputs

BASE = {"kind": "table", "path": ".", "label_column": "y", "classes": ["n", "p"]}


def write(folder, **columns):
    rows = len(next(iter(columns.values())))
    table = pd.DataFrame(columns).assign(y=["n", "p"] * (rows // 2))
    table.to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def values_of(entry, path):
    """Return all rows of a table in their order."""
    data, sources = datasets.load_with_sources(BASE | entry, path)
    inputs = np.concatenate([data.train_inputs, data.test_inputs])
    return inputs[np.argsort(sources["source"].astype(int).to_numpy(), kind="stable")]


VALUES = {"a": np.linspace(-5, 200, 40), "b": np.arange(40) / 40, "c": np.arange(40.0)}


def test_ranges_have_a_rest_and_clip_goes_to_the_nearer_end(tmp_path):
    path = write(tmp_path, **VALUES)
    found = values_of({"ranges": {"b": [0, 1], "*": [0, 100]}, "clip": ["a"]}, path)
    expected = np.c_[VALUES["a"].clip(0, 100) / 100, VALUES["b"], VALUES["c"] / 100]
    assert np.allclose(found, expected, atol=1e-7)
    with pytest.raises(DataError, match=r"column a, row 0: -5.0; allowed: a number from 0 to 100"):
        values_of({"ranges": {"b": [0, 1], "*": [0, 100]}}, path)


def test_logarithms_come_first_and_ranges_are_of_the_values_as_they_are(tmp_path):
    path = write(tmp_path, **VALUES)
    entry = {"ranges": {"a": [-5, 200], "*": [0, 99]}, "log": ["c"]}
    found = values_of(entry, path)
    assert np.allclose(found[:, 2], np.log1p(VALUES["c"]) / np.log(100), atol=1e-7)
    assert np.allclose(found[:, 0], (VALUES["a"] + 5) / 205, atol=1e-7)
    with pytest.raises(DataError, match=r"column a, row 0: -5.0; allowed with log: a number above"):
        values_of({"center": {"a": 0, "b": 0, "c": 0}, "log": True}, path)


def test_a_centre_and_a_scale_leave_no_range(tmp_path):
    path = write(tmp_path, **VALUES)
    entry = {"center": {"a": 10}, "scale": {"a": 5, "c": 2}, "log": ["c"]}
    found = values_of(entry, path)
    assert np.allclose(found[:, 0], (VALUES["a"] - 10) / 5, rtol=1e-6)
    assert np.allclose(found[:, 2], np.log1p(VALUES["c"]) / 2, rtol=1e-6)


def test_columns_are_left_out_or_chosen_by_name(tmp_path):
    path = write(tmp_path, **VALUES | {"text": ["x"] * 40})
    ranges = {"ranges": {"*": [-5, 200]}}
    assert values_of(ranges | {"ignore": ["text", "a"]}, path).shape == (40, 2)
    chosen = values_of(ranges | {"columns": ["c", "b"]}, path)
    assert np.allclose(chosen[:, 0], (VALUES["c"] + 5) / 205, atol=1e-7)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"ignore": ["d"]}, "no column 'd' (the key ignore)"),
        ({"columns": ["a", "d"]}, "no column 'd' (the key columns)"),
        ({"log": ["d"]}, "no column 'd' (the key log)"),
        ({"center": {"d": 1}}, "no column 'd' (the key center)"),
        ({"ranges": {"d": [0, 1]}}, "no column 'd' (the key ranges)"),
    ],
)
def test_a_column_that_is_not_there_is_named(entry, told, tmp_path):
    path = write(tmp_path, b=VALUES["b"], a=VALUES["b"])
    with pytest.raises(DataError) as refused:
        values_of(entry, path)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"ignore": ["a"], "columns": ["b"]}, "ignore and columns; allowed: one of them"),
        ({"columns": ["a", "y"]}, "columns: 'y' is label_column or id_column"),
        ({"ranges": {"a": [-1, 4]}, "log": True}, "[-1, 4]; allowed with log: low above -1"),
        ({"scale": {"a": 0}}, "scale.a: 0; allowed: above 0"),
        ({"ignore": [3]}, "ignore: 3; allowed with header true: the column's name"),
    ],
)
def test_constants_that_cannot_be_are_refused(entry, told):
    found = list(datasets.read(BASE | entry).contradictions("datasets.t"))
    assert any(told in message for message in found), found


@pytest.mark.parametrize("with_label", [True, False])
@pytest.mark.parametrize("header", [True, False])
def test_new_rows_are_read_as_the_tables_own(header, with_label, tmp_path):
    """Without a header the numbers of columns behind the label move down where it is left out."""
    table = pd.DataFrame({"b": VALUES["b"], "y": ["n", "p"] * 20, "c": VALUES["c"]})
    table.to_csv(tmp_path / "t.csv", index=False, header=header)
    new = table.iloc[[5, 2]] if with_label else table.iloc[[5, 2]].drop(columns="y")
    new.to_csv(tmp_path / "new.csv", index=False, header=header)
    entry = BASE | {"header": header, "label_column": "y" if header else 1}
    entry |= {"ranges": {"c" if header else "2": [0, 99]}, "log": ["c"] if header else [2]}
    every = values_of(entry, tmp_path / "t.csv")
    _, files = new_inputs.new_part(entry, tmp_path / "t.csv", tmp_path / "new.csv")
    found = datasets.checksum(files, tmp_path / "new.csv")
    inputs, sources, remark = new_inputs.load_new(
        entry | {"new": found}, tmp_path / "t.csv", tmp_path / "new.csv"
    )
    assert np.array_equal(inputs.inputs, every[[5, 2]])
    assert sources["source"].tolist() == ["0", "1"]
    assert ("columns that are not read" in remark) == with_label
    assert (remark == "read without the label: column 1 here is 2 there") == (
        not with_label and not header
    )


def test_new_arrays_and_images_must_be_of_the_form_of_the_others(tmp_path):
    from PIL import Image

    inputs = np.random.default_rng(0).random((40, 3))
    np.savez(tmp_path / "t.npz", inputs=inputs, labels=np.arange(40) % 2)
    np.savez(tmp_path / "n.npz", inputs=inputs[:4], labels=np.zeros(4))
    np.savez(tmp_path / "wide.npz", inputs=np.zeros((2, 4)))
    entry = {"kind": "npz", "path": "."}
    part, _ = new_inputs.new_part(entry, tmp_path / "t.npz", tmp_path / "n.npz")
    assert part.remark == "arrays labels are ignored"
    with pytest.raises(DataError, match=r"allowed: inputs of shape \(n, 3\)"):
        new_inputs.new_part(entry, tmp_path / "t.npz", tmp_path / "wide.npz")
    for place in ("p/a", "p/b", "n/deeper", "empty"):
        (tmp_path / place).mkdir(parents=True)
    for place in ("p/a/1", "p/a/2", "p/b/3", "p/b/4", "n/5", "n/deeper/6"):
        Image.new("L", (3, 3)).save(tmp_path / f"{place}.png")
    entry = {"kind": "image_folder", "path": "."}
    part, files = new_inputs.new_part(entry, tmp_path / "p", tmp_path / "n")
    assert [Path(file).name for file in files] == ["5.png", "6.png"]
    assert "names of folders are ignored" in part.remark
    with pytest.raises(DataError, match="no images in it"):
        new_inputs.new_part(entry, tmp_path / "p", tmp_path / "empty")
    with pytest.raises(DataError, match="digits: takes no new inputs"):
        new_inputs.new_part({"kind": "digits"}, tmp_path, tmp_path)
