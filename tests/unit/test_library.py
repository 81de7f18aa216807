"""The library without the workflow: its page, its public names, votes to certificates."""

import re
import subprocess
import sys

import numpy as np
import pytest

import certbd
from certbd.theory import certificates
from conftest import ROOT

PAGE = (ROOT / "docs" / "library.md").read_text()
ENCODER = {"kind": "encoder", "network": "cnn", "weights": __file__}
GAUSSIAN = {"kind": "gaussian", "sigma": 1.0}
BLOCK = re.compile(r"^```(python|)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_the_page_runs_and_prints_what_it_shows(capsys):
    names: dict[str, object] = {}
    for language, text in BLOCK.findall(PAGE):
        if language == "python":
            exec(compile(text, "docs/library.md", "exec"), names)  # noqa: S102
        else:
            assert capsys.readouterr().out.split() == text.split()


def run(code):
    command = [sys.executable, "-c", f"import sys\nsys.path.insert(0, 'workflow/scripts')\n{code}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_import_certbd_loads_no_other_module():
    loaded = "[name for name in sys.modules if name.startswith('certbd.') or name == 'numpy']"
    assert run(f"import certbd\nprint({loaded})").strip() == "[]"


def test_votes_are_certified_without_torch():
    keys = "n_models=10, alpha=0.1, sigma_test=1, sigma_train=1, n_poisoned=1"
    call = f"certify_votes([[9, 1]], {keys})"
    code = f"from certbd import certify_votes, storage_update\nfound = {call}\n"
    code += "print(len(found), found.at[0, 'radius_trigger'] > 0, 'torch' in sys.modules)"
    assert run(code).split() == ["1", "True", "False"]


def test_without_torch_training_says_what_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    inputs, labels = np.zeros((4, 3), np.float32), np.arange(4) % 2
    side = {"kind": "gaussian", "sigma": 1.0}
    with pytest.raises(ModuleNotFoundError, match="the extra train brings: pip install"):
        certbd.train(
            inputs, labels, learner={"kind": "ridge"}, training=side, n_classes=2, n_models=2
        )


@pytest.mark.parametrize(
    ("learner", "training", "told"),
    [
        ({"kind": "resnet18", "pretrained": "x.safetensors"}, GAUSSIAN, "x.safetensors"),
        ({"kind": "class_sums"}, GAUSSIAN, "class_sums does not learn from what gaussian shows"),
        (
            {"kind": "ridge", "features": ENCODER},
            GAUSSIAN,
            "features of kind encoder, whose Lipschitz constant is not known, with training side",
        ),
        ({"kind": "ridge"}, {"kind": "bagging", "n_drawn": 9}, "n_drawn: 9 of 4 training inputs"),
        (
            {"kind": "ridge"},
            {"kind": "per_sample", "sigma": 1.0, "search": {}},
            "its noise is optimised by the workflow alone",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused(learner, training, told):
    inputs, labels = np.zeros((4, 3), np.float32), np.arange(4) % 2
    with pytest.raises((ValueError, OSError), match=told):
        certbd.train(inputs, labels, learner=learner, training=training, n_classes=2, n_models=2)


def test_every_public_name_is_found_and_an_unknown_one_is_refused():
    for name in certbd.__all__:
        assert getattr(certbd, name).__doc__, name
    with pytest.raises(AttributeError, match="certbd has no public name 'nothing'; it has bagging"):
        _ = certbd.nothing


def test_counts_and_votes_give_the_same_certificates():
    votes = np.random.default_rng(0).choice([-1, 0, 1, 2], (40, 300), p=[0.01, 0.8, 0.15, 0.04])
    counts = np.stack([(votes == c).sum(1) for c in range(3)], 1)
    known = {"n_models": 300, "alpha": 0.01, "sigma_test": 0.3, "sigma_train": 0.5}
    one = certbd.certify_votes(votes, n_classes=3, n_poisoned=4, **known)
    assert one.equals(certbd.certify_votes(counts, n_poisoned=4, **known))
    some = one[one["prediction"] == 0]
    assert len(some) == 40
    expected = certificates.trigger_radius(some["margin"], 0.3, 0.5, 4)
    np.testing.assert_allclose(some["radius_trigger"], expected)
    alone = certbd.certify_votes(counts, n_models=300, alpha=0.01)
    assert alone["radius_joint"].isna().all()


@pytest.mark.parametrize(
    ("given", "keys", "told"),
    [
        ([[3, 8]], {}, "votes of an input must be at most 10, not 11"),
        ([[3.5, 1]], {}, "votes_or_counts must be whole numbers, 0 or more"),
        ([[-1, 1]], {}, "votes_or_counts must be whole numbers, 0 or more"),
        ([1, 2], {}, "must have two axes"),
        ([[0, 9] + [0] * 8], {}, "10 columns, as many as n_models, and no n_classes"),
        ([[0, 1]], {"n_classes": 2}, "must have 10 votes per input"),
        ([[2] * 10], {"n_classes": 2}, "labels from -1 .no vote. to 1, not 2"),
        ([[9, 1]], {"bound": "magic"}, "'magic' is not in its KINDS; known: majority"),
        ([[9, 1]], {"bound": "kl"}, "needs scores"),
        ([[9, 1]], {"alpha": 0.0}, "alpha must be"),
    ],
)
def test_what_cannot_be_certified_is_refused(given, keys, told):
    with pytest.raises(ValueError, match=told):
        certbd.certify_votes(given, **{"n_models": 10, "alpha": 0.1} | keys)
