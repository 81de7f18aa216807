import copy

import pytest
import yaml

from certbd.config import defences
from certbd.config.config import ConfigError, read_config
from conftest import CONFIGS, ROOT

DEFAULT = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


def read(change=None):
    raw = copy.deepcopy(DEFAULT)
    if change:
        change(raw)
    return read_config(raw)


def test_the_default_run():
    config = read()
    pairs = {run.dataset for run, _ in config.rows}
    assert pairs == {"digits01", "digits", "digits01-binary"}
    assert {run.defense for run, _ in config.rows} == {*defences.names()}
    assert all(certification.n_models == 1000 for _, certification in config.rows)


def test_defaults_are_filled_in():
    def strip(raw):
        del raw["experiments"][0]["certify"], raw["experiments"][0]["seed"], raw["chunk_size"]

    config = read(strip)
    run, certification = config.rows[0]
    assert run.seed == 0
    assert certification == (1000, "majority", 0.001, "per_input", "")
    assert config.chunk_size == 1000
    assert config.noises["sigma-0.25"]["search"]["pilots"] == 8


@pytest.mark.parametrize("value", [True, False])
def test_truth_from_the_command_line_is_truth(value):
    """Snakemake hands ``--config keep_models=false`` over as text."""
    assert read(lambda raw: raw.update(keep_models=str(value).lower())).keep_models is value
    with pytest.raises(ConfigError, match="keep_models: 'no' is not of type 'boolean'"):
        read(lambda raw: raw.update(keep_models="no"))


def test_chunks_are_named_by_their_models():
    config = read(lambda raw: raw.update(chunk_size=500))
    assert config.chunks(1000) == ["0-499", "500-999"]
    assert config.chunks(1001) == ["0-499", "500-999", "1000-1000"]
    assert config.chunks(7) == ["0-6"]


def experiment(key, value):
    return lambda raw: raw["experiments"][1].__setitem__(key, value)


def certify(key, value):
    return lambda raw: raw["experiments"][1]["certify"].__setitem__(key, value)


def dataset(**entry):
    return lambda raw: raw["datasets"].update(mine=entry)


def table(**entry):
    return dataset(**{"kind": "table", "path": "x.csv", "label_column": "y"} | entry)


def searched(**entry):
    common = {"dataset": "digits01", "attack": "one_pixel", "learner": "class_mean"}
    return lambda raw: raw.update(searches={"s": common | {"sigma_test": [0.3]} | entry})


def encoder(**entry):
    weights = {"kind": "encoder", "network": "cnn", "weights": "x"}
    learner = {"kind": "class_sums", "features": weights | entry}
    return lambda raw: raw["learners"].update(encoded=learner)


def test_a_search_has_the_parameter_of_its_defense():
    for entry in (
        {"sigma_train": [1.0]},
        {"defense": "bagging", "n_drawn": [6]},
        {"defense": "statistic", "sigma_statistic": [0.04], "learner": "dct5_sums"},
    ):
        found = read(searched(**entry)).searches["s"]
        assert found["defense"] == entry.get("defense", "decoupled")


@pytest.mark.parametrize(
    ("entry", "filled"),
    [
        ({"kind": "mnist"}, {"path": ".", "classes": [0, 1], "download": False}),
        ({"kind": "cifar10"}, {"path": ".", "classes": ["airplane", "bird"], "download": False}),
        (
            {"kind": "imagenette"},
            {"path": ".", "classes": ["English springer", "tench"], "download": False},
        ),
        ({"kind": "image_folder", "path": "x"}, {}),
        ({"kind": "table", "path": "x", "label_column": "y"}, {"header": True}),
        ({"kind": "npz", "path": "x", "ranges": [0, 255]}, {}),
    ],
)
def test_published_defaults_of_datasets(entry, filled):
    assert read(dataset(**entry)).datasets["mine"] == entry | filled


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            certify("alhpa", 0.1),
            r"unknown key 'experiments\[1\].certify.alhpa' \(did you mean 'alpha'",
        ),
        (lambda raw: raw.update(chunksize=5), "unknown key 'chunksize'.*'chunk_size'"),
        (
            lambda raw: raw["attacks"]["blending"].update(kind="blend"),
            "attacks.blending.kind: 'blend'",
        ),
        (
            experiment("attacks", ["two_pixel"]),
            r"experiments\[1\].attacks: 'two_pixel' is not defined",
        ),
        (
            lambda raw: raw["noises"]["sigma-0.5"].update(sigma=-1),
            r"noises.sigma-0.5.sigma: -1 .*above 0",
        ),
        (
            lambda raw: raw["attacks"]["blending"].update(rate=0),
            r"attacks.blending.rate: 0 .*above 0",
        ),
        (certify("alpha", 0), r"experiments\[1\].certify.alpha: 0 .*between 0 and 1"),
        (certify("alpha", 1e-300), r"certify.alpha: 1e-300 .*between 0 and 1, from 1e-50 on"),
        (certify("alpha", 9e-51), r"certify.alpha: 9e-51 .*between 0 and 1, from 1e-50 on"),
        (certify("alpha", 1), r"experiments\[1\].certify.alpha: 1 .*between 0 and 1"),
        (certify("alpha", float("nan")), r"experiments\[1\].certify.alpha: nan is not a finite"),
        (certify("alpha", "1e-3"), "alpha: '1e-3' is not of type 'number'.*without quotes"),
        (experiment("n_models", 0), r"experiments\[1\].n_models: 0 is less than .*1"),
        (
            experiment("dataset", "digit"),
            r"experiments\[1\].dataset: 'digit' .*defined: digits, digits01",
        ),
        (experiment("learner", "cnn"), "learner: 'cnn' is not defined under learners"),
        (
            experiment("defense", "decoupled"),
            "noises.sigma-0.25: .* needs sigma_train and sigma_test",
        ),
        (experiment("noises", []), r"experiments\[1\].noises: \[\] "),
        (experiment("seed", -1), r"experiments\[1\].seed: -1"),
        (lambda raw: raw["datasets"].update(Big={"kind": "digits"}), "'Big' does not match"),
        (
            lambda raw: raw["noises"].update({0.25: {"sigma": 0.25}}),
            "noises: the name 0.25 is not text",
        ),
        (lambda raw: raw["datasets"]["digits"].update(classes=[1]), "datasets.digits.classes: "),
        (
            lambda raw: raw["learners"]["class_mean"].update(epochs=3),
            "'learners.class_mean.epochs'",
        ),
        (
            lambda raw: raw.update(undefended="class_mean"),
            "undefended: 'class_mean' is not a network",
        ),
        (lambda raw: raw["experiments"].append(raw["experiments"][0]), "listed more than once"),
        (lambda raw: raw.update(experiments=[]), "experiments: "),
        (
            lambda raw: raw["datasets"]["digits"].pop("kind"),
            "datasets.digits: 'kind' is a required",
        ),
        (
            dataset(kind="mnist", classes=[0, 10]),
            r"datasets.mine.classes\[1\]: 10 is greater than the maximum of 9",
        ),
        (dataset(kind="mnist", classes=[1, 1]), "datasets.mine.classes: .*non-unique"),
        (
            dataset(kind="imagenette", classes=["tench", "trench"]),
            r"classes\[1\]: 'trench' is not one of \['tench', 'English springer'",
        ),
        (dataset(kind="cifar10", label_column="y"), "unknown key 'datasets.mine.label_column'"),
        (dataset(kind="image_folder"), "datasets.mine: 'path' is a required"),
        (dataset(kind="image_folder", path="x", size=0), "datasets.mine.size: 0 .*pixels"),
        (dataset(kind="image_folder", path="x", download=True), "unknown key 'datasets.mine.down"),
        (table(label_column=None), "datasets.mine.label_column: None .*name of the column"),
        (table(label_column=3), "label_column: 3; allowed with header true: the column's name"),
        (table(header=False), "label_column: 'y'; allowed with header false: its number from 0"),
        (table(ranges=[1, 1]), r"datasets.mine.ranges: \[1, 1\]; allowed: low below high"),
        (table(ranges={"x": [2, 1]}), r"datasets.mine.ranges.x: \[2, 1\]; allowed: low below"),
        (table(ranges={"x": [1]}), r"datasets.mine.ranges.x: \[1\] is too short.*low, high"),
        (table(ranges=[0, 1, 2]), r"datasets.mine.ranges: \[0, 1, 2\] is too long"),
        (table(classes=[1, "1"]), "datasets.mine.classes: 1 is named more than once"),
        *(
            (
                dataset(kind="image_folder", path="x", classes=yaml.safe_load(f"[{classes}]")),
                rf"datasets.mine.classes\[{place}\]: .* is not of type .*; quote them: \"yes\"\)",
            )
            for classes, place in [
                ("yes, no", 0),
                ("Yes, No", 1),
                ("on, off", 0),
                ("a, null", 1),
                ("~, b", 0),
                ("1.0, b", 0),
                ("a, 2024-01-31", 1),
                ("true, b", 0),
            ]
        ),
        (dataset(kind="npz", path="x", ranges={"x": [0, 1]}), "ranges: .* is not of type 'array'"),
        (
            lambda raw: raw["noises"].update(b={"beta": 0.5}),
            r"noises.b.beta: 0.5 with values: 2; allowed: above 1/2 \(drawn at random\), below 1",
        ),
        (lambda raw: raw["noises"].update(b={"beta": 0.1, "values": 10}), "allowed: above 1/10"),
        (lambda raw: raw["noises"].update(b={"beta": 1}), "noises.b.beta: 1 is .*below 1"),
        (
            lambda raw: raw["noises"].update(b={"beta": 0.9, "values": 1}),
            "noises.b.values: 1 is less than the minimum of 2; allowed: number K of values",
        ),
        (lambda raw: raw.update(audit={"inputs": 0}), "audit.inputs: 0 is less"),
        (lambda raw: raw.update(audit={"input": 9}), "'audit.input' .did you mean 'inputs'"),
        (lambda raw: raw.update(reach={"values": [1]}), r"reach.values\[0\]: 1 is less"),
        (
            lambda raw: raw.update(reach={"values": [2], "betas": [0.4]}),
            "reach.betas: 0.4 with values: 2; allowed: above 1/2",
        ),
        (
            lambda raw: next(
                entry for entry in raw["experiments"] if entry["defense"] == "discrete"
            ).update(learner="class_mean"),
            r"experiments\[\d\].learner: kind nearest_class_mean; allowed with defense discrete: "
            "ridge, mlp",
        ),
        (
            lambda raw: raw["experiments"][0].update(defense="discrete"),
            r"noises.sigma-0.25: experiments\[0\] with defense discrete needs beta",
        ),
        (dataset(kind="digits", binarise=0), "datasets.mine.binarise: 0 is .*threshold"),
        (dataset(kind="digits", subset={"train": 0}), "datasets.mine.subset.train: 0 is less"),
        (searched(), "searches.s: none; allowed with defense decoupled: sigma_train"),
        (
            searched(defense="bagging", sigma_train=[1.0], n_drawn=[6]),
            "searches.s: n_drawn and sigma_train; allowed with defense bagging: n_drawn",
        ),
        (
            searched(defense="statistic", sigma_statistic=[0.1]),
            "searches.s.learner: kind nearest_class_mean; allowed with defense statistic: class_s",
        ),
        (
            searched(learner="dct5_sums", sigma_train=[1.0]),
            "searches.s.learner: kind class_sums; allowed with defense dec",
        ),
        (
            lambda raw: next(
                entry for entry in raw["experiments"] if entry["defense"] == "discrete"
            )["certify"].update(bound="runner_up"),
            r"experiments\[\d\].certify.bound: runner_up; allowed with defense discrete: any other",
        ),
        (encoder(network="vit"), "learners.encoded.features.network: 'vit' .*allowed: resnet18"),
        (encoder(weights=""), "learners.encoded.features.weights: .*safetensors file"),
        (encoder(scale=[0]), r"learners.encoded.features.scale\[0\]: 0 .*above 0"),
        (
            lambda raw: raw["noises"]["sigma-0.5"].update(search={"bounds": [2, 4]}),
            r"noises.sigma-0.5.search.bounds: \[2, 4\]",
        ),
    ],
)
def test_mistakes_are_named_with_what_is_allowed(change, named):
    with pytest.raises(ConfigError, match=named):
        read(change)


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (lambda raw: raw.update(keep_models="no"), r"'no' .*\(true or false, without quotes\)"),
        (lambda raw: raw.update(keep_models="True"), r"\(true or false, without quotes\)"),
        (dataset(kind="mnist", download="yes"), r"\(true or false, without quotes\)"),
        (lambda raw: raw.update(chunk_size="many"), r"\(a number is written without quotes"),
        (lambda raw: raw.update(chunk_size=10.0), r"\(a whole number is written without a dot\)"),
        (lambda raw: raw.update(data_root=7), r"data_root: 7 .*are no text; quote them: .yes.\)"),
        (lambda raw: raw.update(data_root=False), r"False .*are no text; quote them: .yes.\)"),
        (table(classes=[True, False]), r"classes\[0\]: True .*are no text; quote them: .yes.\)"),
        (table(classes=[1.5, 2]), r"classes\[0\]: 1.5 .*are no text; quote them: .yes.\)"),
        (table(classes="yes"), r"classes: 'yes' .*\(a list is written \[a, b\], in a file\)"),
        (experiment("attacks", "blending"), r"attacks: 'blending' .*\(a list is written"),
        (lambda raw: raw.update(datasets="mnist"), r"'mnist' .*\(it needs keys of its own"),
    ],
)
def test_a_wrong_type_is_told_how_the_right_one_is_written(change, hint):
    with pytest.raises(ConfigError, match=hint) as refusal:
        read(change)
    text = str(refusal.value)
    assert text.count("without quotes") + text.count("in quotes") <= len(text.splitlines())


def votes_from_elsewhere(**other):
    def change(raw):
        entry = {"kind": "external", "votes": "v.parquet", "n_classes": 2, "n_models": 10}
        entry |= {"sigma_test": 0.25, "sigma_train": 1.0, "dataset": "a"}
        raw["experiments"] = [entry, entry | {"dataset": "b"} | other]

    return change


@pytest.mark.parametrize(
    ("key", "value"), [("sigma_test", 0.1), ("sigma_train", 2.0), ("n_classes", 3), ("n_models", 9)]
)
def test_one_file_of_votes_has_one_noise_and_one_size(key, value):
    read(votes_from_elsewhere())
    read(votes_from_elsewhere(**{key: value, "votes": "w.parquet"}))
    message = rf"experiments\[1\].{key}: {value}, but .* in another external experiment"
    with pytest.raises(ConfigError, match=message):
        read(votes_from_elsewhere(**{key: value}))


def test_every_mistake_is_told_at_once_and_once():
    def change(raw):
        raw["noises"]["sigma-0.5"]["sigma"] = -1
        raw["attacks"]["blending"]["kind"] = "blend"

    with pytest.raises(ConfigError) as caught:
        read(change)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2


def test_shipped_configs_lie_in_their_folders():
    found = {path.relative_to(ROOT / "config") for path in (ROOT / "config").rglob("*.yaml")}
    assert {str(path) for path in found if path.parts[0] != "schemas"} == set(CONFIGS)


def test_what_the_default_config_defines_is_defined_nowhere_else():
    for file in set(CONFIGS) - {"config.yaml"}:
        raw = yaml.safe_load((ROOT / "config" / file).read_text())
        for table in ("datasets", "attacks", "noises", "learners"):
            assert raw.get(table, {}).keys() & DEFAULT[table].keys() == set(), (file, table)


def test_no_two_shipped_configs_define_one_name_differently():
    defined = {}
    for file in CONFIGS:
        raw = yaml.safe_load((ROOT / "config" / file).read_text())
        for table in ("datasets", "attacks", "noises", "learners"):
            for name, entry in raw.get(table, {}).items():
                assert defined.setdefault((table, name), entry) == entry, (file, table, name)


@pytest.mark.parametrize(
    ("defense", "noise", "learner", "named"),
    [
        ("statistic", "s-0.04-test-0.35", "class_mean", "with defense statistic: class_sums"),
        (
            "decoupled",
            "train-1-test-0.4",
            "dct5_sums",
            "class_sums; allowed with defense decoupled: n",
        ),
        ("decoupled", "train-1-test-0.4", "encoded_means", "features of kind encoder, whose Lips"),
        ("rab", "sigma-0.25", "dct_means", "features are for decoupled, bagging, statistic"),
        ("statistic", "draw-12-test-0.35", "dct5_sums", "needs sigma_statistic"),
        ("decoupled", "silent", "class_mean", "sigma_test: 0; allowed with defense decoupled"),
    ],
)
def test_what_does_not_fit_a_defence_is_refused(defense, noise, learner, named):
    def change(raw):
        raw["noises"]["silent"] = {"sigma_train": 1.0, "sigma_test": 0}
        encoded = {"kind": "encoder", "network": "cnn", "weights": "x"}
        dct = {"kind": "dct", "size": 4}
        for name, features in (("dct_means", dct), ("encoded_means", encoded)):
            raw["learners"][name] = {"kind": "nearest_class_mean", "features": features}
        raw["experiments"][0] |= {"defense": defense, "noises": [noise], "learner": learner}

    with pytest.raises(ConfigError, match=named):
        read(change)


def test_without_test_noise_rows_alone_are_covered():
    def change(raw):
        raw["noises"]["silent"] = {"n_drawn": 12, "sigma_test": 0}
        raw["experiments"] = [raw["experiments"][0] | {"defense": "bagging", "noises": ["silent"],
                                                       "learner": "class_mean"}]  # fmt: skip

    config = read(change)
    run, _ = config.rows[0]
    assert config.training_side(run).settings() == {"kind": "bagging", "n_drawn": 12}
    assert not config.test_side(run).is_noisy
