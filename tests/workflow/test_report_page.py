"""The report as a reader meets it: in Chromium, offline, on a desk and on a phone."""

import shutil

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import sync_playwright

from certbd.artifacts import io, products
from conftest import Workflow

NASTY = "<b onclick=x>&"
SMALL = {
    "device": "cpu",
    "chunk_size": 20,
    "undefended": "tiny",
    "datasets": {
        "people": {
            "kind": "table",
            "path": "people.csv",
            "label_column": "label",
            "classes": [NASTY, "plain"],
        }
    },
    "attacks": {"pattern": {"kind": "blending", "norm": 0.5, "rate": 0.05}},
    "noises": {"small": {"sigma": 0.3, "search": {"pilots": 2, "draws": 2, "steps": 3}}},
    "learners": {"tiny": {"kind": "mlp", "hidden": 8, "epochs": 2}},
    "experiments": [
        {
            "dataset": dataset,
            "attacks": [attack],
            "defense": defense,
            "noises": [noise],
            "learner": learner,
            "n_models": 20,
            "certify": {"alpha": 0.05},
        }
        for dataset, attack, defense, noise, learner in (
            ("digits01", "one_pixel", "cert_ssb", "small", "tiny"),
            ("digits01", "one_pixel", "decoupled", "train-1-test-0.4", "class_mean"),
            ("people", "pattern", "bagging", "draw-12-test-0.35", "class_mean"),
        )
    ],
}
AUDIT = {
    "dataset": "digits01",
    "attack": "one_pixel",
    "defense": "decoupled",
    "noise": "train-1-test-0.4",
    "certificate": "trigger",
    "side": "both",
    "violation_rate_upper": 0.02,
    "without_votes": 0,
}
SIZES = {"desktop": (1280, 800), "phone": (360, 740)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    draws = np.random.default_rng(0)
    table = pd.DataFrame(draws.uniform(0, 0.5, (40, 3)), columns=["a", "b", "c"])
    table["label"] = np.where(np.arange(40) % 2, "plain", NASTY)
    table.loc[::2, "a"] += 0.5
    (folder / "data").mkdir()
    table.to_csv(folder / "data" / "people.csv", index=False)
    workflow = Workflow(folder, SMALL)
    assert "results/report.html" in workflow.run("--cores", "2")
    assert "These results were not audited" in (folder / "results/report.html").read_text()
    audit = [AUDIT | {"scale": s, "trials": 30, "violations": v} for s, v in ((0.9, 0), (2, 11))]
    written = folder / "results" / "audit.csv"
    pd.DataFrame(audit).to_csv(written, index=False)
    made = [io.read_provenance(path) for path in folder.glob("results/**/certificates.parquet")]
    tried = {"certificates": [origin["identity"] for origin in made]}
    for inputs, shown in (({}, False), ({"certificates": ["0"] * 3}, False), (tried, True)):
        sums = folder / "results" / "audit.provenance.json"
        products.write_sums(sums, [written], {"inputs": inputs})
        assert workflow.plan() == {}  # whatever lies in results/
        workflow.run("report", "--cores", "1", "--forcerun", "build_report")
        page = (folder / "results/report.html").read_text()
        assert ("These results were not audited" in page) != shown
    return folder


@pytest.fixture(scope="module")
def chromium():
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium (apt-get install chromium): the report was not opened")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture(params=SIZES)
def page(request, chromium, finished):
    """The page at two widths; nothing may be printed to the console or asked of a network."""
    width, height = SIZES[request.param]
    page = chromium.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(300_000)  # on a busy machine
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda sent: asked.append(sent.url))
    address = (finished / "results" / "report.html").as_uri()
    page.goto(address)
    page.wait_for_selector("html[data-ready=yes]")
    yield page
    assert not said
    assert [url for url in asked if not url.startswith("data:")] == [address]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def lines(page):
    return page.locator("#curve-panels .mark-line path").count()


def test_methods_are_toggled_and_values_shown(page):
    panels = page.locator("#curve-panels figure")
    assert panels.count() == 2
    assert lines(page) == 4
    box = page.get_by_role("checkbox", name="decoupled, train-1-test-0.4")
    box.uncheck()
    page.wait_for_function("document.querySelectorAll('#curve-panels .mark-line path').length == 2")
    box.check()
    page.wait_for_function("document.querySelectorAll('#curve-panels .mark-line path').length == 4")
    panels.first.locator("svg").first.scroll_into_view_if_needed()
    box = panels.first.locator("svg").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + box["height"] / 2)
    tip = page.locator("#vg-tooltip-element.visible")
    tip.wait_for()
    assert "certified accuracy" in tip.inner_text()


def test_datasets_and_certificates_are_chosen(page):
    page.select_option("#curve-certificate", "joint")
    page.wait_for_function("document.getElementById('curve-meaning').textContent.includes('any')")
    page.select_option("#curve-dataset", "people")
    page.wait_for_function("document.querySelectorAll('#methods input').length == 1")
    assert page.locator("#curve-certificate option").all_inner_texts() == [
        "trigger norm",
        "replaced rows",
    ]
    rows = page.locator("#coverage-table tbody tr")
    assert rows.count() == 3
    page.select_option("#coverage-defense", "bagging")
    assert [row.is_visible() for row in rows.all()] == [False, False, True]


def certificates(finished, defense):
    (path,) = finished.glob(f"results/**/{defense}/**/certificates.parquet")
    return pd.read_parquet(path)


def choose(page, experiment, **filters):
    page.select_option("#input-experiment", str(experiment))
    for name, value in filters.items():
        page.select_option(f"#input-{name}", value)
    return int(page.locator("#input-count").inner_text().split(": ")[1].split(" found")[0])


def test_filters_count_what_the_table_holds(page, finished):
    table = certificates(finished, "decoupled")
    right = (table["prediction"] == table["label"]) & ~table["covers_attack"].astype(bool)
    triggered, ones = table["split"] == "triggered", table["label"] == 1
    assert choose(page, 1) == len(table) == 190
    assert choose(page, 1, outcome="right") == right.sum() > 0
    assert choose(page, 1, split="triggered") == (right & triggered).sum() < right.sum()
    assert choose(page, 1, **{"class": "1"}) == (right & triggered & ones).sum() > 0
    assert page.locator("#input-grid button").count() > 0
    assert not page.locator("#input-action").is_visible()
    actions = certificates(finished, "cert_ssb")["storage_action"]
    everything = {"split": "", "outcome": "", "class": ""}
    assert choose(page, 0, action="kept", **everything) == (actions == "kept").sum() > 0


def test_inputs_of_which_nothing_is_covered_say_so(page, finished):
    """In bagging's table radius 0 and -1 rows stand beside predictions and abstentions."""
    table = certificates(finished, "bagging").query("split == 'benign'")
    assert choose(page, 2, split="benign", order="sample") == len(table)
    for sample, trigger, rows in zip(
        table["sample"], table["radius_trigger"], table["radius_rows"], strict=True
    ):
        page.locator("#input-grid button").nth(sample).click()
        text = page.locator("#input-detail").inner_text()
        assert ("0: nothing is covered" in text) == (trigger < 0.001)
        assert ("none, and not even the data as given" in text) == (rows < 0)
        page.keyboard.press("Escape")
    assert (table["radius_trigger"] == 0).any()


def test_an_input_opens_with_its_pictures_and_numbers(page, finished):
    choose(page, 1, split="triggered", order="sample")
    page.locator("#input-grid button").nth(4).click()
    (row,) = (
        certificates(finished, "decoupled")
        .query("split == 'triggered' & sample == 4")
        .to_dict("records")
    )
    text = page.locator("#input-detail").inner_text()
    assert "digits01 #4 (row 55), triggered" in text
    assert f"{row['votes']} of 20" in text
    assert f"{np.floor(1000 * row['radius_trigger']) / 1000:g}" in text
    assert "0 of 30 attempts inside the certified set" in text
    light = "c => c.getContext('2d').getImageData(0, 0, 8, 8).data.reduce((a, b) => a + b)"
    opaque = 64 * 255
    pictures = page.locator("#detail-body canvas")
    assert [picture.evaluate(light) > opaque for picture in pictures.all()] == [True] * 3
    page.locator("#detail-next").click()
    assert "digits01 #5 (row 90), triggered" in page.locator("#detail-title").inner_text()
    page.keyboard.press("Escape")
    assert not page.locator("#input-detail").is_visible()


def test_a_map_point_opens_its_input(page):
    page.locator("#noise-triggered .mark-symbol path").first.click(force=True)
    assert "triggered" in page.locator("#detail-title").inner_text()
    assert "storage-update" in page.locator("#detail-body").inner_text()


def test_names_from_data_are_text_and_audits_are_shown(page):
    choose(page, 2)
    assert NASTY in page.locator("#input-grid").inner_text()
    assert page.locator("#input-grid b").count() == 0
    page.locator("#input-grid button").first.click()
    assert NASTY in page.locator("#detail-body").inner_text()
    assert "audit" not in page.locator("#detail-body").inner_text()
    (row,) = page.locator("#audit tbody tr").all()
    assert "0 of 30" in row.inner_text()
    assert "37 %" in row.inner_text()


def test_print_leaves_controls_out(page):
    page.emulate_media(media="print")
    assert not page.locator("#input-more").is_visible()
    assert not page.locator("#curve-dataset").is_visible()
    assert page.locator("#input-grid canvas").first.is_visible()
