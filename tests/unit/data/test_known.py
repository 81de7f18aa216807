"""Rows that are known to be poisoned: found by file, row or identifier, or refused by name."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from certbd.artifacts.io import DataError
from certbd.data import datasets
from certbd.data.known import read_known

TABLE = {"kind": "table", "label_column": "label"}


@pytest.fixture
def table(tmp_path):
    rows = [f"0.{row},k{row},{'ab'[row % 2]}" for row in range(40)]
    (tmp_path / "set.csv").write_text("\n".join(["x,key,label", *rows]))
    return tmp_path


def known(folder, text, entry=TABLE, data="set.csv"):
    (folder / "poisoned.csv").write_text(text)
    return read_known(entry, folder / data, folder / "poisoned.csv")


def sources(folder, entry, data="set.csv"):
    return datasets.load_with_sources(entry, folder / data)[1]


@pytest.mark.parametrize("split", ["train", "benign"])
def test_rows_of_a_table_are_found_on_their_side(table, split):
    entry = TABLE | {"ignore": ["key"]}
    every = sources(table, entry)
    rows = every[every["split"] == split].iloc[[0, 2]]
    found = known(table, "source\n" + "\n".join(rows["source"]), entry)
    assert found == ((2, []) if split == "train" else (0, [0, 2]))


def test_identifiers_name_rows(table):
    entry = TABLE | {"id_column": "key"}
    every = sources(table, entry)
    chosen = every["id"].isin(["k1", "k2", "k3", "k4", "k5", "k6"])
    found = known(table, "id\n" + "\n".join(every.loc[chosen, "id"]), entry)
    assert found.n_training == (every["split"][chosen] == "train").sum()
    test = every[chosen & (every["split"] == "benign")]
    assert found.test == test["sample"].tolist()


def test_the_same_row_of_two_tables_needs_a_split(table):
    (table / "set.csv").rename(table / "train.csv")
    (table / "test.csv").write_bytes((table / "train.csv").read_bytes())
    entry = TABLE | {"ignore": ["key"]}
    with pytest.raises(DataError, match="row 0: source '3' is a training row and a test row"):
        known(table, "source\n3", entry, ".")
    found = known(table, "source,split\n3,test\n5,train\n6,train", entry, ".")
    assert found == (2, [3])


def test_a_subset_counts_what_is_left(table):
    entry = TABLE | {"ignore": ["key"], "subset": {"train": 5, "test": 4}}
    every = "\n".join(str(row) for row in range(40))
    assert known(table, f"source\n{every}", entry) == (5, [0, 1, 2, 3])


def test_files_of_photos_are_named_as_in_sources(tmp_path):
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            (tmp_path / "photos" / split / label).mkdir(parents=True)
            for number in range(3):
                pixels = np.full((4, 4), 40 * number, np.uint8)
                file = tmp_path / "photos" / split / label / f"{number}.png"
                Image.fromarray(pixels).save(file)
    entry = {"kind": "image_folder", "classes": ["cat", "dog"]}
    text = "source\ntrain/cat/1.png\ntrain/dog/2.png\ntest/dog/0.png"
    found = known(tmp_path, text, entry, "photos")
    benign = sources(tmp_path, entry, "photos").query("split == 'benign'").set_index("source")
    assert found == (2, [benign.at["test/dog/0.png", "sample"]])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("source\n40", "row 0: source '40' is no row of"),
        ("source\n3.0", "row 0: source '3.0' is no row of"),
        ("source\n1\n", None),
        ("row\n1", "columns 'row'; allowed: source or id, and split"),
        ("source,id\n1,k1", "columns 'source', 'id'; allowed: source or id"),
        ("source,split\n1,benign", "row 0: split 'benign'; allowed: train or test"),
        ("id\nk1", "column id; the dataset's rows have none"),
    ],
)
def test_what_names_no_row_is_refused(table, text, told):
    entry = TABLE | {"ignore": ["key"]}
    if told is None:
        assert sum(map(bool, known(table, text, entry))) == 1
        return
    with pytest.raises(DataError, match=told):
        known(table, text, entry)


def test_a_missing_file_is_named(table):
    with pytest.raises(DataError, match=r"away\.csv does not exist"):
        read_known(TABLE, table / "set.csv", table / "away.csv")


def test_sources_of_a_parquet_list_are_text(table):
    pd.DataFrame({"source": [1, 2]}).to_parquet(table / "poisoned.parquet")
    found = read_known(TABLE | {"ignore": ["key"]}, table / "set.csv", table / "poisoned.parquet")
    assert found.n_training + len(found.test) == 2
