"""The page on which a size is chosen: its numbers are those of the plans, in the file and as a browser shows them."""

import json
import re
import shutil

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from infimum import compress, report
from infimum.compress.write.folder import bytes_of_output
from infimum.errors import CheckpointError
from infimum.proof import wording
from infimum.report import plain_text
from tests.compress.conftest import sentences, tiny_llama, write
from tests.report.test_report import check_page

CHROMIUM = shutil.which("chromium")
MENUS = {"bits": ("bits", "ranks", "widths"), "matrices": ("ranks", "widths")}


@pytest.fixture(scope="module", params=MENUS)
def plan(request, tmp_path_factory):
    model = write(tiny_llama(), tmp_path_factory.mktemp("model") / "</script><b>")
    return compress.plan(model, remove=0.0, calib=sentences(60, seed=1), menu=MENUS[request.param])


@pytest.fixture(scope="module")
def page(plan, tmp_path_factory):
    return report.write_budgets(plan, tmp_path_factory.mktemp("page") / "budgets.html", points=9)


def shown(path):
    """Return what the script of a page reads."""
    html = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="budgets">(.*?)</script>', html)[1])


def test_previews_are_what_is_built(plan):
    for preview in plan.previews(9)[1::2]:
        built = plan.with_budget(preview.remove)
        assert preview.budget == built.budget
        assert preview.lower_bound == pytest.approx(built.certificate.lower_bound, rel=1e-3, abs=1e-12)
        assert preview.value == pytest.approx(built.certificate.value, rel=1e-3)
        for ours, row in zip(preview.table, built.table, strict=True):
            for field in ("name", "tensor", "shape", "kept", "form", "rank", "cost", "dense_cost", "bits", "group"):
                assert getattr(ours, field) == getattr(row, field)
            assert ours.error == pytest.approx(row.error, rel=1e-3, abs=1e-3 * built.certificate.value)


def test_the_page_says_what_the_previews_are(plan, page):
    check_page(page, script=True)
    content = json.loads(page.with_suffix(".json").read_text())
    for preview, budget, words in zip(plan.previews(9), content["budgets"], shown(page), strict=True):
        assert (budget["value"], budget["lower_bound"]) == (preview.value, preview.lower_bound)
        assert words["cards"]["value"] == wording.number(preview.value)
        assert words["cards"]["bound"] == wording.number(preview.lower_bound)
        assert words["cards"]["perplexity"] == plain_text.growth(preview.value)
        assert [name for name, *_ in words["layers"]] == [row.name for row in preview.table]
    assert shown(page)[-1]["place"] == 1.0


def test_sizes_are_those_of_what_is_written(plan, page, tmp_path):
    content = json.loads(page.with_suffix(".json").read_text())
    budget = content["budgets"][6]
    built = plan.with_budget(budget["remove"])
    assert bytes_of_output(built) == budget["bytes"]
    out = built.save(tmp_path / "out")
    written = sum(path.stat().st_size for path in out.glob("model*.safetensors"))
    path = report.write_budgets(out, tmp_path / "out.html")
    html = check_page(path)
    assert "what was chosen" in html
    chosen = json.loads(path.with_suffix(".json").read_text())["budgets"]
    assert [one["bytes"] for one in chosen] == [written]
    assert [layer["became"] for layer in chosen[0]["layers"]] == [layer["became"] for layer in budget["layers"]]


def test_a_folder_that_is_no_output_is_refused(plan, tmp_path):
    with pytest.raises(CheckpointError, match="give a folder that infimum"):
        report.write_budgets(plan.checkpoint.path, tmp_path / "a.html")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [1400, 400])
def test_the_slider_in_a_browser(plan, page, width):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": width, "height": 900})
        asked: list[str] = []
        faults: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.goto(page.as_uri())
        slider = tab.locator("#budget")
        places = [None]
        for step in (1, 3, 5, 6, 8):
            box = slider.bounding_box()
            tab.mouse.click(box["x"] + 8 + (box["width"] - 16) * step / 8, box["y"] + box["height"] / 2)
            assert slider.input_value() == str(step)
            built = plan.with_budget(plan.previews(9)[step].remove)
            value, bound = (float(tab.locator(name).inner_text().replace(",", "")) for name in ("#value", "#bound"))
            assert value == pytest.approx(built.certificate.value, rel=2e-3)
            assert bound == pytest.approx(built.certificate.lower_bound, rel=2e-3, abs=1e-12)
            kept = tab.locator("#map b").evaluate_all("cells => cells.map(cell => parseFloat(cell.style.height))")
            expected = [100 * row.cost / row.dense_cost for row in built.table]
            assert sorted(kept) == pytest.approx(sorted(expected), abs=0.06)
            places.append(tab.locator('[id$="-budget-chosen"]').get_attribute("transform"))
        assert len(set(places)) == len(places), "the line in the picture follows"
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, "the page is no wider than the screen"
        assert asked == [page.as_uri()], "nothing is loaded from elsewhere"
        assert faults == []
        browser.close()
