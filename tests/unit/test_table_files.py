"""Tables as people have them: what is plain is read, what is not is refused with the way out."""

import gzip
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from certbd import datasets, selection, tables
from certbd.io import DataError

TABLE = {"kind": "table", "label_column": "label", "header": True}
VALUES = np.round(np.linspace(0, 1, 24), 3)


def lines(labels, header="x,label", mark=","):
    rows = [f"{value}{mark}{labels[k % len(labels)]}" for k, value in enumerate(VALUES)]
    return "\n".join([header, *rows]) + "\n"


def load(path, **settings):
    return datasets.load(TABLE | settings, path)


def names_of(path, **settings):
    data = load(path, **settings)
    assert len(data.train_labels) + len(data.test_labels) == len(VALUES)
    assert data.train_inputs.shape[1:] == (1,)
    return data.class_names.tolist()


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (["01", "1"], ["01", "1"]),
        (["1e5", "x100000"], ["1e5", "x100000"]),
        (["NA", "ham"], ["NA", "ham"]),
        (["None", "nan", "null"], ["None", "nan", "null"]),
        (["10", "9"], ["9", "10"]),
        (["1.0", "0.00"], ["0", "1"]),
        (["True", "False"], ["False", "True"]),
        (["cat", "cat ", "dog"], ["cat", "dog"]),
        ([" <=50K", " >50K"], ["<=50K", ">50K"]),
        (['"a,b"', '"c"'], ["a,b", "c"]),
    ],
)
def test_labels_are_text_as_it_stands_in_the_file(tmp_path, labels, found):
    path = tmp_path / "t.csv"
    path.write_text(lines(labels))
    assert names_of(path) == found
    assert sorted(names_of(path, classes=found[::-1])) == sorted(found)


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (["1e5", "100000"], "label '1e5'; allowed: a whole number"),
        (["1", "NA"], "label 'NA'; allowed: a whole number"),
        (["1", "1.0"], "label '1.0'; allowed: a whole number"),
        (["0.5", "1"], "label '0.5'; allowed: a whole number"),
        (["a", ""], "label ''; allowed: a whole number or text"),
    ],
)
def test_labels_that_mix_are_refused_as_they_stand(tmp_path, labels, named):
    path = tmp_path / "t.csv"
    path.write_text(lines(labels))
    with pytest.raises(DataError, match=named):
        load(path)


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (pd.Series([Decimal(1), Decimal(0)] * 12), ["0", "1"]),
        (pd.Series(["b", "a "] * 12, dtype="category"), ["a", "b"]),
        (pd.Series([True, False] * 12), ["False", "True"]),
        (pd.Series([2.0, 1.0] * 12), ["1", "2"]),
        (pd.Series(["01", "1"] * 12), ["01", "1"]),
        (pd.Series([10, 9] * 12, dtype="uint8"), ["9", "10"]),
    ],
)
def test_labels_of_a_parquet_file(tmp_path, labels, found):
    pd.DataFrame({"x": VALUES, "label": labels}).to_parquet(tmp_path / "t.parquet")
    assert names_of(tmp_path / "t.parquet") == found


def test_fractions_in_a_parquet_file_are_no_labels(tmp_path):
    for value in (Decimal("0.5"), 0.5, b"bytes"):
        frame = pd.DataFrame({"x": VALUES, "label": [value, value] * 12})
        frame.to_parquet(tmp_path / "t.parquet")
        with pytest.raises(DataError, match=r"row 0: label .*allowed: a whole number"):
            load(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("t.CSV", ","), ("t.tsv", "\t"), ("t.Tsv.GZ", "\t"), ("t.csv.gz", ","), ("t.data", ","),
        ("T.Data.gz", ","),
    ],
)  # fmt: skip
def test_tabs_gzip_and_capitals_are_read(tmp_path, name, mark):
    text = lines(["a", "b"], f"x{mark}label", mark).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.lower().endswith("gz") else text)
    assert names_of(tmp_path / name) == ["a", "b"]
    (tmp_path / "both").mkdir()
    for side in ("train", "TEST"):
        (tmp_path / "both" / f"{side}{name[1:]}").write_bytes((tmp_path / name).read_bytes())
    assert len(load(tmp_path / "both").test_labels) == len(VALUES)


def test_a_byte_order_mark_and_blanks_around_names_are_no_part_of_them(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbf" + lines(["a", "b"], '"x" , "label"').encode())
    assert names_of(path) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (lines(["a", "b"], "x;label", ";").replace(".", ","),
         "separated by semicolons; allowed: commas, with decimal points"),
        (lines(["a", "b"], "x\tlabel", "\t"), "separated by tabs; allowed: commas .*ends in .tsv"),
        ("sep=,\n" + lines(["a", "b"]), "its first line is 'sep=,'; remove it"),
        ("# made by us\n" + lines(["a", "b"]), "its first line starts with #; remove"),
        (lines(["a", "b"], "x,label,label", ",0,"), r"2 columns called 'label', \[1, 2\]; allowed"),
        (lines(["a", "b"], ",label"), "column 0 has no name; is it the index that pandas writes"),
        (lines(["a", "b"], "Unnamed: 0,label"), "column 'Unnamed: 0' is an index of pandas"),
        (lines(["a", "b"], "x,x ,label", ",0,"), "2 columns called 'x'"),
        (lines(["a", "b"]).replace("0.043", '"0,043"'), "0,043; allowed: .*written with a point"),
        (lines(["a", "b"]) + "# the end\n", "row 24: # the end|row 24: label ''"),
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_refused_with_the_way_out(tmp_path, text, named):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=f"t.csv: .*{named}"):
        load(tmp_path / "t.csv")


def test_the_index_of_a_data_frame_is_no_feature(tmp_path, caplog):
    frame = pd.DataFrame({"x": VALUES, "label": ["a", "b"] * 12})
    for index in (VALUES[::-1], pd.Index(list("abcdefghijklmnopqrstuvwx"), name="letter"), None):
        given = frame if index is None else frame.set_index(index)
        given.to_parquet(tmp_path / "t.parquet")
        with caplog.at_level("INFO", logger="certbd"):
            assert names_of(tmp_path / "t.parquet") == ["a", "b"]
        assert ("the index of the data frame is not read" in caplog.text) == (index is not None)
        caplog.clear()
    indexed = frame.set_index("label")
    indexed.to_parquet(tmp_path / "t.parquet")  # the owner names it, so it is read
    assert names_of(tmp_path / "t.parquet") == ["a", "b"]
    frame.reset_index().rename(columns={"index": "__index_level_0__"}).to_parquet(
        tmp_path / "t.parquet", index=False
    )
    with pytest.raises(DataError, match="column '__index_level_0__' is an index of pandas"):
        load(tmp_path / "t.parquet")


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
    assert said.startswith(f"{training} training and {test} test inputs, 1 features; 2 classes: ")
    assert "'ham' (label 0: " in said
    (tmp_path / "t.csv").write_text(lines(["ham", "spam"]) + "1,rare\n")
    assert "no test input of class 'rare'" in datasets.describe(load(tmp_path / "t.csv"))
    images = datasets.load({"kind": "digits", "classes": list(range(10))})
    assert "images of 8 x 8 pixels, grey; 10 classes: '0' (label 0: " in datasets.describe(images)


def test_tables_are_told_by_their_names(tmp_path):
    told = {name: tables.is_table(tmp_path / name) for name in ("a.Csv", "a.b.GZ", "a.txt", "a.gz")}
    assert told == {"a.Csv": True, "a.b.GZ": False, "a.txt": False, "a.gz": False}
