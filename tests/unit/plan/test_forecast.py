"""The forecast of a run: jobs counted as a dry run counts them, advice that holds, 80 columns."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from certbd.config import defences
from certbd.plan.forecast import advice, costs, forecast, rates, words
from certbd.plan.plan import Plan
from certbd.plan.targets import Targets
from conftest import ROOT

DEFAULT = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


@pytest.fixture(scope="module")
def plan():
    return Plan.read(DEFAULT, scripts=ROOT / "workflow" / "scripts")


def test_jobs_are_those_of_a_dry_run(plan):
    """`snakemake -n` of the default run: 84 jobs, with summary, page, three figures and all."""
    jobs = [job for own in costs.jobs_of(plan, Targets(plan).rows) for job in own]
    counts = {}
    for job in jobs:
        counts[job.stage] = counts.get(job.stage, 0) + 1
    assert counts == {
        "data": 3, "poison": 6, "undefended": 6, "sigma": 6, "models": 19, "votes": 19,
        "certificates": 19,
    }  # fmt: skip
    assert sum(job.models for job in jobs if job.stage == "models") == 19_000


def test_rows_that_share_everything_cost_nothing_of_their_own(plan):
    first = Targets(plan).rows[0]
    shared = costs.jobs_of(plan, [first, first])
    assert len(shared[0]) == 6
    assert shared[1] == []


def question(plan, defense):
    rows = [row for row in Targets(plan).rows if row[0].defense == defense]
    return advice.Question.of(plan, *rows[0])


@pytest.mark.parametrize("defense", defences.names())
def test_what_would_do_does_and_what_is_just_beyond_does_not(defense, plan):
    asked = question(plan, defense)
    said = advice.remedies(asked)
    models = [int(text.split()[1]) for text in said if text.startswith("n_models")]
    if not asked.holds():
        assert said
        for least in models:
            assert asked.with_models(least).holds()
            assert not asked.with_models(int(0.98 * least)).holds()
        key = defences.read(defense).searched
        for text in said:
            name, value, *_, direction = text.split()
            if name == key and direction == "more":
                assert asked.with_noise(key, float(value) * 1.01).holds()
                assert not asked.with_noise(key, float(value) * 0.95).holds()
        return
    limit = sum(plan.outlines[asked.run.dataset].training_counts)
    most = max(r for r in range(limit + 1) if r == 0 or asked.with_rows(r).holds())
    found = advice.reach(asked)
    assert found[0].split()[0] == str(most)
    size = float(found[1].split()[1])
    assert asked.with_size(size).holds()
    assert not asked.with_size(size * 1.02).holds()


def test_more_rows_drawn_than_hold_are_told_with_the_number_that_does(plan):
    asked = question(plan, "bagging").with_noise("n_drawn", 60)
    assert not asked.holds()
    (told,) = [text for text in advice.remedies(asked) if text.startswith("n_drawn")]
    most = int(told.split()[1])
    assert asked.with_noise("n_drawn", most).holds()
    assert not asked.with_noise("n_drawn", most + 1).holds()


def test_the_bound_for_more_classes_is_named(plan):
    rows = [row for row in Targets(plan).rows if row[0].dataset == "digits"]
    asked = advice.Question.of(plan, *rows[0])
    assert any("runner_up" in text for text in advice.remedies(asked))
    run, certification = rows[0]
    other = replace(asked, certification=certification._replace(bound="runner_up"))
    assert not any("runner_up" in text for text in advice.remedies(other))
    assert run.dataset == "digits"


def test_a_run_that_can_certify_nothing_says_so(plan):
    rows = Targets(plan).rows
    said = advice.warning(plan, rows)
    assert said.startswith("warning: ")
    assert "digits01/rab/sigma-0.25" in said
    able = [row for row in rows if row[0].defense in ("bagging", "statistic", "decoupled")]
    assert advice.warning(plan, able) == ""


def test_rates_are_measured_once_for_every_side_and_kept(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(rates, "MOST_SECONDS", 1.0)
    monkeypatch.setattr(rates, "_start", lambda kind: {"torch": 2.0, "tables": 1.0}[kind])
    file = tmp_path / "rates.json"
    table = forecast.forecast(plan, Targets(plan).rows, file, 2)
    kept = json.loads(file.read_text())
    assert len(kept["rates"]) == 9  # rab, cert_ssb and decoupled twice, three others
    assert all(np.all(np.array(rate) >= 0) and rate[1] > 0 for rate in kept["rates"].values())
    assert (table["seconds"] > 0).all()
    monkeypatch.setattr(rates, "measure", lambda *_: pytest.fail("measured again"))
    again = forecast.forecast(plan, Targets(plan).rows, file, 2)
    assert again["seconds"].tolist() == table["seconds"].tolist()
    kept["machine"] = "another"
    file.write_text(json.dumps(kept))
    assert rates.unknown(file, {"a"}) == 1


def test_words_fit_a_narrow_terminal(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(rates, "_start", lambda _: 1.0)
    monkeypatch.setattr(rates, "measure", lambda *_: rates.Rate(0.1, 0.01, 1e-7))
    table = forecast.forecast(plan, Targets(plan).rows, tmp_path / "rates.json", 2)
    said = words.describe(table, {"digits01": f"rows per class{forecast.units(plan, 'digits01')}"},
                          100.0, 2)  # fmt: skip
    lines = said.splitlines()
    assert max(map(len, lines)) <= 80
    text = " ".join(said.split())
    assert "CANNOT be certified, even if all 1000 models agree" in text
    assert "in all: 78 jobs and the tables, 19000 models, about 2 min on 2 cores" in text
    assert "a change of 0.5 in one value alone is 8 of its 17 levels" in text
