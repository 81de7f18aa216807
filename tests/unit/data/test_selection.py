from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

from certbd.artifacts.io import DataError
from certbd.data import datasets, selection

DIGITS = {"kind": "digits", "classes": [3, 8]}
TABLE = {"kind": "table", "label_column": "label", "header": True, "classes": ["ham", "spam"]}


def subset(**entry):
    return DIGITS | {"subset": {"seed": 0} | entry}


def rows_of(inputs):
    return {row.tobytes() for row in inputs}


def test_a_subset_is_of_the_size_and_known_before_it_is_read():
    whole = datasets.load(DIGITS)
    part = datasets.load(subset(train=50, test=20))
    assert (len(part.train_labels), len(part.test_labels)) == (50, 20)
    outline = datasets.outline(subset(train=50, test=20), Path())
    assert np.bincount(part.train_labels).tolist() == outline.training_counts
    assert np.bincount(part.test_labels).tolist() == outline.test_counts
    for side in ("train_inputs", "test_inputs"):
        assert rows_of(getattr(part, side)) <= rows_of(getattr(whole, side))


def test_another_seed_draws_others_and_one_side_does_not_move_the_other():
    one, other = datasets.load(subset(train=50)), datasets.load(subset(train=50, seed=1))
    assert not np.array_equal(one.train_inputs, other.train_inputs)
    assert np.array_equal(one.test_inputs, datasets.load(DIGITS).test_inputs)
    both = datasets.load(subset(train=50, test=20))
    assert np.array_equal(one.train_inputs, both.train_inputs)


def test_every_input_is_as_likely():
    names, counts = [f"row {k}" for k in range(20)], np.zeros(20)
    for seed in range(3000):
        drawn = selection.subset_rows("train", {"train": 14, "seed": seed}, names, np.arange(20))
        assert len(drawn) == 14
        counts[drawn] += 1
    assert stats.chisquare(counts).pvalue > 1e-3


def test_one_in_four_is_a_test_input_and_sides_are_independent_of_subsets():
    names = [str(k) for k in range(100_000)]
    training, test = selection.split_rows(names)
    assert stats.binomtest(len(test), len(names), 0.25).pvalue > 1e-3
    assert np.array_equal(np.sort(np.concatenate([training, test])), np.arange(len(names)))
    lowest = selection.subset_rows("train", {"train": 50_000, "seed": 1}, names, training)
    half = selection.subset_rows("test", {"test": 50_000, "seed": 1}, names, np.arange(len(names)))
    assert stats.binomtest(len(np.intersect1d(half, lowest)), 50_000, 0.5).pvalue > 1e-3


def test_hashes_stay_as_they_are():
    """A change of the hash would select other rows of every dataset there is."""
    stored = [1, 3, 11, 13, 14, 16, 18, 21, 27, 38]
    assert selection.split_rows([str(k) for k in range(40)])[1].tolist() == stored


def test_impossible_subsets_are_refused():
    with pytest.raises(DataError, match=r"subset.train: 9999 of \d+ inputs; allowed: no more"):
        datasets.outline(subset(train=9999), Path())
    with pytest.raises(
        DataError, match=r"class '[38]' has \d+ inputs, none of them among the test inputs; needed"
    ):
        datasets.outline(subset(test=1), Path())


def write_table(path, labels, values):
    pd.DataFrame({"value": values, "label": labels}).to_csv(path, index=False)


@pytest.fixture
def people():
    generator = np.random.default_rng(0)
    labels = np.where(generator.random(400) < 0.4, "spam", "ham")
    return labels, np.round(np.linspace(0.1, 0.9, 400), 6)


@pytest.mark.parametrize("sizes", [{}, {"train": 120, "test": 30}])
def test_a_relabelled_or_replaced_row_stays_on_its_side_and_moves_no_other(people, tmp_path, sizes):
    labels, values = people
    entry = TABLE | {"subset": {"seed": 0} | sizes}
    write_table(tmp_path / "given.csv", labels, values)
    given = datasets.load(entry, tmp_path / "given.csv")
    generator = np.random.default_rng(1)
    for row in generator.choice(400, 200, replace=False):
        theirs, other = labels.copy(), values.copy()
        theirs[row] = "ham" if labels[row] == "spam" else "spam"
        if row % 2:
            other[row] = 0.05
        write_table(tmp_path / "other.csv", theirs, other)
        found = datasets.load(entry, tmp_path / "other.csv")
        for side in ("train", "test"):
            inputs, before = (getattr(d, f"{side}_inputs") for d in (found, given))
            assert inputs.shape == before.shape
            assert (inputs != before).any(1).sum() <= row % 2
            ours, was = (getattr(d, f"{side}_labels") for d in (found, given))
            assert (ours != was).sum() <= 1


def test_appended_rows_move_none(people, tmp_path):
    labels, values = people
    write_table(tmp_path / "given.csv", labels, values)
    given = datasets.load(TABLE, tmp_path / "given.csv")
    more = np.append(labels, ["spam"] * 200), np.append(values, np.full(200, 0.05))
    write_table(tmp_path / "more.csv", *more)
    found = datasets.load(TABLE, tmp_path / "more.csv")
    for side in ("train_inputs", "test_inputs"):
        before = getattr(given, side)
        assert np.array_equal(getattr(found, side)[: len(before)], before)


def write_images(folder, places):
    for name, level in places.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (3, 3), level).save(folder / name)


def test_an_image_keeps_its_side_and_its_place_in_another_class_folder(tmp_path):
    names = {f"{'cat' if k % 2 else 'dog'}/photo-{k}.png": k for k in range(40)}
    write_images(tmp_path / "given", names)
    moved = {name.replace("cat", "dog") if k == 17 else name: k for name, k in names.items()}
    write_images(tmp_path / "moved", moved)
    entry = {"kind": "image_folder", "classes": ["cat", "dog"]}
    given, found = (datasets.load(entry, tmp_path / name) for name in ("given", "moved"))
    assert np.array_equal(given.train_inputs, found.train_inputs)
    assert np.array_equal(given.test_inputs, found.test_inputs)
    changed = [getattr(given, s) != getattr(found, s) for s in ("train_labels", "test_labels")]
    assert np.concatenate(changed).sum() == 1


def test_files_of_one_name_stay_together_and_no_subset_tears_them_apart(tmp_path):
    write_images(tmp_path, {f"{c}/{k}.png": k for c in ("a", "b") for k in range(12)})
    entry = {"kind": "image_folder", "classes": ["a", "b"]}
    data = datasets.load(entry, tmp_path)
    assert np.array_equal(*(data.train_inputs[data.train_labels == label] for label in (0, 1)))
    even = datasets.load(entry | {"subset": {"train": 6, "seed": 0}}, tmp_path)
    assert np.bincount(even.train_labels).tolist() == [3, 3]
    with pytest.raises(DataError, match=r"some of the files of one name.*allowed: 4 or 6"):
        datasets.load(entry | {"subset": {"train": 5, "seed": 0}}, tmp_path)


def test_labels_that_are_left_out_are_known(tmp_path):
    assert datasets.outline(DIGITS, Path()).left_out == list("01245679")
    assert datasets.outline({"kind": "digits", "classes": list(range(10))}, Path()).left_out == []
    write_images(tmp_path, {f"{c}/{k}.png": k for c in ("a", "b", "c") for k in range(12)})
    entry = {"kind": "image_folder", "classes": ["a", "b"]}
    assert datasets.outline(entry, tmp_path).left_out == ["c"]


def test_binarised_at_the_threshold():
    raw, data = datasets.load(DIGITS), datasets.load(DIGITS | {"binarise": 0.5})
    assert np.array_equal(data.train_inputs, (raw.train_inputs >= 0.5).astype(np.float32))
    assert data.test_inputs.dtype == np.float32
    assert (raw.train_inputs == 0.5).any()
