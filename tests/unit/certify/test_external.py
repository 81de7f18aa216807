import gzip

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from certbd.artifacts import io, schemas
from certbd.certify import external_tables
from certbd.certify.external import read_votes

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
            "label": ([0, 1, 1, 0] * n_inputs)[:n_inputs],
            "sigma": ([0.5, 0.6, 0.7, 0.8] * n_inputs)[:n_inputs],
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
        table.assign(score=list(scores), vote=scores.argmax(1)),
        schemas.scored_votes(CLASSES),
        {},
    )
    labels.to_parquet(tmp_path / "labels.parquet")
    files = (str(tmp_path / "scored.parquet"), str(tmp_path / "labels.parquet"))
    (split,) = read_votes(*files, None, N, CLASSES, True)
    np.testing.assert_allclose(split.tally.scores.sum(1), N, rtol=1e-5)


def fails(tmp_path, named, *tables, **settings):
    with pytest.raises(io.DataError, match=named):
        read(tmp_path, *tables, **settings)


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        ("sigma", 0.1, r"column sigma, row 0: 0.1; allowed: 0.25, as the key sigma_test says"),
        (
            "sigma",
            np.float32(0.2),
            r"column sigma, row 0: 0.2000.*; allowed: 0.25, as the key sigma_",
        ),
        ("sigma", [0.25, 0.25, 0.25, 0.2500001], "column sigma, row 3: 0.2500001; allowed: 0.25"),
        ("sigma", 1, "column sigma, row 0: 1; allowed: 0.25, as the key sigma_test"),
        ("sigma_test", 0.5, "column sigma_test, row 0: 0.5; allowed: 0.25"),
        ("n_models", 7, "column n_models, row 0: 7; allowed: 6, as the key n_models"),
        ("n_classes", 2, "column n_classes, row 0: 2; allowed: 3, as the key n_classes"),
        ("n_classes", np.nan, "column n_classes, row 0: nan; allowed: 3"),
    ],
)
def test_a_file_and_the_configuration_must_agree(tmp_path, column, value, named):
    table = wide().drop(columns="sigma").assign(**{column: value})
    fails(tmp_path, f"votes.parquet: {named}", table, sigma=0.25)


def test_training_noise_in_the_file_and_in_the_configuration_must_agree(tmp_path):
    wide().assign(sigma_train=0.5).to_parquet(tmp_path / "votes.parquet")
    call = (str(tmp_path / "votes.parquet"), None, None, N, CLASSES, False)
    read_votes(*call, 0.5)
    read_votes(*call)
    with pytest.raises(io.DataError, match=r"column sigma_train, row 0: 0.5; allowed: 1.0"):
        read_votes(*call, 1.0)


@pytest.mark.parametrize("sigma", [0.1, np.float32(0.1), 0.3, 1])
def test_the_same_noise_may_be_said_twice(tmp_path, sigma):
    (split,) = read(tmp_path, wide().assign(sigma=sigma), sigma=float(str(sigma)))
    assert (split.sigma <= sigma).all()
    np.testing.assert_allclose(split.sigma, sigma, rtol=1e-7)


def test_labels_in_both_files_must_agree(tmp_path):
    table = wide()
    labels = table[["sample", "label"]].assign(split="benign")
    (split,) = read(tmp_path, table, labels)
    assert split.labels.tolist() == [0, 1, 1, 0]
    (split,) = read(tmp_path, table.drop(columns="label"), labels.iloc[::-1])
    assert split.labels.tolist() == [0, 1, 1, 0]
    fails(tmp_path, r"labels.csv: column label, row 2: 0; allowed: 1, as .*votes.parquet says",
          table, put("label", 2, 0)(labels))  # fmt: skip
    fails(tmp_path, r"labels.csv: column sigma, row 1: 0.7; allowed: 0.6, as .*votes.parquet",
          table, labels.assign(sigma=[0.5, 0.7, 0.7, 0.8]))  # fmt: skip
    fails(tmp_path, r"labels.csv: inputs {'benign': 3}; allowed: those of .*, {'benign': 4}",
          table, labels.iloc[:3])  # fmt: skip


def test_what_a_long_file_says_of_inputs_must_agree_with_the_labels_file(tmp_path):
    table, labels = long()
    table = table.merge(labels)
    (split,) = read(tmp_path, table, labels.drop(columns="sigma"))
    assert split.sigma.tolist() == [0.5, 0.6, 0.7, 0.8]
    fails(tmp_path, "votes.parquet: column label, row 1: 1; allowed: 0, as .*labels.csv says",
          table, labels.assign(label=[0, 0, 1, 0]))  # fmt: skip
    fails(tmp_path, "votes.parquet: column sigma, row 0: 0.5; allowed: 0.9, as .*labels.csv says",
          table, labels.assign(sigma=0.9))  # fmt: skip
    fails(tmp_path, "votes.parquet: column sigma, row 0: 0.5; allowed: 0.3, as the key sigma_test",
          table, labels.drop(columns="sigma"), sigma=0.3)  # fmt: skip
    fails(tmp_path, r"votes.parquet: row 4: .*allowed: in label and sigma what the rows before",
          put("label", 4, 1)(table), labels)  # fmt: skip


def test_votes_and_scores_must_agree(tmp_path):
    table = wide("score")
    table["vote"] = [(scores > 0.5).astype(int) for scores in table["score"]]
    (split,) = read(tmp_path, table, n_classes=2, scored=True)
    assert split.tally.votes[:, 1].tolist() == [sum(votes) for votes in table["vote"]]
    turned = put_in_list("vote", 1, 2, 1 - table["vote"][1][2])(table)
    fails(tmp_path, "column vote, row 1, model 2: .*allowed: 1 for a score above 0.5",
          turned, n_classes=2)  # fmt: skip
    fails(tmp_path, "column vote, row 1: a list of 5; allowed: .* = 6",
          put("vote", 1, [0] * 5)(table), n_classes=2)  # fmt: skip


@pytest.mark.parametrize("scored", [False, True])
def test_long_votes_are_for_the_class_with_the_highest_score(tmp_path, scored):
    table, labels = long()
    scores = np.eye(CLASSES)[table["vote"]] * 0.5 + 0.1
    kind = schemas.scored_votes(CLASSES) if scored else schemas.scored_votes(2)
    scores = list(scores.astype(np.float32) if scored else scores[:, :2].astype(np.float32))
    labels.to_csv(tmp_path / "labels.csv", index=False)
    files = (str(tmp_path / "votes.parquet"), str(tmp_path / "labels.csv"))
    io.write_table(files[0], table.assign(score=scores), kind, {})
    if not scored:
        with pytest.raises(io.DataError, match=r"score, row 0: a list of 2; allowed: .* = 3"):
            read_votes(*files, None, N, CLASSES, False)
        return
    read_votes(*files, None, N, CLASSES, True)
    table.loc[7, "vote"] = (table.loc[7, "vote"] + 1) % CLASSES
    io.write_table(files[0], table.assign(score=scores), kind, {})
    for other in (False, True):
        with pytest.raises(io.DataError, match=r"row 7: vote .*the class with the highest score"):
            read_votes(*files, None, N, CLASSES, other)


GAUSSIAN, BAGGING = {"kind": "gaussian", "sigma": 1.0}, {"kind": "bagging", "n_drawn": 12}
PER_SAMPLE, FLIPS = (
    {"kind": "per_sample", "sigma": 0.4},
    {"kind": "flips", "beta": 0.9, "values": 2},
)
CONSTANT, OWN = {"kind": "noise", "level": 0.4}, {"kind": "noise"}


@pytest.mark.parametrize(
    ("training", "testing", "sigma", "sigma_train", "named"),
    [
        (GAUSSIAN, CONSTANT, 0.4, 1.0, None),
        (BAGGING, CONSTANT, 0.4, None, None),
        (PER_SAMPLE, OWN, None, None, None),
        (GAUSSIAN, CONSTANT, 0.25, 1.0, r"not under sigma \(or .*\) 0.25"),
        (GAUSSIAN, CONSTANT, 0.4, 0.5, "not with the key sigma_train 0.5"),
        (BAGGING, CONSTANT, 0.4, 0.5, "not with the key sigma_train 0.5"),
        (FLIPS, FLIPS, 0.4, None, "'values': 2} in the vote, not under sigma"),
        (PER_SAMPLE, OWN, 0.4, None, "'per_sample'.*, not under sigma"),
        (PER_SAMPLE, OWN, None, 0.4, "'per_sample'.*, not with the key sigma_train 0.4"),
    ],
)
def test_votes_of_certbd_keep_their_noise(tmp_path, training, testing, sigma, sigma_train, named):
    table, labels = long()
    files = (str(tmp_path / "votes.parquet"), str(tmp_path / "labels.csv"))
    settings = {"training": training, "testing": testing}
    io.write_table(files[0], table, schemas.VOTES, {"settings": settings})
    labels.drop(columns=[] if sigma is None else "sigma").to_csv(files[1], index=False)
    call = (*files, sigma, N, CLASSES, False, sigma_train)
    if named is None:
        read_votes(*call)
        return
    with pytest.raises(io.DataError, match=f"votes.parquet: its votes were made under .*{named}"):
        read_votes(*call)


def test_votes_of_another_version_are_refused(tmp_path):
    table, labels = long()
    files = (str(tmp_path / "votes.parquet"), str(tmp_path / "labels.csv"))
    old = {"settings": {"noise": {"train": 1.0, "test": 0.4}}}
    io.write_table(files[0], table, schemas.VOTES, old)
    labels.drop(columns="sigma").to_csv(files[1], index=False)
    with pytest.raises(io.DataError, match=r"votes of certbd 0\.1, .*make them again"):
        read_votes(*files, 0.4, N, CLASSES, False, 1.0)


INDEXED = {
    "range": lambda t: t.drop(columns="sample").rename_axis("sample"),
    "stored": lambda t: t.sample(frac=1, random_state=0).set_index("sample"),
    "two levels": lambda t: t.assign(split="benign").set_index(["split", "sample"]),
    "of no name": lambda t: t.set_axis([5, 6, 7, 8], axis=0),
    "another": lambda t: t.rename_axis("row"),
    "label": lambda t: t.set_index("label"),
}


@pytest.mark.parametrize("name", INDEXED)
def test_columns_in_the_index_are_read(tmp_path, name):
    (split,) = read(tmp_path, INDEXED[name](wide()))
    assert split.labels.tolist() == [0, 1, 1, 0]
    assert split.sigma.tolist() == [0.5, 0.6, 0.7, 0.8]


def test_an_index_that_is_a_column_too_is_refused(tmp_path):
    fails(tmp_path, "votes.parquet: 2 columns 'sample'; allowed: one", wide().rename_axis("sample"))
    table, labels = long(1)
    fails(tmp_path, r"column model is missing \(it is the index of the table: .* \['split', 'sa",
          table.drop(columns="model").rename_axis("model"), labels)  # fmt: skip


def write_text(path, labels, sep=","):
    labels.to_csv(path, index=False, sep=sep)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("LABELS.CSV", write_text),
        ("labels.Csv", write_text),
        ("labels.tsv", lambda path, labels: write_text(path, labels, "\t")),
        ("L.TSV.GZ", lambda path, labels: labels.to_csv(
            path, index=False, sep="\t", compression="gzip")),
        ("labels.v2.csv.gz", write_text),
        ("labels.PARQUET", lambda path, labels: labels.to_parquet(path)),
        ("labels", lambda path, labels: labels.to_parquet(path)),
        ("bom.csv", lambda path, labels: labels.to_csv(path, index=False, encoding="utf-8-sig")),
        ("index.csv", lambda path, labels: labels.set_index("sample").to_csv(path)),
        ("blanks.csv", lambda path, labels: write_text(path, labels.add_prefix(" "))),
    ],
)  # fmt: skip
def test_labels_are_read_from_every_plain_file(tmp_path, name, write):
    table, labels = long(12)
    order = list(range(11, -1, -1))  # as text 10 would be before 2
    write(tmp_path / name, labels.iloc[order])
    table.to_parquet(tmp_path / "v.parquet")
    files = (str(tmp_path / "v.parquet"), str(tmp_path / name))
    (split,) = read_votes(*files, None, N, CLASSES, False)
    assert split.labels.tolist() == labels["label"].tolist()
    assert split.sigma.tolist() == labels["sigma"].tolist()


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("l.csv", "split,sample,label,label\nbenign,0,0,1\n", "2 columns 'label'; allowed: one"),
        ("l.csv", "sample,label,label \n0,0,1\n", "2 columns 'label'; allowed: one"),
        ("l.csv", "sample,sample,label\n0,1,0\n", "2 columns 'sample'; allowed: one"),
        ("l.csv", "sample,label,sigma,sigma\n0,0,1,2\n", "2 columns 'sigma'; allowed: one"),
        ("l.csv", "sample,label,label,label\n0,0,0,0\n", "3 columns 'label'; allowed: one"),
        ("l.csv", "sample;label\n0;0\n", "one column, 'sample;label'; allowed: .parquet, .csv"),
        ("l.tsv", "sample,label\n0,0\n", "one column, 'sample,label'; allowed: .parquet, .csv"),
        ("l.csv", "sample,label\n0,0,1\n", "not a readable table: .*Expected 2 fields"),
        ("l.csv", "sample,class\n0,0\n", r"column label is missing; it has \['sample', 'class'\]"),
        ("l.csv", "index,label\n0,0\n", r"column sample is missing; it has \['index', 'label'\]"),
        ("l.csv", "sample,label\n", "no rows; allowed: one for each input"),
        ("l.csv", "", "not a readable table"),
        ("l.csv.gz", "sample,label\n0,0\n", "not a readable table: Not a gzipped file"),
        ("l.txt", "sample,label\n0,0\n", "not a table by its name; allowed: .parquet, .csv"),
        ("l.xlsx", "PK", "not a table by its name; allowed: .parquet, .csv"),
        ("l.csv", "sample,label\n0,NA\n", "column label, row 0: NA; allowed: a whole number"),
        ("l.csv", "sample,label\n1e300,0\n", "column sample, row 0: 1e300; allowed: 0, 1, 2"),
    ],
)
def test_labels_that_could_be_read_wrongly_are_refused(tmp_path, name, text, named):
    table, _ = long(1)
    table.to_parquet(tmp_path / "v.parquet")
    (tmp_path / name).write_text(text)
    with pytest.raises(io.DataError, match=f"{name}: {named}"):
        read_votes(str(tmp_path / "v.parquet"), str(tmp_path / name), 0.5, N, CLASSES, False)


def test_two_columns_of_one_name_in_parquet_are_refused(tmp_path):
    wide().to_parquet(tmp_path / "v.parquet")
    stored = pq.read_table(tmp_path / "v.parquet")
    for column in ("label", "vote", "sigma"):
        pq.write_table(stored.append_column(column, stored[column]), tmp_path / "twice.parquet")
        with pytest.raises(io.DataError, match=f"twice.parquet: 2 columns '{column}'"):
            read_votes(str(tmp_path / "twice.parquet"), None, None, N, CLASSES, False)


@pytest.mark.parametrize("missing", ["sample", "label", "sigma", "vote"])
def test_a_missing_column_is_named_with_the_columns_that_the_file_has(tmp_path, missing):
    table = wide().drop(columns=missing)
    with pytest.raises(io.DataError, match="is missing") as refusal:
        read(tmp_path, table)
    assert str(refusal.value).endswith(f"it has {list(table)}")


@pytest.mark.parametrize("missing", ["split", "sample", "vote"])
def test_the_same_of_long_files(tmp_path, missing):
    table, labels = long()
    table = table.drop(columns=missing)
    fails(tmp_path, rf"column {missing} is missing; it has \['model', ", table, labels)


def test_packed_labels_that_unfold_to_far_more_are_refused(tmp_path, monkeypatch):
    for module in (io, external_tables):
        monkeypatch.setattr(module, "NEVER_A_BOMB", 2**10)
    table, _ = long(1)
    table.to_parquet(tmp_path / "v.parquet")
    with gzip.open(tmp_path / "l.csv.gz", "wb") as file:
        file.write(b"sample,label\n" + b"0,0\n" * 10**6)
    with pytest.raises(io.DataError, match=r"l.csv.gz: \d+ bytes that unfold to \d+; allowed"):
        read_votes(str(tmp_path / "v.parquet"), str(tmp_path / "l.csv.gz"), 0.5, N, CLASSES, False)
