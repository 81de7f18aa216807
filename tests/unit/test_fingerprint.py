import ast
import shutil

import pytest

from certbd.fingerprint import dependencies, fingerprint
from conftest import ROOT

SCRIPTS = ROOT / "workflow" / "scripts"
TRAINING = (
    "train_models.py",
    "collect_votes.py",
    "optimise_sigma.py",
    "train_undefended.py",
    "search_noise.py",
    "audit_certificates.py",
)
PLOTS = (
    "plot_certified_accuracy.py",
    "plot_sigma_distribution.py",
    "plot_attack_success.py",
    "plot_noise_search.py",
    "tabulate_reach.py",
    "build_report.py",  # the colours of methods
    "plot_audit.py",
)
AFTER_VOTES = (
    "certify_votes.py",
    "certify_external.py",
    "make_summary.py",
    "make_audit.py",
    *PLOTS,
)


@pytest.fixture
def scripts(tmp_path):
    shutil.copytree(SCRIPTS, tmp_path / "scripts")
    return tmp_path / "scripts"


def changed(scripts, edit):
    """Return the scripts whose fingerprint an edit changes."""
    files = list(scripts.glob("*.py"))
    before = {file.name: fingerprint(file) for file in files}
    edit(scripts / "certbd")
    return {file.name for file in files if fingerprint(file) != before[file.name]}


def append(module, text):
    return lambda package: (package / module).write_text((package / module).read_text() + text)


def test_editing_plots_redraws_figures_and_nothing_else(scripts):
    assert changed(scripts, append("plots.py", "\nX = 1\n")) == set(PLOTS)


def test_editing_rng_reruns_what_draws(scripts):
    assert changed(scripts, append("rng.py", "\nX = 1\n")) == {
        *TRAINING,
        "make_poison.py",
        "make_dataset.py",
        "certify_votes.py",  # query orders
        "certify_external.py",
        "make_audit.py",  # beside the checks of random numbers
    }


def test_comments_docstrings_and_layout_change_nothing(scripts):
    def edit(package):
        file = package / "rng.py"
        text = file.read_text().replace("def generator(", "\n\n# a comment\ndef generator(")
        file.write_text(text.replace('"""Return one generator for each index."""', '"""Other."""'))

    assert changed(scripts, edit) == set()


def test_a_script_depends_on_itself(scripts):
    before = fingerprint(scripts / "make_poison.py")
    (scripts / "make_poison.py").write_text((scripts / "make_poison.py").read_text() + "\nX = 1\n")
    assert fingerprint(scripts / "make_poison.py") != before


@pytest.mark.parametrize("script", AFTER_VOTES)
def test_stages_after_votes_never_import_torch(script):
    for file in dependencies(SCRIPTS / script):
        assert "import torch" not in file.read_text(), file
        assert "from torch" not in file.read_text(), file


def test_imports_only_point_down():
    floors = [
        *["checks", "axes", "fingerprint", "seals", "rng", "schemas", "contradictions"],
        *["config"],
        *["io", "logs", "noise", "weights", "external_tables", "external_checks"],
        *["domains", "subsets"],
        *["images", "tables", "sources", "datasets", "attacks", "draws", "models", "networks"],
        *["features", "closed_form", "ensembles", "votes", "sigma", "bounds", "certificates"],
        *["storage", "discrete", "tally", "claims", "guarantees", "rows", "coverage"],
        *["search", "certify", "external"],
        *["metrics", "plots", "products", "charts", "explorer", "report"],
        *["randomness", "outcomes", "worlds", "trials", "claim_trials", "attackers"],
        *["replacements", "audit", "audit_plots"],
    ]
    package = SCRIPTS / "certbd"
    assert {file.stem for file in package.glob("*.py")} == {"__init__", *floors}
    for level, name in enumerate(floors):
        assert _direct(package / f"{name}.py") <= set(floors[:level]), name


def _direct(file):
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "certbd":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("certbd."):
            names.add(node.module.split(".")[1])
    return names
