import ast
import re
import shutil
from graphlib import TopologicalSorter

import pytest

from certbd.artifacts.fingerprint import (
    _imported_names,
    check_loaded,
    dependencies,
    fingerprint,
)
from certbd.config import defences, entries
from conftest import ROOT

CONTAINERS = (ast.Tuple, ast.List, ast.Set, ast.Dict)
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


def test_modules_in_folders_count_wherever_they_are_imported(scripts):
    folder = scripts / "certbd" / "deep" / "deeper"
    folder.mkdir(parents=True)
    for place in (folder.parent, folder):
        (place / "__init__.py").write_text('"""What lives here."""\n')
    (folder / "own.py").write_text("from certbd.deep.deeper import other\n\nX = other.Y\n")
    (folder / "other.py").write_text("Y = 1\n")
    (scripts / "one.py").write_text("from certbd.deep.deeper.own import X\n")
    (scripts / "two.py").write_text("def f():\n    import certbd.deep.deeper.own as own\n")
    names = {file.name for file in changed_files(scripts, ("one.py", "two.py"))}
    assert names == {"one.py", "two.py", "own.py", "other.py"}
    assert changed(scripts, append("deep/deeper/other.py", "\nZ = 2\n")) == {"one.py", "two.py"}
    (scripts / "one.py").write_text("if TYPE_CHECKING:\n    from certbd.deep.deeper.own import X\n")
    assert dependencies(scripts / "one.py") == [scripts / "one.py"]
    (scripts / "three.py").write_text("from .certbd import rng\n")
    with pytest.raises(ValueError, match="a relative import"):
        fingerprint(scripts / "three.py")


def changed_files(scripts, names):
    return {file for name in names for file in dependencies(scripts / name)}


def test_a_job_may_load_no_module_that_its_fingerprint_does_not_cover(scripts):
    script = scripts / "make_poison.py"
    covered = [
        ".".join(file.relative_to(scripts).with_suffix("").parts)
        for file in dependencies(script)[1:]
    ]
    check_loaded(script, [], [*covered, "certbd", "certbd.plan", "numpy", "certbd_other.bounds"])
    with pytest.raises(RuntimeError, match=r"make_poison.py: module certbd.theory.bounds was"):
        check_loaded(script, [], [*covered, "certbd.theory.bounds"])
    with pytest.raises(RuntimeError, match=r"module certbd.plan.paths was loaded"):
        check_loaded(script, [], [*covered, "certbd.plan.paths"])


def test_a_job_may_load_the_entries_that_it_says_it_uses(scripts):
    script, kind = scripts / "make_poison.py", "certbd.attacks.kinds.one_pixel"
    with pytest.raises(RuntimeError, match=f"module {kind} was loaded"):
        check_loaded(script, ["certbd.attacks.kinds.blending"], [kind])
    check_loaded(script, [kind], [kind])
    assert fingerprint(script, [kind]) != fingerprint(script)
    assert changed(scripts, append("attacks/kinds/one_pixel.py", "\nX = 1\n")) == set()


def test_init_files_hold_a_docstring_and_names_alone():
    """They are left out of fingerprints. The top one finds public names, which no job asks for."""
    for file in (SCRIPTS / "certbd").rglob("__init__.py"):
        body = ast.parse(file.read_text()).body[1:]
        if file.parent.name != "certbd":
            assert [ast.unparse(node).split(" = ")[0] for node in body] in ([], ["KINDS"]), file


def test_nothing_but_rules_and_tests_uses_the_plan():
    for file in SCRIPTS.rglob("*.py"):
        if "plan" not in file.parts and file.name != "show_plan.py":
            assert "certbd.plan" not in file.read_text(), file


def test_editing_plots_redraws_figures_and_nothing_else(scripts):
    assert changed(scripts, append("report/looks.py", "\nX = 1\n")) == set(PLOTS)
    assert changed(scripts, append("report/plots.py", "\nX = 1\n")) == set(PLOTS) - {
        "build_report.py",
        "plot_audit.py",
    }


def test_editing_rng_reruns_what_draws(scripts):
    assert changed(scripts, append("rng.py", "\nX = 1\n")) == {
        *TRAINING,
        "make_poison.py",
        "certify_votes.py",  # query orders
        "certify_new.py",
        "certify_external.py",
        "collect_new_votes.py",
        "show_plan.py",
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
    used = [
        entries.name_of(folder, kind, part)
        for folder, parts in (
            (entries.TRAINING, ("entry", "guarantee")),
            (entries.TESTING, ("",)),
            (entries.BOUNDS, ("",)),
        )
        for kind in entries.names(folder)
        for part in parts
    ]
    for file in dependencies(SCRIPTS / script, used if script.startswith("certify") else []):
        names = _imported_names(file.read_text())
        assert "torch" not in {name.split(".")[0] for name in names}, file


FOLDERS = (
    *["artifacts", "config", "theory", "data", "attacks", "learners", "training", "testing"],
    *["defences", "certify", "audit", "report", "plan"],
)
"""From the ground up; `rng` is below them all, and `library` above."""
PACKAGE = SCRIPTS / "certbd"


def test_imports_only_point_down():
    assert {file.name for file in PACKAGE.glob("*.py")} == {"__init__.py", "library.py", "rng.py"}
    folders = {file.relative_to(PACKAGE).parts[0] for file in PACKAGE.glob("*/**/*.py")}
    assert folders == set(FOLDERS)
    for level, folder in enumerate(FOLDERS):
        modules = {
            file.relative_to(PACKAGE).with_suffix("").parts: _direct(file)
            for file in (PACKAGE / folder).rglob("*.py")
        }
        for name, imported in modules.items():
            read_by_audit = name[0] == "training" and name[-1] == "audit"
            level_of = FOLDERS.index("audit") if read_by_audit else level
            assert {other[0] for other in imported} <= {"rng", *FOLDERS[: level_of + 1]}, name
        own = {name: {m for m in found if m in modules} for name, found in modules.items()}
        TopologicalSorter(own).prepare()  # raises where modules of a folder import in a circle


def test_no_folder_is_crowded_and_no_module_long():
    for folder in {file.parent for file in PACKAGE.rglob("*.py")}:
        assert len(list(folder.glob("*.py"))) <= 12 + 1, folder
    for file in [*PACKAGE.rglob("*.py"), *(SCRIPTS.parent / "rules").glob("*.smk")]:
        assert len(file.read_text().splitlines()) <= 300, file
    common = SCRIPTS.parent / "rules" / "common.smk"
    assert len(common.read_text().splitlines()) <= 60


def test_nothing_asks_which_defence_this_is():
    """What differs between them stands in their entries; a file's own settings may be looked at."""
    asks = re.compile(r"defense (==|!=|in)|\bin noise\b")
    files = [file for kind in ("*.py", "*.smk") for file in SCRIPTS.parent.rglob(kind)]
    lines = [(file.name, line) for file in files for line in file.read_text().splitlines()]
    assert len(files) > 100
    assert [found for found in lines if asks.search(found[1])] == []
    names = {*defences.names(), *entries.names(entries.TRAINING)}
    compared = [
        (file.name, name) for file in SCRIPTS.rglob("*.py") for name in _compared(file) & names
    ]
    assert compared == [("external_checks.py", "gaussian")]


def test_a_defence_that_is_asked_for_is_found(tmp_path):
    file = tmp_path / "asks.py"
    for line in (
        'row["defense"] == "rab"', 'name in ("rab", "x")', 'name.startswith("rab")',
        '{"rab": 1}[name]', 'table["rab"]',
    ):  # fmt: skip
        file.write_text(line)
        assert "rab" in _compared(file), line
    file.write_text('Defence(training="rab")')
    assert _compared(file) == set()


def _compared(file):
    """Return the texts that a file compares with, looks up or branches by."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        asked = []
        if isinstance(node, ast.Compare):
            asked = [node.left, *node.comparators]
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) != "Literal":
            asked = [node.slice, node.value]
        elif isinstance(node, ast.MatchValue):
            asked = [node.value]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            asked = node.args if node.func.attr in ("startswith", "endswith", "get") else []
        for part in asked:
            inside = ast.walk(part) if isinstance(part, CONTAINERS) else [part]
            found |= {leaf.value for leaf in inside if isinstance(leaf, ast.Constant)}
    return {text for text in found if isinstance(text, str)}


def _direct(file):
    """Return the modules of the package that a module imports, each as its parts."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "certbd":
            for alias in node.names:
                parts = (*node.module.split(".")[1:], alias.name)
                is_module = PACKAGE.joinpath(*parts).with_suffix(".py").is_file()
                names.add(parts if is_module or len(parts) == 1 else parts[:-1])
    return names
