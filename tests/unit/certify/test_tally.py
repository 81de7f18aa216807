import tracemalloc

import numpy as np
import pandas as pd
import pytest

from certbd.artifacts import io, schemas
from certbd.certify.tally import count_votes

SIZES = {"benign": 3, "triggered": 2}


def votes_of(models, seed=0):
    rows = [(m, split, s) for m in models for split, n in SIZES.items() for s in range(n)]
    table = pd.DataFrame(rows, columns=["model", "split", "sample"])
    return table.assign(vote=np.random.default_rng(seed).integers(-1, 4, len(table)))


def write(path, table):
    io.write_table(path, table, schemas.VOTES, {})
    return path


def test_counts_are_those_of_a_plain_loop(tmp_path):
    tables = [votes_of(range(5), 1), votes_of(range(5, 9), 2)]
    files = [
        write(tmp_path / f"{i}.parquet", table.sample(frac=1, random_state=0))
        for i, table in enumerate(tables)
    ]
    counts = count_votes(files, SIZES, 9, 4).tallies
    for split, size in SIZES.items():
        expected = np.zeros((size, 4), int)
        for row in pd.concat(tables).itertuples():
            if row.split == split and row.vote >= 0:
                expected[row.sample, row.vote] += 1
        assert np.array_equal(counts[split].votes, expected)
        assert counts[split].scores is None


def test_scores_are_added_up_without_diverged_models(tmp_path):
    table = votes_of(range(6))
    scores = np.random.default_rng(0).dirichlet(np.ones(4), len(table)).astype(np.float32)
    file = tmp_path / "chunk.parquet"
    io.write_table(file, table.assign(score=list(scores)), schemas.scored_votes(4), {})
    counts = count_votes([file], SIZES, 6, 4, scored=True).tallies
    for split, size in SIZES.items():
        for sample in range(size):
            rows = (table["split"] == split) & (table["sample"] == sample) & (table["vote"] >= 0)
            np.testing.assert_allclose(counts[split].scores[sample], scores[rows].sum(0), rtol=1e-6)


@pytest.mark.parametrize("bad", [[1.5, -0.5, 0, 0], [0.5, 0.6, 0, 0], [np.nan, 0, 0, 0]])
def test_scores_out_of_range_are_named(tmp_path, bad):
    table = votes_of(range(2)).assign(vote=1)
    scores = [np.array([0, 1, 0, 0], np.float32)] * len(table)
    scores[3] = np.array(bad, np.float32)
    file = tmp_path / "chunk.parquet"
    io.write_table(file, table.assign(score=scores), schemas.scored_votes(4), {})
    with pytest.raises(io.DataError, match=r"chunk.parquet: column score, row 3: "):
        count_votes([file], SIZES, 2, 4, scored=True)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda t: t.iloc[1:], "needed: one of each of its 4 models on each of 5"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "needed: one of each"),
        (lambda t: t.assign(vote=t["vote"].where(t.index != 2, 4)), "row 2: .*'vote': 4.* to 3"),
        (lambda t: t.assign(sample=t["sample"].where(t.index != 2, 3)), "row 2: .*'sample': 3"),
        (lambda t: t.assign(split="other"), "row 0: .*'split': 'other'"),
        (lambda t: t.assign(model=t["model"] + 1), "chunk.parquet: votes of model 4; needed"),
        (lambda t: t[t["model"] < 3], "chunk.parquet: no votes of model 3; needed: models 0 to 3"),
    ],
)
def test_missing_doubled_and_odd_votes_are_refused(tmp_path, change, named):
    file = write(tmp_path / "chunk.parquet", change(votes_of(range(4))))
    with pytest.raises(io.DataError, match=named):
        count_votes([file], SIZES, 4, 4)


def test_memory_is_flat_in_the_number_of_models(tmp_path):
    table = pd.DataFrame({"split": "benign", "sample": np.tile(np.arange(500), 20)})
    table = table.assign(model=np.repeat(np.arange(20), 500), vote=lambda t: t["sample"] % 2)
    files = [write(tmp_path / f"{i}.parquet", table.assign(model=table["model"] + 20 * i))
             for i in range(24)]  # fmt: skip
    peaks = []
    for n_files in (3, 24):
        tracemalloc.start()
        count_votes(files[:n_files], {"benign": 500}, 20 * n_files, 2)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_a_model_in_two_files_is_refused(tmp_path):
    files = [
        write(tmp_path / "a.parquet", votes_of([0])),
        write(tmp_path / "b.parquet", votes_of([0])),
    ]
    with pytest.raises(io.DataError, match=r"b\.parquet: model 0 has voted in another"):
        count_votes(files, SIZES, 1, 4)


def test_models_that_diverged_or_are_constant_are_named_and_still_count(tmp_path):
    table = votes_of(range(4)).assign(vote=lambda t: t["sample"] % 2)
    benign = table["split"] == "benign"
    table.loc[(table["model"] == 1) & benign, "vote"] = 3
    table.loc[(table["model"] == 2) & benign & (table["sample"] == 0), "vote"] = -1
    table.loc[(table["model"] == 3) & ~benign, "vote"] = 1  # one label for all triggered inputs
    count = count_votes([write(tmp_path / "chunk.parquet", table)], SIZES, 4, 4)
    assert count.faults.to_dict("list") == {"model": [1, 2], "fault": ["constant", "diverged"]}
    assert count.tallies["benign"].votes.tolist() == [[2, 0, 0, 1], [0, 3, 0, 1], [3, 0, 0, 1]]
