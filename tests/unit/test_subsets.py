from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from certbd import datasets, subsets
from certbd.io import DataError

DIGITS = {"kind": "digits", "classes": [3, 8]}


def subset(**entry):
    return DIGITS | {"subset": {"seed": 0} | entry}


def test_a_subset_is_of_the_size_and_known_before_it_is_read():
    whole = datasets.load(DIGITS)
    part = datasets.load(subset(train=50, test=20))
    assert (len(part.train_labels), len(part.test_labels)) == (50, 20)
    outline = datasets.outline(subset(train=50, test=20), Path())
    assert np.bincount(part.train_labels).tolist() == outline.training_counts
    assert np.bincount(part.test_labels).tolist() == outline.test_counts
    for side in ("train_inputs", "test_inputs"):
        rows = {row.tobytes() for row in getattr(whole, side)}
        assert {row.tobytes() for row in getattr(part, side)} <= rows


def test_another_seed_draws_others_and_one_side_does_not_move_the_other():
    one, other = datasets.load(subset(train=50)), datasets.load(subset(train=50, seed=1))
    assert not np.array_equal(one.train_inputs, other.train_inputs)
    assert np.array_equal(one.test_inputs, datasets.load(DIGITS).test_inputs)
    both = datasets.load(subset(train=50, test=20))
    assert np.array_equal(one.train_inputs, both.train_inputs)


def test_every_input_is_as_likely():
    labels = np.array(["a"] * 12 + ["b"] * 8)
    counts = np.zeros(20)
    for seed in range(3000):
        drawn = subsets.draw_rows(
            "train", {"train": 14, "seed": seed}, labels, np.arange(20), ["a", "b"]
        )
        assert len(drawn) == 14
        counts[drawn] += 1
    assert stats.chisquare(counts).pvalue > 1e-3


def test_impossible_subsets_are_refused():
    with pytest.raises(DataError, match=r"subset.train: 9999 of \d+ inputs; allowed: no more"):
        datasets.outline(subset(train=9999), Path())
    with pytest.raises(DataError, match="leave a class without any"):
        datasets.outline(subset(test=1), Path())


def test_binarised_at_the_threshold():
    raw, data = datasets.load(DIGITS), datasets.load(DIGITS | {"binarise": 0.5})
    assert np.array_equal(data.train_inputs, (raw.train_inputs >= 0.5).astype(np.float32))
    assert data.test_inputs.dtype == np.float32
    assert (raw.train_inputs == 0.5).any()
