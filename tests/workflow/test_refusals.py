"""What cannot be run is refused before any job."""

import copy

import pytest
from test_workflow import SMALL

from conftest import Workflow


def one_change(**changes):
    config = copy.deepcopy(SMALL)
    for path, value in changes.items():
        *parents, key = path.split("__")
        entry = config
        for parent in parents:
            entry = entry[int(parent) if parent.isdigit() else parent]
        entry[key] = value
    return config


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (one_change(chunksize=10), "unknown key 'chunksize' (did you mean 'chunk_size'?)"),
        (
            one_change(experiments__0__attacks=["two_pixel"]),
            "experiments[0].attacks: 'two_pixel' is not defined under attacks; defined: blending",
        ),
        (
            one_change(noises={"small": {"sigma": -0.3}}),
            "noises.small.sigma: -0.3 is less than or equal to the minimum of 0; allowed: a number",
        ),
        (
            one_change(attacks={"one_pixel": {"kind": "one_pixel", "norm": 0.5, "rate": 0.003}}),
            "attacks.one_pixel on dataset digits01: rate: 0.003 of 265 training inputs is 0",
        ),
        (
            one_change(experiments__0__certify={"alpha": 1.0}),
            "experiments[0].certify.alpha: 1.0 is greater than or equal to the maximum of 1",
        ),
        (
            one_change(experiments__0__n_models=0),
            "experiments[0].n_models: 0 is less than the minimum of 1",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_before_any_job(tmp_path, config, named):
    workflow = Workflow(tmp_path, config)
    done = workflow.call("--cores", "1")
    assert done.returncode != 0
    assert named in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert [file.name for file in (tmp_path / "results").iterdir()] == [".gitignore"]
