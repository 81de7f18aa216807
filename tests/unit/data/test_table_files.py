"""Tables and npz files as programs write them: read as they are meant, or refused."""

import gzip
import io as streams
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from certbd.artifacts import io
from certbd.artifacts.io import DataError
from certbd.data import datasets

TABLE = {"kind": "table", "label_column": "label", "header": True}
NPZ = {"kind": "npz"}
ROWS = "\n".join(f"0.{row},0.5,{'ab'[row % 2]}" for row in range(8))
PLAIN = f"x,y,label\n{ROWS}\n"


def read(settings, path):
    """Read a dataset, and hold its outline against it; return all inputs and names of labels."""
    outline, data = datasets.outline(settings, path), datasets.load(settings, path)
    assert data.class_names.tolist() == outline.classes
    assert (
        np.bincount(data.test_labels, minlength=len(outline.classes)).tolist()
        == outline.test_counts
    )
    inputs = np.concatenate([data.train_inputs, data.test_inputs])
    labels = np.concatenate([data.train_labels, data.test_labels])
    return inputs, data.class_names[labels]


def classes(settings, path):
    return sorted(set(read(settings, path)[1].tolist()))


def refused(settings, path, named):
    with pytest.raises(DataError, match=named) as caught:  # noqa: PT012
        datasets.outline(settings, path)
        datasets.load(settings, path)
    assert str(path) in str(caught.value)


def labelled(labels):
    """A CSV file with these labels as they stand, each four times."""
    return "x,label\n" + "\n".join(f"0.5,{label}" for label in labels * 4) + "\n"


def put(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "name",
    ["t.csv", "T.CSV", "t.data", "t.tsv", "t.TSV", "t.csv.gz", "t.Csv.GZ", "t.tsv.gz", "t.PARQUET"],
)
@pytest.mark.parametrize("header", [True, False])
def test_what_a_name_says_is_read(tmp_path, name, header):
    path, settings, text = tmp_path / name, TABLE, PLAIN
    if name == "t.PARQUET":
        if not header:
            return
        pd.read_csv(streams.StringIO(PLAIN)).to_parquet(path)
    else:
        if not header:
            settings = TABLE | {"header": False, "label_column": 2}
            text = ROWS
        text = text.replace(",", "\t") if "tsv" in name.lower() else text
        put(path, gzip.compress(text.encode(), mtime=0) if "gz" in name.lower() else text)
    inputs, names = read(settings, path)
    order = np.argsort(inputs[:, 0])
    assert inputs[order, 0].tolist() == pytest.approx([row / 10 for row in range(8)])
    assert names[order].tolist() == ["a", "b"] * 4


def test_train_and_test_files_in_capitals_and_gzip(tmp_path):
    put(tmp_path / "TRAIN.CSV", PLAIN)
    put(tmp_path / "test.tsv.gz", gzip.compress(PLAIN.replace(",", "\t").encode()))
    inputs, names = read(TABLE, tmp_path)
    assert inputs.shape == (16, 2)
    assert names.tolist() == ["a", "b"] * 8
    put(tmp_path / "train.csv", PLAIN)
    refused(TABLE, tmp_path, "2 files of train.csv or .*; allowed: one")


@pytest.mark.parametrize("name", ["t.txt", "t.dat", "t.xlsx", "t.csv.zip", "t.csv.bz2", "csv"])
def test_what_a_name_does_not_say_is_refused(tmp_path, name):
    named = r"not a table by its name; allowed: .csv, .data, .*commas in .csv and by tabs in .tsv"
    refused(TABLE, put(tmp_path / name, PLAIN), named)


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("t.csv", gzip.compress(PLAIN.encode(), mtime=0), "but a gzip file"),
        ("t.csv", PLAIN.encode("utf-16"), "but text in UTF-16"),
        ("t.csv", b"PK\x03\x04\xff", "but a zip archive or a spreadsheet"),
        ("t.csv", PLAIN.replace("a\n", "é\n").encode("latin-1"), "'utf-8' codec can't decode"),
        ("t.csv.gz", PLAIN, "not a readable table: Not a gzipped file"),
        ("t.csv.gz", gzip.compress(PLAIN.encode(), mtime=0)[:-20], "not a readable table: "),
        ("t.tsv.gz", b"", "not a readable table"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, name, content, named):
    refused(TABLE, put(tmp_path / name, content), named)


def test_a_gzip_bomb_is_not_unfolded(tmp_path, monkeypatch):
    monkeypatch.setattr(io, "NEVER_A_BOMB", 2**18)
    path = put(tmp_path / "t.csv.gz", gzip.compress(b"x,label\n" + b"0,a\n" * 10**6, mtime=0))
    refused(TABLE, path, r"\d+ bytes that unfold to \d+; allowed")


def comma_decimals(separator):
    rows = [f"0,{row}{separator}0,5{separator}{'ab'[row % 2]}" for row in range(8)]
    return "\n".join([f"x{separator}y{separator}label", *rows]) + "\n"


@pytest.mark.parametrize(
    ("name", "settings", "text", "named"),
    [
        ("t.csv", {}, comma_decimals(";"), "separated by semicolons, those of a .csv file by comm"),
        ("t.csv", {}, PLAIN.replace(",", ";"), "separated by semicolons.*save it with commas"),
        ("t.csv", {}, PLAIN.replace(",", "\t"), "separated by tabs.*name it .tsv"),
        ("t.csv", {}, PLAIN.replace(",", "|"), "separated by bars"),
        ("t.csv", {}, PLAIN.replace(",", " "), "separated by blanks"),
        ("t.tsv", {}, PLAIN, "separated by commas, those of a .tsv file by tabs; name it .csv"),
        ("t.tsv", {}, PLAIN.replace(",", ";"), "separated by semicolons"),
        # two columns by commas, whose labels would be '5;a' and '5;b'
        (
            "t.csv",
            {"header": False, "label_column": 1},
            "0,5;a\n0,5;b\n" * 4,
            "separated by semicolons",
        ),
        (
            "t.csv",
            {"header": False, "label_column": 1},
            "0,5\ta\n0,5\tb\n" * 4,
            "separated by tabs",
        ),
        ("t.tsv", {}, comma_decimals("\t"), "row 0: 0,0; allowed: .*written with a point"),
        ("t.csv", {}, "x,label\n" + '"0,5",a\n"0,5",b\n' * 4, "with a point"),
        ("t.csv", {}, "sep=;\n" + PLAIN.replace(",", ";"), "first line is 'sep=;', which is no"),
        ("t.csv", {}, "sep=,\n" + PLAIN, "first line is 'sep=,', which is no row; remove it"),
        ("t.tsv", {}, '"SEP=\t"\n' + PLAIN.replace(",", "\t"), "no row; remove it"),
        ("t.csv", {}, "\n# made by x\n" + PLAIN, "'# made by x', is a comment and no row"),
        ("t.csv", {}, "# x,y and label\n" + PLAIN, "'# x,y and label', is a comment and no row"),
        ("t.csv", {}, "% made by x\n" + PLAIN, "is a comment and no row; remove it"),
        (
            "t.csv",
            {"header": False, "label_column": 2},
            "# a,b,c\n" + ROWS,
            "'# a,b,c', is a comment",
        ),
        ("t.csv", {}, PLAIN + "# the end\n", "column label, row 8: label ''"),
    ],
)
def test_other_layouts_are_refused_with_a_way_out(tmp_path, name, settings, text, named):
    refused(TABLE | settings, put(tmp_path / name, text), named)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("x,label\n" + "0.5,a;b\n0.5,c\n" * 4, ["a;b", "c"]),
        ('x,label\n0.5,"a;b"\n0.5,"c;d"\n' + '0.5,"a;b"\n0.5,"c;d"\n' * 2, ["a;b", "c;d"]),
        ("x,label\n" + '0.5, "a, b"\n0.5, c\n' * 4, ["a, b", "c"]),
        ("#x,label\n" + "0.5,a\n0.5,c\n" * 4, ["a", "c"]),
        ("\ufeffx,label\n" + "0.5,a\n0.5,c\n" * 4, ["a", "c"]),
        ("x,label\r\n" + "0.5,#a\r\n0.5,c\r\n" * 4, ["#a", "c"]),
        ("x , label\n" + "0.5 , a\n0.5 , c\n" * 4, ["a", "c"]),
        ("\n\nx,label\n" + "0.5,a\n\n0.5,c\n" * 4, ["a", "c"]),
    ],
)
def test_marks_inside_labels_separate_nothing(tmp_path, text, names):
    assert classes(TABLE, put(tmp_path / "t.csv", text)) == names


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ("x,label,label", "columns 1 and 2 are both called 'label'; allowed: one of each name"),
        ("label,x,label", "columns 0 and 2 are both called 'label'"),
        ("x,label, label", "columns 1 and 2 are both called 'label'"),
        ("x,label,label\u200b", "columns 1 and 2 are both called 'label'"),
        ("x,x,label", "columns 0 and 1 are both called 'x'"),
        ("x,label,label.1", "column 'label.1' is what pandas calls a second column 'label'"),
        (",x,label", r"column 0 has no name \(''\); the index that pandas writes is no feature"),
        ("x,label,", "column 2 has no name .*write the table with index=False"),
        (",,label", "column 0 has no name"),
        ("Unnamed: 0,x,label", "column 0 has no name .'Unnamed: 0'"),
        ("x,__index_level_0__,label", "column 1 has no name .'__index_level_0__'"),
    ],
)
def test_columns_that_are_no_features_are_refused(tmp_path, columns, named):
    place = [name.strip() for name in columns.split(",")].index("label")
    rows = []
    for row in range(8):
        values = [f"0.{row}"] * 3
        values[place] = "ab"[row % 2]
        rows.append(",".join(values))
    text = "\n".join([columns, *rows]) + "\n"
    refused(TABLE, put(tmp_path / "t.csv", text), named)
    refused(TABLE, put(tmp_path / "t.tsv", text.replace(",", "\t")), named)


def test_numbered_columns_that_are_not_the_labels_are_features(tmp_path):
    text = PLAIN.replace("x,y,label", "x,x.1,label")
    assert read(TABLE, put(tmp_path / "t.csv", text))[0].shape == (8, 2)


@pytest.fixture
def frame():
    return pd.DataFrame({"x": [0.5] * 8, "label": ["a", "b"] * 4}).sort_values("label")


@pytest.mark.parametrize("levels", [[None], ["id"], [None, "id"], ["x.y"]])
def test_an_index_that_pandas_stored_is_left_out_with_a_word(tmp_path, frame, levels, caplog):
    numbers = [np.arange(8) * 9] * len(levels)
    frame.index = (
        pd.MultiIndex.from_arrays(numbers, names=levels)
        if len(levels) > 1
        else pd.Index(numbers[0], name=levels[0])
    )
    path = tmp_path / "t.parquet"
    frame.to_parquet(path)
    with caplog.at_level("INFO", logger="certbd"):
        inputs, names = read(TABLE, path)
    assert inputs.tolist() == [[0.5]] * 8
    assert sorted(names) == ["a"] * 4 + ["b"] * 4
    assert "t.parquet: the index of the data frame is not read: " in caplog.text
    for number, level in enumerate(levels):
        assert repr(level or f"__index_level_{number}__") in caplog.text


def test_labels_may_be_the_index(tmp_path, frame):
    path = tmp_path / "t.parquet"
    frame.set_index("label").to_parquet(path)
    assert classes(TABLE, path) == ["a", "b"]


def test_columns_of_a_parquet_file_that_are_no_features_are_refused(tmp_path):
    path = tmp_path / "t.parquet"
    label, x = pa.array(["a", "b"] * 4), pa.array([0.5] * 8)
    pq.write_table(pa.Table.from_arrays([x, label, label], ["x", "label", "label"]), path)
    refused(TABLE, path, "columns 1 and 2 are both called 'label'")
    pq.write_table(pa.Table.from_arrays([x, label, label], ["x", "label", "label "]), path)
    refused(TABLE, path, "columns 1 and 2 are both called 'label'")
    for name, named in [
        ("Unnamed: 0", "column 2 has no name .'Unnamed: 0'"),
        ("", "column 2 has no name"),
        ("label.1", "column 'label.1' is what pandas calls a second column 'label'"),
    ]:
        pq.write_table(pa.Table.from_arrays([x, label, x], ["x", "label", name]), path)
        refused(TABLE, path, named)
    pq.write_table(pa.Table.from_arrays([x, label], ["__index_level_0__", "label"]), path)
    refused(TABLE, path, "and one beside the label")


@pytest.mark.parametrize(
    ("given", "listed", "found"),
    [
        (["01", "1"], None, ["01", "1"]),
        (["01", "02"], ["01", "02"], ["01", "02"]),
        (["007", "8", "10"], None, ["007", "10", "8"]),
        (["NA", "None", "nan", "null", "N/A", "NaN", "#N/A"], None, None),
        (["None", "Mass"], None, ["Mass", "None"]),
        (["1e5", "1E5", "2e7"], None, ["1E5", "1e5", "2e7"]),
        (["1e5", "100000"], ["1e5", "100000"], ["100000", "1e5"]),
        (["0x1", "0b1", "1_0"], None, ["0b1", "0x1", "1_0"]),
        ([" <=50K", " >50K"], ["<=50K", ">50K"], ["<=50K", ">50K"]),
        (["cat ", " dog\u00a0"], None, ["cat", "dog"]),
        (['"cat "', '" cat"'], ["cat ", " cat"], None),
        (["true", "True"], None, ["True", "true"]),
        (["yes", "no"], ["yes", "no"], ["no", "yes"]),
        (["1.0", "0.0"], None, ["0", "1"]),
        (["1.0", "0.0"], [1, 0], ["0", "1"]),
        (["1.0", "0.0"], ["1.0", "0.0"], ["0.0", "1.0"]),
        (["1.0", "1.5"], ["1.0", "1.5"], ["1.0", "1.5"]),
        (["-1", "1"], None, ["-1", "1"]),
        (["cafe\u0301", "b"], ["b", "café"], ["b", "café"]),
        (["cafe\u0301", "b"], None, ["b", "café"]),
        (["123456789012345678901", "123456789012345678902"], None, None),
        (["2020-01-01", "2020-01-02"], None, None),
    ],
)
def test_labels_are_text_as_it_stands(tmp_path, given, listed, found):
    settings = TABLE | ({"classes": listed} if listed else {})
    path = put(tmp_path / "t.csv", labelled(given))
    assert classes(settings, path) == (found or sorted(listed or given))


def test_whole_numbers_are_sorted_by_value(tmp_path):
    path = put(tmp_path / "t.csv", labelled(["10", "9", "09", "-1"]))
    assert datasets.outline(TABLE, path).classes == ["-1", "09", "9", "10"]


@pytest.mark.parametrize(
    ("given", "listed", "named"),
    [
        (
            ["cat", '"cat "'],
            None,
            "labels 'cat' and 'cat ' look alike, so they are one class 'cat' or",
        ),
        (["cat", "cat\u00a0"], None, r"labels 'cat' and 'cat\\xa0' look alike"),
        (["cat", "cat\u200b"], None, r"labels 'cat' and 'cat\\u200b' look alike"),
        (["a b", "a\u00a0b"], None, r"labels 'a b' and 'a\\xa0b' look alike"),
        (["a b", "a  b"], None, "labels 'a  b' and 'a b' look alike"),
        (['"cat "', "cat", "dog"], ["cat", "dog"], "'cat' and 'cat ' look alike"),
        (["café", "cafe\u0301"], None, "look alike, so they are one class 'café'"),
        (["1.0", "1.00", "2.0"], None, "labels '1.0' and '1.00' look alike"),
        (["1", "1.0"], None, "row 1: label '1.0'; allowed: a whole number"),
        (["1e5", "100000"], None, "row 0: label '1e5'; allowed: a whole number"),
        (["0", "1", "NA"], None, "row 2: label 'NA'; allowed: a whole number"),
        (["0.5", "1.5"], None, "row 0: label '0.5'; allowed: a whole number or text"),
        (["a", "1.5"], None, "row 1: label '1.5'; .*listed, in quotes, under the key classes"),
        (["a", ""], None, "row 1: label ''; allowed"),
        (["a", '"  "'], None, "row 1: label '  '; allowed"),
        (["01", "02"], [1, 2], "label '01'; allowed: one of '1', '2' .*'01' is listed in quotes"),
        (["a", "b"], ["a", "c"], "row 1: label 'b'; allowed: one of 'a', 'c' .the key classes"),
    ],
)
def test_labels_that_are_not_clear_are_refused(tmp_path, given, listed, named):
    settings = TABLE | ({"classes": listed} if listed else {})
    refused(settings, put(tmp_path / "t.csv", labelled(given)), f"column label.*{named}")


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (pa.array([10, 9] * 4, pa.int8()), ["9", "10"]),
        (pa.array([2**53 + 1, 2**53] * 4, pa.int64()), [str(2**53), str(2**53 + 1)]),
        (pa.array([1.0, 0.0] * 4), ["0", "1"]),
        (pa.array([Decimal(1), Decimal(0)] * 4, pa.decimal128(5, 0)), ["0", "1"]),
        (pa.array([Decimal("1.00"), Decimal("0.00")] * 4, pa.decimal128(5, 2)), ["0", "1"]),
        (pa.array([True, False] * 4), ["False", "True"]),
        (pa.array(["01", "1"] * 4), ["01", "1"]),
        (pa.array(["NA", "None"] * 4, pa.large_string()), ["NA", "None"]),
        (pa.array(["cat ", "dog"] * 4).dictionary_encode(), ["cat", "dog"]),
        (pa.array([7, 5] * 4).dictionary_encode(), ["5", "7"]),
    ],
)
def test_labels_of_a_parquet_file(tmp_path, values, found):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": [0.5] * 8, "label": values}), path)
    assert datasets.outline(TABLE, path).classes == found
    assert classes(TABLE, path) == sorted(found)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (pa.array([0, 1, None] * 4), "row 2: label None; allowed: a whole number"),
        (pa.array(["a", "b", None] * 4), "row 2: label None"),
        (pa.array(["a", "b", ""] * 4), "row 2: label ''"),
        (pa.array([0.5, 1, 0] * 4), "row 0: label 0.5"),
        (pa.array([float("inf"), 1, 0] * 4), "row 0: label inf"),
        (pa.array([Decimal("0.5"), Decimal(1), Decimal(0)] * 4), "row 0: label 0.5"),
        (pa.array(["a", "a ", "b"] * 4), "labels 'a' and 'a ' look alike"),
        (pa.array([b"a", b"b", b"c"] * 4), "label b'a'"),
        (pa.array(pd.date_range("2020", periods=12)), "label 2020"),
    ],
)
def test_labels_of_a_parquet_file_that_are_not_clear_are_refused(tmp_path, values, named):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": [0.5] * 12, "label": values}), path)
    refused(TABLE, path, f"column label.*{named}")


@pytest.mark.parametrize("dtype", [">i8", ">i2", ">u4", ">f8", ">f4", ">U1", "<i8", "i1", "f2"])
def test_the_order_of_bytes_of_an_npz_file_does_not_matter(tmp_path, dtype):
    path = tmp_path / "t.npz"
    inputs = np.linspace(0, 1, 16).reshape(8, 2)
    np.savez(path, inputs=inputs.astype(">f4"), labels=(np.arange(8) % 2).astype(dtype))
    found, names = read(NPZ, path)
    assert np.array_equal(np.sort(found, axis=0), inputs.astype(np.float32))
    assert names[np.argsort(found[:, 0])].tolist() == ["0", "1"] * 4


@pytest.mark.parametrize(
    "shape", [(3, 3, 3), (1, 1, 4), (3, 28, 1), (3, 8, 3), (1, 40, 1), (16, 4, 4), (16, 1, 1)]
)
def test_channels_first_are_read_where_they_can_be_meant(tmp_path, shape):
    path = tmp_path / "t.npz"
    np.savez(path, inputs=np.zeros((8, *shape), np.uint8), labels=np.arange(8) % 2)
    assert read(NPZ, path)[0].shape == (8, *shape)
