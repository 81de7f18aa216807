"""The picture of the rules shows the workflow as it is."""

import re

from conftest import ROOT, Workflow

FIGURE = ROOT / "docs" / "figures" / "rulegraph"
REMEDY = (
    "draw it again: snakemake --rulegraph > docs/figures/rulegraph.dot && "
    "dot -Tsvg docs/figures/rulegraph.dot > docs/figures/rulegraph.svg"
)


def edges(dot):
    """Return which rule passes something to which, by name."""
    names = dict(re.findall(r'^\s*(\d+)\[label = "([^"]+)"', dot, re.MULTILINE))
    return {(names[a], names[b]) for a, b in re.findall(r"(\d+) -> (\d+)", dot)}


def test_the_rule_graph_is_that_of_the_workflow(tmp_path):
    drawn = FIGURE.with_suffix(".dot").read_text()
    assert ("collect_votes", "certify_votes") in edges(drawn)
    assert edges(drawn) == edges(Workflow(tmp_path).run("--rulegraph")), REMEDY


def test_the_picture_is_drawn_from_the_graph():
    drawn, picture = FIGURE.with_suffix(".dot").read_text(), FIGURE.with_suffix(".svg").read_text()
    names = re.findall(r"<text[^>]*>([^<]+)</text>", picture)
    assert set(names) == {name for edge in edges(drawn) for name in edge}, REMEDY
    arrows = set(re.findall(r"<title>(\d+)&#45;&gt;(\d+)</title>", picture))
    assert arrows == set(re.findall(r"(\d+) -> (\d+)", drawn)), REMEDY
