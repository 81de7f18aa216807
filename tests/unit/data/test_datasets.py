from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from certbd.artifacts.io import DataError
from certbd.data import datasets
from certbd.data.kinds import digits


@pytest.mark.parametrize("classes", [[0, 1], [7, 3], list(range(10))])
def test_digits(classes):
    data = datasets.load({"kind": "digits", "classes": classes})
    assert data.train_inputs.shape[1:] == data.test_inputs.shape[1:] == (1, 8, 8)
    assert data.train_inputs.dtype == np.float32
    assert data.train_inputs.min() == 0
    assert data.train_inputs.max() == 1
    assert data.class_names.tolist() == [str(digit) for digit in classes]
    counts = np.bincount(data.train_labels)
    outline = datasets.outline({"kind": "digits", "classes": classes}, Path())
    assert counts.tolist() == outline.training_counts
    assert data.class_names.tolist() == outline.classes
    both = np.bincount(data.test_labels) + counts
    assert both.tolist() == [(load_digits().target == digit).sum() for digit in classes]


def test_the_table_of_digits_is_scikit_learns():
    assert np.array_equal(digits.labels(), load_digits().target.astype(str))


def test_pixels_are_scaled_by_the_constant_16():
    data = datasets.load({"kind": "digits", "classes": list(range(10))})
    every = np.concatenate([data.train_inputs, data.test_inputs]).reshape(-1, 64) * 16
    raw = load_digits().data
    assert sorted(map(tuple, every)) == sorted(map(tuple, raw.astype(np.float32)))


def test_an_image_is_on_one_side_whichever_classes_are_used(digits):
    every = datasets.load({"kind": "digits", "classes": list(range(10))})
    of_two = every.test_inputs[np.isin(every.test_labels, [0, 1])]
    assert np.array_equal(of_two, digits.test_inputs)


def test_labels_follow_the_order_of_classes(digits):
    swapped = datasets.load({"kind": "digits", "classes": [1, 0]})
    assert np.array_equal(swapped.test_inputs, digits.test_inputs)
    assert np.array_equal(swapped.test_labels, 1 - digits.test_labels)


def test_settings_of_a_stage_name_classes_as_text_and_hold_the_content(digits, tmp_path):
    stored = {"kind": "digits", "classes": ["0", "1"], "content": datasets.checksum([], Path())}
    assert np.array_equal(datasets.load(stored).test_inputs, digits.test_inputs)
    file = tmp_path / "t.npz"
    np.savez(file, inputs=np.arange(32).reshape(16, 2) / 32, labels=np.arange(16) % 2)
    stored = {"kind": "npz", "classes": ["0", "1"], "content": datasets.checksum([file], file)}
    assert datasets.load(stored, file).class_names.tolist() == ["0", "1"]
    with pytest.raises(DataError, match="has changed since this run was planned"):
        datasets.load(stored | {"content": ""}, file)
