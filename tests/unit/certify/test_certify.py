import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from certbd.artifacts import schemas
from certbd.certify.certify import Paper, VotedSplit, certify_split, describe
from certbd.certify.tally import Tally
from certbd.config.axes import Certification
from certbd.report import metrics
from certbd.theory import bounds
from certbd.training.gaussian.guarantee import GaussianTraining

N = 1000
COUNTS = np.array([[990, 10], [300, 700], [501, 499], [0, 990], [500, 500]])
INPUTS = np.arange(5, dtype=np.float32)[:, None] * 10
TRAINING = GaussianTraining(np.full(40, 1.5), np.full(2, 20 * 1.5**2), 4, 0.2)

PAPER = {
    "decoupled": Paper(False, False), "rab": Paper(True, False), "external": Paper(True, False),
    "cert_ssb": Paper(True, True),
}  # fmt: skip


def certify(defense="decoupled", training=TRAINING, scores=None, **options):
    certification = Certification(N, "clopper_pearson", 0.001, "per_input")._replace(**options)
    tally = Tally(COUNTS, scores)
    split = VotedSplit("benign", INPUTS, np.array([0, 0, 0, 1, 1]), tally, np.full(5, 0.4))
    orders = np.random.default_rng(0)
    return certify_split(split, training, certification, 5, PAPER[defense], orders)


def test_predictions_and_abstentions():
    table = certify()
    assert table["prediction"].tolist() == [0, 1, -1, 1, -1]
    assert table["votes"].tolist() == [990, 700, 501, 990, 500]
    assert np.array_equal(table["p_lower"], bounds.clopper_pearson_lower(table["votes"], N, 0.0005))
    radii = table.loc[table["prediction"] == -1, ["radius_joint", "radius_trigger"]]
    assert (radii == 0).all(axis=None)


def test_radii():
    table = certify()
    margin = norm.ppf(table["p_lower"][0])
    assert table["margin"][0] == pytest.approx(margin)
    assert table["radius_joint"][0] == pytest.approx(margin * 0.4)
    general = margin / np.sqrt(1 / 0.4**2 + 4 / 1.5**2)
    statistic = margin / np.sqrt(1 / 0.4**2 + 4**2 / (20 * 1.5**2))
    assert table["radius_trigger_general"][0] == pytest.approx(general)
    assert table["radius_trigger_statistic"][0] == pytest.approx(statistic)
    assert table["radius_trigger"][0] == pytest.approx(max(general, statistic))
    assert table["radius_paper"].isna().all()


def test_other_learners_have_the_general_radius_alone():
    table = certify(training=TRAINING._replace(class_variance=None))
    assert table["radius_trigger_statistic"].isna().all()
    assert np.array_equal(table["radius_trigger"], table["radius_trigger_general"])


def test_an_attack_is_covered_strictly_below_the_radius():
    radius = certify()["radius_trigger"][0]
    at = certify(training=TRAINING._replace(norm=radius))
    below = certify(training=TRAINING._replace(norm=np.nextafter(radius, 0)))
    assert not at["covers_attack"][0]
    assert below["covers_attack"][0]
    none = certify(training=TRAINING._replace(n_poisoned=0, norm=None))
    assert none["covers_attack"].isna().all()


def test_without_training_noise_there_is_no_training_radius():
    table = certify("external", training=None)
    for column in ("radius_joint", "radius_trigger", "radius_trigger_general", "covers_attack"):
        assert table[column].isna().all()
    assert table["radius_paper"][0] == pytest.approx(0.4 * table["margin"][0])


def test_there_is_no_trigger_radius_for_an_unknown_number_of_poisoned_inputs():
    table = certify("external", training=TRAINING._replace(n_poisoned=None, norm=None))
    assert table["radius_trigger"].isna().all()
    assert table["covers_attack"].isna().all()
    assert (table["radius_joint"][:2] > 0).all()
    row = ROW | {"attack_norm": None, "n_poisoned": None, "target": None}
    summary = metrics.summarise(row, table, None)
    assert summary["average_joint_radius"] > 0
    assert summary["average_trigger_radius"] is summary["largest_trigger_radius"] is None


def test_every_bound_certifies_with_its_own_level():
    scores = np.array([[900, 100], [300, 700], [501, 499], [10, 900], [500, 500.0]])
    expected = {
        "clopper_pearson": bounds.clopper_pearson_lower(990, N, 0.0005),
        "majority": bounds.majority_lower(990, N, 0.001),
        "hoeffding": bounds.hoeffding_lower(0.9, N, 0.0005),
        "kl": bounds.kl_lower(0.9, N, 0.0005),
    }
    for bound, p_lower in expected.items():
        table = certify(bound=bound, scores=scores)
        assert table["p_lower"][0] == p_lower
        assert table["prediction"].tolist()[:2] == [0, 1]
        assert table["prediction"][2] == schemas.ABSTAIN
    with pytest.raises(ValueError, match="needs scores"):
        certify(bound="kl")


def test_multiplicity_shares_alpha_among_all_certificates():
    together = certify(multiplicity="simultaneous")
    alone = certify(alpha=0.001 / 5)
    assert np.array_equal(together["p_lower"], alone["p_lower"])


def test_published_radii():
    rab = certify("rab")
    assert rab["radius_paper"][0] == pytest.approx(0.4 * rab["margin"][0])
    assert rab["storage_action"].isna().all()
    ssb = certify("cert_ssb")
    assert ssb["storage_action"].tolist() == ["kept", "kept", "abstained", "kept", "abstained"]
    assert ssb["prediction_storage"].tolist() == [0, 1, -1, 1, -1]
    assert (ssb["storage_order_sensitivity"] == 0).all()
    assert "storage-update {'kept': 3, 'abstained': 2}, 0.00 %" in describe(ssb)


ROW = {
    "dataset": "d", "attack": "a", "defense": "rab", "noise": "n", "learner": "l", "seed": 0,
    "n_models": N, "bound": "clopper_pearson", "alpha": 0.001, "multiplicity": "per_input",
    "attack_norm": 0.5, "n_poisoned": 4, "target": 0, "covers_labels": False, "known_test": [],
    "given_threat": "", "threat": "one_pixel", "threat_rows": 4, "threat_how": "triggered",
    "threat_trigger": "l2", "threat_size": 0.5,
}  # fmt: skip


def certified_table():
    """Four benign and the four triggered inputs of two classes, by hand."""
    columns = ["split", "label", "prediction", "radius_trigger", "covers_attack"]
    rows = [
        ("benign", 0, 0, 0.9, True),
        ("benign", 0, 0, 0.3, False),
        ("benign", 1, 1, 0.6, True),
        ("benign", 1, 0, 0.8, True),
        ("triggered", 0, 0, 0.9, True),
        ("triggered", 0, 0, 0.9, True),
        ("triggered", 1, 1, 0.6, True),
        ("triggered", 1, 0, 0.7, True),
    ]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(
        prediction_storage=table["prediction"],
        radius_joint=table["radius_trigger"] / 2,
        radius_paper=table["radius_trigger"] * 2,
        radius_rows=np.nan,
        radius_rows_added=np.nan,
        storage_action=["kept", "trimmed"] * 4,
    )


def test_summary_row():
    undefended = pd.DataFrame(
        {"split": ["benign", "triggered", "triggered"], "label": [1, 1, 0], "prediction": [1, 0, 0]}
    )
    row = metrics.summarise(ROW, certified_table(), undefended)
    assert tuple(row) == metrics.SUMMARY
    assert row["n_test"] == 4
    assert row["undefended_accuracy"] == 1
    assert row["undefended_attack_success"] == 1
    assert row["clean_accuracy"] == 0.75
    assert row["attack_success"] == row["empirical_robust_accuracy"] == 0.5
    assert row["certified_at_attack"] == 0.5
    assert row["clean_certified_at_attack"] == 0.5
    assert row["clean_certified_at_attack_worst_class"] == 0.5
    assert row["average_trigger_radius"] == pytest.approx((0.9 + 0.3 + 0.6) / 4)
    assert row["average_paper_radius"] == pytest.approx(2 * (0.9 + 0.3 + 0.6) / 4)
    assert row["largest_trigger_radius"] == 0.9
    assert row["storage_trimmed"] == 4
    assert row["covers_labels"] is False
    assert row["median_rows"] is None


def test_test_inputs_known_to_be_poisoned_count_as_triggered():
    benign = certified_table().query("split == 'benign'").assign(sample=range(4))
    benign = benign.astype({"split": "category"})  # as it is read from Parquet
    row = ROW | {"attack_norm": None, "n_poisoned": 9, "target": None, "known_test": [1, 3]}
    summary = metrics.summarise(row, benign, benign)
    rest = benign.iloc[[0, 2]]
    assert summary["n_test"] == 2
    assert summary["n_poisoned"] == 9
    assert summary["clean_accuracy"] == (rest["prediction"] == rest["label"]).mean()
    for name in ("empirical_robust_accuracy", "certified_at_attack"):
        named = benign.iloc[[1, 3]]
        held = named["prediction"] == named["label"]
        held &= named["covers_attack"] if name == "certified_at_attack" else True
        assert summary[name] == held.mean()
    assert summary["attack_success"] is summary["undefended_attack_success"] is None
    lines = metrics.curves(row, benign, {"trigger": {"stop": 1, "step": 0.5}})
    splits = {axes[-2] for axes, _ in lines if "trigger" in axes}
    assert splits == {"benign", "triggered"}


@pytest.mark.parametrize(
    ("how", "counts", "median"),
    [
        ("replaced", [5, 3, 9, 7], 5),  # the last is predicted wrong
        ("replaced", [5, 0, -1, 7], 0),
        ("triggered", [5, -1, -1, 7], -1),  # fewer than half hold against none
        ("added", [2, 2, 1, 9], 2),
    ],
)
def test_median_rows_are_what_half_of_all_inputs_hold_against(how, counts, median):
    column = "radius_rows_added" if how == "added" else "radius_rows"
    table = certified_table().assign(**{column: counts + [9.0] * 4})
    row = metrics.summarise(ROW | {"threat_how": how}, table, None)
    assert row["median_rows"] == median
    right = np.array([True, True, True, False])
    stands = [np.mean(right & (np.array(counts) >= r)) for r in range(12)]
    assert median == max([r for r, share in enumerate(stands) if share >= 0.5], default=-1)


def test_summary_without_attack_leaves_attack_columns_empty():
    benign = certified_table().query("split == 'benign'").assign(covers_attack=None)
    undefended = pd.DataFrame({"split": ["benign"], "label": [1], "prediction": [1]})
    row = metrics.summarise(
        ROW | {"attack_norm": 0.0, "n_poisoned": 0, "target": None}, benign, undefended
    )
    for column in ("undefended_attack_success", "attack_success", "empirical_robust_accuracy",
                   "certified_at_attack", "clean_certified_at_attack"):  # fmt: skip
        assert row[column] is None
    assert row["clean_accuracy"] == 0.75


def curves_of(row, table, grid):
    return pd.DataFrame([point for _, line in metrics.curves(row, table, grid) for point in line])


def test_curves_count_right_predictions_with_a_radius_above_the_norm():
    """Norms are covered strictly below the radius: at the radius itself an input no longer counts.

    (Until then curves took a radius of R or more, and so counted radius 0, of which nothing is
    covered, at 0.)
    """
    grid = {"joint": {"stop": 0.4, "step": 0.1}, "trigger": {"stop": 0.9, "step": 0.3}}
    table = curves_of(ROW, certified_table(), grid)
    assert tuple(table) == metrics.CURVES
    trigger = table.query("certificate == 'trigger' and split == 'benign'").set_index("radius")
    assert trigger["certified_accuracy"].to_dict() == {0: 0.75, 0.3: 0.5, 0.6: 0.25, 0.9: 0}
    assert trigger["certified_rate"].to_dict() == {0: 1, 0.3: 0.75, 0.6: 0.5, 0.9: 0}
    paper = table.query("certificate == 'paper' and split == 'triggered'").set_index("radius")
    assert len(paper) == 11
    assert paper.loc[1.25, "certified_accuracy"] == 0
    assert paper.loc[1.0, "certified_accuracy"] == 0.5


def test_abstentions_are_certified_at_no_radius_not_even_0():
    table = certified_table()
    table.loc[0, ["prediction", "radius_trigger"]] = [schemas.ABSTAIN, 0.0]
    grid = {"trigger": {"stop": 0.3, "step": 0.3}}
    benign = curves_of(ROW, table, grid).query("split == 'benign' and certificate == 'trigger'")
    assert benign["certified_rate"].iloc[0] == 0.75


@pytest.mark.parametrize("radius", ["trigger", "joint", "paper"])
def test_predictions_whose_radius_is_0_are_certified_at_no_norm_not_even_0(radius):
    table = certified_table()
    table.loc[[0, 4], f"radius_{radius}"] = 0.0
    grid = {name: {"stop": 0.3, "step": 0.3} for name in ("trigger", "joint")}
    curves = curves_of(ROW | {"target": 1}, table, grid)
    curves = curves[curves["radius"] == 0].set_index(["certificate", "split"])
    for name in ("trigger", "joint", "paper"):
        benign, triggered = curves.loc[(name, "benign")], curves.loc[(name, "triggered")]
        assert benign["certified_accuracy"] == (0.5 if name == radius else 0.75)
        assert benign["certified_rate"] == (0.75 if name == radius else 1)
        assert triggered["certified_accuracy"] == (0.5 if name == radius else 1)


@pytest.mark.parametrize("name", ["rows", "l0"])
def test_numbers_of_changes_count_up_to_themselves_and_minus_1_nowhere(name):
    table = certified_table().assign(**{f"radius_{name}": [2, 0, -1, 1, 3, 0, -1, 2]})
    grid = {"rows": {"stop": 4, "step": 1}} if name == "rows" else {}
    curves = curves_of(ROW, table, grid).query("split == 'benign'")
    curve = curves[curves["certificate"] == name].set_index("radius")
    assert curve["certified_rate"].to_dict() == {0: 0.75, 1: 0.5, 2: 0.25, 3: 0, 4: 0}
    assert curve["certified_accuracy"].to_dict() == {0: 0.5, 1: 0.25, 2: 0.25, 3: 0, 4: 0}
