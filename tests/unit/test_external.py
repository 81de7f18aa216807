import numpy as np
import pandas as pd
import pytest

from certbd import io, schemas
from certbd.external import read_votes

N, CLASSES = 6, 3
RANDOM = np.random.default_rng(0)


def wide(column="vote", n_inputs=4):
    values = {
        "vote": RANDOM.integers(-1, CLASSES, (n_inputs, N)),
        "score": RANDOM.random((n_inputs, N)),
    }[column]
    return pd.DataFrame(
        {
            "sample": range(n_inputs),
            "label": [0, 1, 1, 0][:n_inputs],
            "sigma": [0.5, 0.6, 0.7, 0.8][:n_inputs],
            column: list(values),
        }
    )


def long(n_inputs=4):
    rows = [(m, "benign", s) for m in range(N) for s in range(n_inputs)]
    table = pd.DataFrame(rows, columns=["model", "split", "sample"])
    labels = wide(n_inputs=n_inputs)[["sample", "label", "sigma"]].assign(split="benign")
    return table.assign(vote=RANDOM.integers(0, CLASSES, len(table))), labels


def read(tmp_path, table, labels=None, sigma=None, n_classes=CLASSES, scored=False):
    table.to_parquet(tmp_path / "votes.parquet")
    if labels is not None:
        labels.to_csv(tmp_path / "labels.csv", index=False)
        labels = str(tmp_path / "labels.csv")
    return read_votes(str(tmp_path / "votes.parquet"), labels, sigma, N, n_classes, scored)


def test_wide_votes(tmp_path):
    table = wide()
    (split,) = read(tmp_path, table.sample(frac=1, random_state=1))
    assert split.name == "benign"
    assert split.inputs is None
    assert split.labels.tolist() == [0, 1, 1, 0]
    assert split.sigma.tolist() == [0.5, 0.6, 0.7, 0.8]
    for votes, counts in zip(table["vote"], split.tally.votes, strict=True):
        assert counts.tolist() == [np.sum(votes == c) for c in range(CLASSES)]


def test_wide_scores_are_of_class_1_and_vote_above_one_half(tmp_path):
    table = wide("score").assign(split=["benign", "triggered", "benign", "triggered"])
    table["sample"] = [0, 0, 1, 1]
    benign, triggered = read(tmp_path, table, n_classes=2, scored=True)
    assert (benign.name, triggered.name) == ("benign", "triggered")
    scores = np.stack(table["score"])[[0, 2]]
    np.testing.assert_allclose(benign.tally.scores[:, 1], scores.sum(1))
    np.testing.assert_allclose(benign.tally.scores.sum(1), N)
    assert benign.tally.votes[:, 1].tolist() == (scores > 0.5).sum(1).tolist()


def test_long_votes(tmp_path):
    table, labels = long()
    (split,) = read(tmp_path, table, labels)
    for sample, counts in enumerate(split.tally.votes):
        votes = table.loc[table["sample"] == sample, "vote"]
        assert counts.tolist() == [np.sum(votes == c) for c in range(CLASSES)]
    assert split.sigma.tolist() == [0.5, 0.6, 0.7, 0.8]


def test_sigma_may_be_given_for_all(tmp_path):
    (split,) = read(tmp_path, wide().drop(columns="sigma"), sigma=0.25)
    assert split.sigma.tolist() == [0.25] * 4


def put(column, row, value):
    def change(table):
        values = table[column].astype(object)
        values[row] = value
        return table.assign(**{column: values.infer_objects()})

    return change


def put_in_list(column, row, model, value):
    def change(table):
        lists = [np.array(item, float) for item in table[column]]
        lists[row][model] = value
        return table.assign(**{column: lists})

    return change


@pytest.mark.parametrize(
    ("column", "change", "named"),
    [
        ("score", put_in_list("score", 2, 3, 1.5), "column score, row 2, model 3: 1.5; allowed"),
        ("score", put_in_list("score", 2, 3, np.nan), "column score, row 2, model 3: nan; allowed"),
        ("score", put_in_list("score", 0, 0, -0.1), "column score, row 0, model 0: -0.1; allowed"),
        ("vote", put_in_list("vote", 1, 5, CLASSES), "column vote, row 1, model 5: 3.0; allowed"),
        ("vote", put_in_list("vote", 1, 5, 0.5), "column vote, row 1, model 5: 0.5; allowed"),
        ("vote", put("vote", 3, [0] * 5), "column vote, row 3: a list of 5; allowed: .* = 6"),
        ("vote", put("sample", 3, 2), "column sample, row 3: 2; allowed: one row for each"),
        ("vote", put("sample", 3, 4), "column sample, row 3: 4; allowed: 0, 1, 2"),
        ("vote", put("label", 1, 3), "column label, row 1: 3; allowed: .* 0 to 2"),
        ("vote", put("label", 1, 0.5), "column label, row 1: 0.5; allowed"),
        ("vote", put("label", 1, np.nan), "column label, row 1: nan; allowed"),
        ("vote", put("sigma", 2, 0.0), "column sigma, row 2: 0.0; allowed: a number above 0"),
        ("vote", put("sigma", 2, -1.0), "column sigma, row 2: -1.0; allowed"),
        ("vote", put("sigma", 2, np.inf), "column sigma, row 2: inf; allowed"),
        ("vote", lambda t: t.drop(columns="sigma"), "column sigma is missing; or set sigma_test"),
        ("vote", lambda t: t.drop(columns="label"), "column label is missing"),
        ("vote", lambda t: t.drop(columns="vote"), "column vote or score is missing"),
        ("vote", lambda t: t.assign(split="test"), "column split, row 0: test; allowed: one of"),
    ],
)
def test_mistakes_are_named_with_file_column_and_row(tmp_path, column, change, named):
    n_classes = 2 if column == "score" else CLASSES
    with pytest.raises(io.DataError, match=f"votes.parquet: {named}"):
        read(tmp_path, change(wide(column)), n_classes=n_classes)


def test_mistakes_in_long_files(tmp_path):
    table, labels = long()
    with pytest.raises(io.DataError, match="needs a labels file"):
        read(tmp_path, table)
    with pytest.raises(io.DataError, match=r"votes.parquet: 23 votes; needed: one of each"):
        read(tmp_path, table.iloc[1:], labels)
    with pytest.raises(io.DataError, match=r"votes.parquet: 25 votes; needed: one of each"):
        read(tmp_path, pd.concat([table, table.iloc[:1]]), labels)
    with pytest.raises(io.DataError, match=r"votes.parquet: no votes of model 5; needed: models 0"):
        read(tmp_path, table[table["model"] < 5], labels)
    with pytest.raises(io.DataError, match=r"votes.parquet: row 0: .*'vote': 7"):
        read(tmp_path, put("vote", 0, 7)(table), labels)
    with pytest.raises(io.DataError, match=r"labels.csv: column label, row 2: -1"):
        read(tmp_path, table, put("label", 2, -1)(labels))
    with pytest.raises(io.DataError, match=r"votes.parquet: not a Parquet file with columns"):
        read(tmp_path, table, labels, scored=True)


def test_scores_of_more_than_two_classes_need_the_long_form(tmp_path):
    with pytest.raises(io.DataError, match="scores of class 1 of two, not of 3"):
        read(tmp_path, wide("score"))
    with pytest.raises(io.DataError, match="column score is missing"):
        read(tmp_path, wide("vote"), scored=True)


def test_truncated_files_are_named(tmp_path):
    path = tmp_path / "votes.parquet"
    wide().to_parquet(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(io.DataError, match=r"votes.parquet: not a readable Parquet file"):
        read_votes(str(path), None, None, N, CLASSES, False)


def test_long_scores(tmp_path):
    table, labels = long()
    scores = RANDOM.dirichlet(np.ones(CLASSES), len(table)).astype(np.float32)
    io.write_table(
        tmp_path / "scored.parquet",
        table.assign(score=list(scores)),
        schemas.scored_votes(CLASSES),
        {},
    )
    labels.to_parquet(tmp_path / "labels.parquet")
    files = (str(tmp_path / "scored.parquet"), str(tmp_path / "labels.parquet"))
    (split,) = read_votes(*files, None, N, CLASSES, True)
    np.testing.assert_allclose(split.tally.scores.sum(1), N, rtol=1e-5)


def test_two_sources_of_one_fact_must_agree(tmp_path):
    table = wide()
    with pytest.raises(
        io.DataError, match=r"column sigma, row 0: 0.5; allowed: 0.25, which is sigma_test; or only"
    ):
        read(tmp_path, table, sigma=0.25)
    alike = table.assign(sigma=np.float32(0.12))
    assert read(tmp_path, alike, sigma=0.12)[0].sigma == pytest.approx([0.12] * 4)
    labels = table[["sample", "label", "sigma"]].assign(split="benign")
    assert read(tmp_path, table, labels)[0].labels.tolist() == [0, 1, 1, 0]
    with pytest.raises(io.DataError, match=r"labels.csv: column label, row 2: 0; allowed: what .*"):
        read(tmp_path, table, labels.assign(label=[0, 1, 0, 0]))
    with pytest.raises(io.DataError, match=r"labels.csv: column sigma, row 0: 0.1; allowed: what"):
        read(tmp_path, table, labels.assign(sigma=0.1))
    with pytest.raises(io.DataError, match=r"labels.csv: other inputs than in .*votes.parquet"):
        read(tmp_path, table, labels[:3])
    scores = wide("score")
    votes = [(np.array(values) > 0.5).astype(int) for values in scores["score"]]
    assert read(tmp_path, scores.assign(vote=votes), n_classes=2)[0].tally.votes.sum() == 4 * N
    votes[1][2] = 1 - votes[1][2]
    with pytest.raises(io.DataError, match=r"column vote, row 1, model 2: .*score is above 1/2"):
        read(tmp_path, scores.assign(vote=votes), n_classes=2)
    long_votes, labels = long()
    with pytest.raises(io.DataError, match="column sigma beside one row a vote; it belongs in the"):
        read(tmp_path, long_votes.assign(sigma=0.5), labels)


@pytest.mark.parametrize("index", ["sample", ["split", "sample"], "label", None])
def test_the_index_of_a_data_frame_is_read_by_its_names(tmp_path, index):
    table = wide().assign(split="benign")
    given = table if index is None else table.set_index(index)
    (split,) = read(tmp_path, given)
    assert split.labels.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("name", ["LABELS.CSV", "l.Csv", "l.csv.gz", "l.tsv", "L.PARQUET", "l.pq"])
def test_labels_files_are_told_by_their_names(tmp_path, name):
    table, labels = long()
    table.to_parquet(tmp_path / "votes.parquet")
    if name.lower().endswith(("parquet", "pq")):
        labels.to_parquet(tmp_path / name)
    else:
        labels.to_csv(tmp_path / name, index=False, sep="\t" if "tsv" in name else ",")
    files = (str(tmp_path / "votes.parquet"), str(tmp_path / name))
    (split,) = read_votes(*files, None, N, CLASSES, False)
    assert split.labels.tolist() == [0, 1, 1, 0]
    (tmp_path / name).rename(tmp_path / "l.txt")
    with pytest.raises(io.DataError, match=r"l.txt: not a table by its name; allowed: .parquet"):
        read_votes(files[0], str(tmp_path / "l.txt"), None, N, CLASSES, False)


def test_two_columns_of_one_name_are_refused(tmp_path):
    table, labels = long()
    labels.insert(2, "label", [1, 0, 0, 1], allow_duplicates=True)
    with pytest.raises(io.DataError, match=r"labels.csv: 2 columns called 'label'; allowed: one"):
        read(tmp_path, table, labels)


def test_a_missing_column_is_named_with_those_that_the_file_has(tmp_path):
    with pytest.raises(io.DataError, match=r"column label is missing; it has \['sample', 'vote'\]"):
        read(tmp_path, wide()[["sample", "vote"]], sigma=0.25)
    with pytest.raises(io.DataError, match=r"column sigma .* it has \['label', 'sample', 'vote'\]"):
        read(tmp_path, wide()[["label", "sample", "vote"]])
    with pytest.raises(io.DataError, match=r"vote or score is missing; it has \['sample', 'label'"):
        read(tmp_path, wide()[["sample", "label", "sigma"]])
