"""Threats: what may be stated, what follows from them, and which defence covers which."""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest
import yaml

from certbd.config import defences
from certbd.config.config import ConfigError, read_config
from certbd.config.threats import Threat, posed
from certbd.plan.files import PlanError
from certbd.plan.plan import Plan
from conftest import ROOT

DEFAULT = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
NUMBERS = {"n_models": 1000, "seed": 0}


def experiment(**changes):
    own = {"dataset": "digits", "defense": "bagging", "noises": ["draw-12-test-0.35"]}
    return own | {"learner": "class_mean"} | NUMBERS | changes


def config(threats, /, **changes):
    listed = {} if "threats" in changes else {"threats": list(threats)}
    return DEFAULT | {"threats": threats, "experiments": [experiment(**listed | changes)]}


def plan_of(threats, /, **changes):
    return Plan.read(config(threats, **changes), scripts=ROOT / "workflow" / "scripts")


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({}, "no rows and no trigger"),
        ({"rows": 3, "share": 0.1}, "rows and share"),
        ({"norm": 0.1, "patch": 2}, "norm and patch; allowed: one"),
        ({"rows": 3, "how": "triggered"}, "triggered without a trigger"),
        ({"rows": 0}, "rows: 0 is less than"),
        ({"share": 0.0}, "share: 0.0 .*above 0"),
        ({"rows": 1, "how": "stolen"}, r"how: 'stolen' is not one of"),
        ({"rows": 1, "radius": 0.1}, "unknown key 'threats.t.radius'"),
    ],
)
def test_a_threat_that_says_nothing_or_too_much_is_refused(entry, told):
    with pytest.raises(ConfigError, match=told):
        read_config(config({"t": entry}))


@pytest.mark.parametrize(
    ("entry", "changes", "told"),
    [
        ({"rows": 3}, {"threats": ["u"]}, "'u' is not defined under threats; defined: t"),
        (
            {"rows": 3},
            {"defense": "decoupled", "noises": ["train-1-test-0.4"]},
            r"'t' \(3 rows replaced\) is nothing that defense decoupled covers; .*: bagging, stat",
        ),
        (
            {"rows": 3, "how": "added"},
            {"defense": "statistic", "noises": ["s-0.04-test-0.35"], "learner": "dct5_sums"},
            "allowed with it: how triggered or replaced.*defences that cover this: bagging",
        ),
        (
            {"rows": 3},
            {"defense": "discrete", "noises": ["beta-0.85"], "dataset": "digits01-binary",
             "learner": "mlp32-decay"},
            "defense discrete takes none; allowed: rab, cert_ssb, decoupled, bagging, statistic",
        ),
        ({"norm": 0.1}, {"noises": ["alone"]}, "'t' has a trigger, which noise alone does not"),
    ],
)  # fmt: skip
def test_what_a_defence_cannot_cover_is_refused(entry, changes, told):
    raw = config({"t": {"how": "replaced"} | entry}, **changes)
    raw = raw | {"noises": raw["noises"] | {"alone": {"n_drawn": 12, "sigma_test": 0}}}
    with pytest.raises(ConfigError, match=told):
        read_config(raw)


def test_under_a_simulated_attack_what_is_not_covered_stays():
    raw = config(
        {"t": {"rows": 3}}, dataset="digits01", attacks=["one_pixel"], defense="decoupled",
        noises=["train-1-test-0.4"],
    )  # fmt: skip
    plan = Plan.read(raw, scripts=ROOT / "workflow" / "scripts")
    ((run, certification),) = plan.config.rows
    assert (run.attack, certification.threat) == ("one_pixel", "t")
    settings = plan._threat_settings(run, certification)
    assert not settings["covered"]
    assert plan.attacks[run]["n_poisoned"] == 13


def test_threats_alone_take_the_data_as_they_come():
    raw = config({"a": {"share": 0.01}, "b": {"rows": 5, "norm": 0.2}})
    raw = {key: value for key, value in raw.items() if key != "attacks"}
    plan = Plan.read(raw, scripts=ROOT / "workflow" / "scripts")
    (first, a), (second, b) = plan.config.rows
    assert first == second
    assert first.attack == "none"
    n_rows = sum(plan.outlines["digits"].training_counts)
    assert plan.threats[first, a] == Threat(math.ceil(0.01 * n_rows), "replaced", "none", 0)
    assert plan.threats[first, b] == Threat(5, "replaced", "l2", 0.2)
    assert plan.attacks[first]["attack_norm"] is plan.attacks[first]["n_poisoned"] is None


def test_an_attack_called_none_that_simulates_one_is_refused():
    raw = config({"t": {"rows": 3}})
    raw = raw | {"attacks": {"none": {"kind": "one_pixel", "norm": 0.3, "rate": 0.1, "target": 0}}}
    with pytest.raises(ConfigError, match=r"attacks.none: kind one_pixel; allowed with an exper"):
        read_config(raw)


def test_neither_attacks_nor_threats_is_refused():
    raw = DEFAULT | {"experiments": [experiment()]}
    with pytest.raises(ConfigError, match="neither 'attacks' nor 'threats'"):
        read_config(raw)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"rows": 100_000}, "rows: 100000 of [0-9]+ training inputs"),
        ({"rows": 1, "patch": 9}, "patch: 9; allowed with images of 8 x 8 pixels: at most 8"),
        ({"pixels": 65}, "pixels: 65; .*: at most 64"),
    ],
)
def test_what_does_not_fit_the_data_is_refused_before_any_job(entry, told):
    with pytest.raises(PlanError, match=told):
        plan_of({"t": entry})


@pytest.mark.parametrize("how", ["added", "removed"])
def test_rows_added_or_removed_are_refused_where_they_would_draw_others_in_or_out(how, tmp_path):
    """Of rows that are split by position, each one behind moves to another place."""
    table = pd.DataFrame({"key": range(60), "x": np.arange(60) / 60, "y": ["n", "p"] * 30})
    table.to_csv(tmp_path / "t.csv", index=False)
    own = {"kind": "table", "path": "t.csv", "label_column": "y", "classes": ["n", "p"],
           "ranges": {"key": [0, 60]}}  # fmt: skip

    def plan(dataset):
        raw = config({"t": {"rows": 2, "how": how}}, dataset="mine")
        raw = raw | {"data_root": str(tmp_path), "undefended": "none"}
        raw = raw | {"datasets": raw["datasets"] | {"mine": dataset}}
        return Plan.read(raw, scripts=ROOT / "workflow" / "scripts")

    with pytest.raises(PlanError, match=f"by their positions, which move, so with rows {how} by"):
        plan(own)
    named = {key: value for key, value in own.items() if key != "ranges"} | {"id_column": "key"}
    plan(named)
    with pytest.raises(PlanError, match=r"subset.train keeps so many rows"):
        plan(named | {"subset": {"train": 30}})


def test_pixels_are_refused_of_an_attack_that_leaves_0_to_1():
    asked = partial(plan_of, dataset="digits01", defense="decoupled", noises=["train-1-test-0.4"])
    asked({"t": {"pixels": 1}}, attacks=["one_pixel"])
    with pytest.raises(PlanError, match=r"pixels takes inputs in .* which attack blending leaves"):
        asked({"t": {"pixels": 1}}, attacks=["blending"])


@pytest.mark.parametrize("n_rows", [1, 7, 100, 2300, 12_665])
@pytest.mark.parametrize("share", [0.01, 0.02, 0.03, 0.07, 0.1, 1.0])
def test_a_share_is_rounded_up_but_not_past_itself(n_rows, share):
    from fractions import Fraction

    exact = math.ceil(Fraction(str(share)) * n_rows)
    assert posed({"share": share, "how": "replaced"}, n_rows).rows == exact


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 6, 9)])
def test_the_norm_of_a_trigger_is_no_less_than_any_change_it_can_make(shape):
    generator = np.random.default_rng(0)
    known = {kind: Threat(1, "replaced", kind, size) for kind, size in
             [("linf", 0.1), ("pixels", 3), ("patch", 2)]}  # fmt: skip
    longest = dict.fromkeys(known, 0.0)
    for trial in range(300):
        clean = (generator.random(shape) > 0.5) if trial % 2 else generator.random(shape)
        clean = clean.astype(float)
        other = {"linf": clean + 0.1 * generator.choice([-1, 1], shape)}
        places = generator.choice(shape[1] * shape[2], 3, replace=False)
        moved = clean.reshape(shape[0], -1).copy()
        moved[:, places] = 1 - np.rint(moved[:, places])
        other["pixels"] = moved.reshape(shape)
        moved = clean.copy()
        moved[:, 1:3, 2:4] = 1 - np.rint(moved[:, 1:3, 2:4])
        other["patch"] = moved
        for kind, there in other.items():
            longest[kind] = max(longest[kind], np.linalg.norm(there - clean))
    for kind, threat in known.items():
        assert 0.95 * threat.norm(shape) < longest[kind] <= threat.norm(shape) * (1 + 1e-12)
    assert Threat(1, "replaced", "none", 0).norm(shape) is None
    assert Threat(1, "replaced", "l2", 0.3).norm(shape) == 0.3
    with pytest.raises(ValueError, match="l0"):
        Threat(1, "replaced", "l0", 3).norm(shape)


def test_which_defence_covers_which_rows():
    known = {name: defences.read(name) for name in defences.names()}
    for how, trigger, able in [
        ("triggered", "l2", {"rab", "cert_ssb", "decoupled", "bagging", "statistic"}),
        ("triggered", "none", set()),
        ("replaced", "none", {"bagging", "statistic"}),
        ("replaced", "l2", {"bagging", "statistic"}),
        ("added", "none", {"bagging"}),
        ("removed", "patch", {"bagging"}),
    ]:
        threat = Threat(3, how, trigger, 0.1)
        covered = {name for name, d in known.items() if d.covers_rows(threat)}
        assert covered == able, (how, trigger)
    alone = Threat(0, "replaced", "l2", 0.1)
    covered = {name for name, d in known.items() if d.covers_rows(alone)}
    assert covered == set(known) - {"discrete"}
