"""Figures for papers: fonts inside, the same bytes at any time."""

import re
import time

import pandas as pd
import pytest

from certbd.report import plots
from certbd.report.looks import Looks

LOOKS = Looks({"rab": {"majority": "#0072b2"}}, [])
SUMMARY = pd.DataFrame(
    {
        "attack": ["one_pixel"],
        "attack_norm": [0.5],
        "defense": ["rab"],
        "noise": ["sigma"],
        "learner": ["mlp"],
        "bound": ["majority"],
        "attack_success": [0.1],
        "undefended_attack_success": [0.9],
    }
)


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """The same figure, drawn now and a day later."""
    now = time.time()
    folders = []
    for day in range(2):
        monkeypatch.setattr(time, "time", lambda day=day: now + 86400 * day)
        folders.append(tmp_path / str(day))
        folders[-1].mkdir()
        plots.attack_success(SUMMARY, folders[-1] / "figure.svg", LOOKS)
    return folders


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_a_figure_has_the_same_bytes_on_another_day(drawn, suffix):
    first, second = ((folder / f"figure.{suffix}").read_bytes() for folder in drawn)
    assert first == second
    assert b"Date" not in first


def test_fonts_are_embedded(drawn):
    pdf = (drawn[0] / "figure.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    svg = (drawn[0] / "figure.svg").read_text()
    assert "<text" not in svg
    assert re.search(r'<path id="[^"]+" d="M', svg)
