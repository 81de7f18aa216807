"""Target audit from raw digits to its tables and figure."""

import pandas as pd
import pytest

from certbd.audit import outcomes, randomness
from conftest import Workflow

AUDITING = {"audit_certificates", "make_audit", "plot_audit", "show_audit"}
CONFIG = {
    "chunk_size": 100,
    "undefended": "tiny",
    "learners": {
        "tiny": {"kind": "mlp", "hidden": 8, "epochs": 5, "batch_size": 64, "learning_rate": 0.01}
    },
    "noises": {"small": {"sigma": 0.3, "search": {"pilots": 2, "draws": 2, "steps": 3}}},
    "experiments": [
        {
            "dataset": "digits01",
            "attacks": ["one_pixel_0.3"],
            "defense": defense,
            "noises": [noise],
            "learner": learner,
            "n_models": 100,
            "certify": {"alpha": 0.01},
        }
        for defense, noise, learner in (
            ("cert_ssb", "small", "tiny"),
            ("bagging", "draw-12-test-0.35", "class_mean"),
        )
    ],
    "audit": {"inputs": 4, "models": 40, "network_inputs": 1},
}


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    workflow = Workflow(tmp_path_factory.mktemp("audit"), CONFIG)
    workflow.run("--cores", "2")
    assert "These results were not audited" in page_of(workflow)
    workflow.run("--cores", "2", "audit")
    return workflow


def test_every_certificate_is_tried_on_every_side(audited):
    audit = pd.read_csv(audited.folder / "results" / "audit.csv")
    assert tuple(audit.columns) == outcomes.AUDIT
    axes = list(outcomes.AXES)
    assert audit[axes].equals(audit.sort_values(axes, ignore_index=True)[axes])
    assert (audit["trials"] > 0).all()
    tried = {
        (defense, certificate, side)
        for defense, certificate, side in audit[["defense", "certificate", "side"]].to_numpy()
    }
    assert tried == {
        ("cert_ssb", "trigger", "claim"), ("cert_ssb", "joint", "test"),
        ("cert_ssb", "joint", "train"), ("cert_ssb", "joint", "both"),
        ("cert_ssb", "paper", "order"), ("bagging", "trigger", "claim"),
        ("bagging", "rows", "claim"), ("bagging", "trigger", "test"),
        ("bagging", "rows", "train"), ("bagging", "trigger", "both"),
    }  # fmt: skip
    inside = audit[outcomes.inside(audit)]
    assert outcomes.explained(inside["violations"].sum(), inside["trials"].sum(), 0.01)
    assert audit.loc[audit["scale"] == 4, "violations"].sum() > 3


def test_random_numbers_pass_and_a_figure_is_drawn(audited):
    checks = pd.read_csv(audited.folder / "results" / "noise_audit.csv")
    assert tuple(checks.columns) == randomness.NOISE_AUDIT
    assert set(checks["defense"]) == {"cert_ssb", "bagging"}
    assert checks["passed"].all()
    figure = (audited.folder / "results" / "figures" / "digits01" / "audit.svg").read_text()
    assert figure.startswith("<?xml")
    log = (audited.folder / "results" / "logs" / "make_audit.log").read_text()
    assert "within alpha" in log
    assert ", 0 failed" in log


def test_a_second_audit_does_nothing_and_a_run_has_none(audited):
    assert audited.plan("audit") == {}
    assert audited.plan() == {}


def test_another_budget_tries_anew_and_trains_nothing(audited):
    before = audited.config["audit"]
    audited.config["audit"] = before | {"inputs": 5}
    audited.write_config()
    jobs = {"audit_certificates": 2, "make_audit": 1, "plot_audit": 1, "show_audit": 1, "audit": 1}
    assert audited.plan("audit") == jobs
    assert audited.plan() == {}
    audited.config["audit"] = before
    audited.write_config()


def page_of(workflow):
    page = (workflow.folder / "results" / "report.html").read_text()
    return page.split('<section id="audit">')[1].split("</section>")[0]


def test_the_page_shows_the_audit_of_its_own_results_alone(audited):
    """After the audit the page has it; another configuration audits nothing and shows none."""
    assert "attack taken away" in page_of(audited)
    before = audited.config["experiments"]
    audited.config["experiments"] = [before[0] | {"certify": {"alpha": 0.02}}, before[1]]
    audited.write_config()
    jobs = audited.plan()
    assert jobs["certify_votes"] == jobs["build_report"] == 1
    assert not AUDITING & set(jobs)
    audited.run("--cores", "2")
    assert "These results were not audited" in page_of(audited)
    assert audited.plan() == {}
    audited.config["experiments"] = before[:1]
    audited.write_config()
    assert not AUDITING & set(audited.plan())
    audited.config["experiments"] = before
    audited.write_config()
    assert not AUDITING & set(audited.plan())
    audited.run("--cores", "2")
    assert "attack taken away" in page_of(audited)
    assert audited.plan() == audited.plan("audit") == {}


def test_a_page_made_again_keeps_its_audit(audited):
    template = audited.folder / "workflow" / "report" / "page" / "report.css"
    template.write_text(template.read_text() + "\nb { color: black }\n")
    assert audited.plan() == {"build_report": 1}
    audited.run("--cores", "2")
    assert "attack taken away" in page_of(audited)
    assert audited.plan() == {}
    assert set(audited.plan("audit")) <= {"show_audit", "audit"}  # which has the page's settings
    audited.run("--cores", "2", "audit")
    assert "attack taken away" in page_of(audited)
    assert audited.plan() == audited.plan("audit") == {}


def test_another_target_names_no_page(audited):
    """`Done. Look at` an old page after a run that did not make it would mislead."""
    (audited.folder / "results" / "reach.csv").unlink(missing_ok=True)
    done = audited.run("--cores", "1", "reach")
    assert f"Done. Look at {audited.folder / 'results' / 'reach.csv'}, " in done
    assert "report.html" not in done.split("Done. Look at ")[1]
