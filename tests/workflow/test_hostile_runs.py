"""Hostile configurations on the command line: one clear message, no shell, nothing left."""

import pytest

from conftest import Workflow

FOLDER = """
datasets:
  mine: {kind: image_folder, path: "$(touch pwned); touch 'pwned'"}
experiments:
  - dataset: mine
    attacks: [blending]
    defense: rab
    noises: [sigma-0.25]
    learner: mlp32
    n_models: 1000
"""


@pytest.mark.parametrize(
    ("text", "arguments", "named"),
    [
        ("a: [1", [], "not valid JSON or YAML"),
        ("a: !!python/object/apply:os.system ['touch pwned']", [], "not valid JSON or YAML"),
        (
            "datasets: {'../../pwned': {kind: digits}}",
            [],
            "datasets: '../../pwned' does not match",
        ),
        (FOLDER, ["--config", "data_root=`touch pwned`"], "`touch pwned`/$(touch pwned); touch"),
    ],
)
def test_hostile_configurations_are_refused(tmp_path, text, arguments, named):
    folder = tmp_path / "inside" / "here"
    folder.mkdir(parents=True)
    workflow = Workflow(folder)
    (folder / "bad.yaml").write_text(text)
    done = workflow.call("--cores", "1", "--configfile", "bad.yaml", *arguments)
    assert done.returncode != 0
    assert named in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not list(tmp_path.rglob("pwned*"))
    assert [file.name for file in (folder / "results").iterdir()] == [".gitignore"]
    assert {entry.name for entry in folder.iterdir()} <= {
        *("Snakefile", "workflow", "config", "profiles", "envs", "results", "bad.yaml"),
        ".snakemake",
    }
