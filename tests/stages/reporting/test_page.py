"""The report page in a real browser; the stages `tables` and `report` write it from made-up outputs."""

from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path

import pytest
import torch
from lzn_testing.projects.made_up_outputs import MadeUpOutputs
from lzn_testing.servers.chromium import chromium, click, column, contrast, find, press, requests, set_width
from lzn_testing.servers.mlflow_runs import new_database
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from lzn.base.sections import ParamsFile
from pipelines.local.prefect_server import free_port
from stages.report import write_report
from stages.runtime.outputs import OutputPaths
from stages.runtime.stage_main import StageCall
from stages.tables import write_tables
from stages.tracking import RunIdentity, Tracker

pytestmark = pytest.mark.browser

COMMIT = "0123456789abcdef"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a size with two seeds; one of its trainings is in MLflow."""
    folder = tmp_path_factory.mktemp("report")
    outputs = MadeUpOutputs(folder)
    uri = new_database(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        track(outputs, folder)
        return make_page(folder)


def track(outputs: MadeUpOutputs, folder: Path) -> None:
    identity = RunIdentity("lzn-tiny", "rf, seed 0", outputs.key("rf", 0))
    tags = {"git_commit": COMMIT, "hardware": "2 cores of a test"}
    with Tracker.open(identity, outbox=folder / "outbox", tags=tags) as tracker:
        tracker.log_summary({"seconds/train": 61.0, "seconds/measure": 7.0})
        tracker.finish()


def make_page(folder: Path) -> Path:
    """Run the two stages in the folder of the outputs, as `dvc repro` does."""
    call = StageCall(ParamsFile.read(Path("params.yaml")), None, OutputPaths("tiny"), torch.device("cpu"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_tables(call)
        write_report(call)
    return folder / "outputs/tiny/report/index.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as window:
        yield window


@pytest.fixture
def window(browser: Chrome, page: Path) -> Chrome:
    """The page after loading, 1280 pixels wide."""
    set_width(browser, 1280)
    requests(browser)
    browser.get_log("browser")
    browser.get(page.as_uri())
    return browser


def test_the_browser_requests_only_the_page_and_logs_nothing(window: Chrome, page: Path) -> None:
    assert requests(window) == [page.as_uri()]
    assert window.get_log("browser") == []


def test_every_image_loads(window: Chrome) -> None:
    images = window.execute_script("return [...document.images].map(i => [i.alt, i.naturalWidth])")
    assert len(images) == 9 + 5 + 1  # figures, grids, and the image of the dialog
    assert all(width > 0 for _, width in images)
    assert sum(alt == "" for alt, _ in images) == 1  # the image of the closed dialog


def test_headings_are_nested_below_one_title(window: Chrome) -> None:
    levels = [int(heading.tag_name[1]) for heading in find(window, "h1, h2, h3, h4")]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))
    assert [heading.text for heading in find(window, "h2")] == [
        "What was run", "Claims of the paper", "Tables", "Figures", "Samples", "Runs",
    ]  # fmt: skip


def test_tables_have_captions_and_scopes_and_ids_are_unique(window: Chrome) -> None:
    problems = window.execute_script(
        """
        const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
        return [
          ...[...document.querySelectorAll("table")].filter(t => !t.caption).map(t => "caption"),
          ...[...document.querySelectorAll("th")].filter(t => !t.scope).map(t => "scope " + t.textContent),
          ...ids.filter((id, i) => ids.indexOf(id) !== i),
          ...[...document.querySelectorAll("button, a")]
            .filter(e => !e.textContent.trim() && !e.ariaLabel).map(e => e.outerHTML),
          ...[...document.querySelectorAll("nav a, .skip")]
            .filter(a => !document.querySelector(a.getAttribute("href"))).map(a => a.href),
        ]
        """
    )
    assert problems == []
    assert window.execute_script("return document.documentElement.lang") == "en"


def test_columns_sort_by_number_with_empty_cells_last_and_the_third_press_restores_the_order(
    window: Chrome,
) -> None:
    table = "section[aria-labelledby=table1] table"
    (heading,) = (cell for cell in find(window, f"{table} thead th") if cell.text.startswith("sFID"))
    original = column(window, table, 1)
    values = {}
    for order in ("ascending", "descending", None):
        heading.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
        assert heading.get_dom_attribute("aria-sort") == order
        values[order] = column(window, table, 4)
    numbers = [float(text.split()[0]) for text in values["ascending"] if not text.startswith("–")]
    assert numbers == sorted(numbers)
    assert max(numbers) > 10 > min(numbers)  # as text, 10.33 would come before 3.95
    descending = [float(text.split()[0]) for text in values["descending"] if not text.startswith("–")]
    assert descending == numbers[::-1]
    for texts in (values["ascending"], values["descending"]):
        assert all(text.startswith("–") for text in texts[len(numbers) :])
    assert column(window, table, 1) == original


def test_only_one_column_sorts_a_table(window: Chrome) -> None:
    buttons = find(window, "table.claims thead button")
    click(window, buttons[0])
    verdicts = column(window, "table.claims", 1)
    assert len(list(groupby(verdicts))) == len(set(verdicts)) > 2  # equal verdicts are adjacent
    click(window, buttons[1])
    assert len(find(window, "table.claims [aria-sort]")) == 1
    ascending = column(window, "table.claims", 2)
    click(window, buttons[1])
    assert column(window, "table.claims", 2) == ascending[::-1]


def test_enter_enlarges_a_figure_and_escape_returns_the_focus(window: Chrome) -> None:
    button = find(window, "#samples-joint .enlarge")[0]
    window.execute_script("arguments[0].focus()", button)
    press(window, Keys.ENTER)
    dialog = find(window, "dialog")[0]
    assert dialog.get_dom_attribute("open") is not None
    assert dialog.find_element(By.ID, "enlarged-title").text.startswith("joint")
    large, small = dialog.find_element(By.TAG_NAME, "img"), button.find_element(By.TAG_NAME, "img")
    assert large.get_attribute("alt") == small.get_attribute("alt")
    assert window.execute_script("return arguments[0].naturalWidth", large) == 60
    assert large.size["width"] > small.size["width"]
    press(window, Keys.ESCAPE)
    assert dialog.get_dom_attribute("open") is None
    assert window.switch_to.active_element == button


def test_the_dialog_keeps_the_focus_until_its_button_closes_it(window: Chrome) -> None:
    click(window, find(window, "#figure-figure17 .enlarge")[0])
    dialog = find(window, "dialog")[0]
    for _ in range(3):
        press(window, Keys.TAB)
        inside = window.execute_script(
            "return arguments[0].contains(document.activeElement) || document.activeElement === document.body",
            dialog,
        )
        assert inside
    dialog.find_element(By.CSS_SELECTOR, ".close").click()
    assert dialog.get_dom_attribute("open") is None


def test_the_first_tab_stop_skips_to_the_claims(window: Chrome) -> None:
    press(window, Keys.TAB)
    skip = window.switch_to.active_element
    assert skip.text == "Skip to the claims"
    outline = skip.value_of_css_property("outline-style")
    assert outline == "solid"  # focus is visible
    press(window, Keys.ENTER)
    assert window.execute_script("return document.activeElement.id") == "main"


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_wide_tables_scroll_sideways_and_the_page_does_not(window: Chrome, width: int) -> None:
    set_width(window, width)
    inner, scroll = window.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
    assert inner == width
    assert scroll <= width
    boxes = window.execute_script(
        """
        return [...document.querySelectorAll(".scroll")]
          .map(b => [b.scrollWidth > b.clientWidth, b.tabIndex, getComputedStyle(b).overflowX])
        """
    )
    assert all(index == 0 and overflow == "auto" for _, index, overflow in boxes)
    assert any(scrolls for scrolls, *_ in boxes) or width > 360


def test_printed_tables_fit_the_paper_and_navigation_is_hidden(window: Chrome) -> None:
    """The width is that of landscape A4 without margins: 273 mm at 96 pixels per inch."""
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    set_width(window, 1031)
    try:
        assert not find(window, "nav")[0].is_displayed()
        widths = window.execute_script(
            "return [...document.querySelectorAll('table')].map(t => t.scrollWidth)"
        )
        assert max(widths) <= 1031
        assert {box.value_of_css_property("overflow-x") for box in find(window, ".scroll")} == {"visible"}
    finally:
        window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast_in_light_and_dark_and_figures_are_on_white(
    window: Chrome, scheme: str
) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        for css in (
            "h1", ".lead", ".facts dt", "td .verdict.holds", "td .verdict.does-not-hold", ".claims small", ".remarks",
            "tr.ours th", "tr.ours .source", ".relation.better", ".relation.worse", "nav a", "thead button", ".none",
        ):  # fmt: skip
            assert contrast(window, css) >= 4.5, css  # WCAG 2.2, AA
        white = find(window, ".enlarge")[0].value_of_css_property("background-color")
        assert white in ("rgb(255, 255, 255)", "rgba(255, 255, 255, 1)")
    finally:
        window.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_better_and_best_are_also_written_as_words(window: Chrome) -> None:
    cells = window.execute_script(
        """
        const row = [...document.querySelectorAll("section[aria-labelledby=table1] tbody tr")]
          .find(r => r.cells[0].textContent === "RF+LZN, digits");
        return [...row.cells].map(c => c.textContent.replace(/\\s+/g, " ").trim());
        """
    )
    assert "8.08 ± 0.11 best ▲better" in cells


def test_facts_from_mlflow_are_on_the_page_with_a_link_to_the_run(window: Chrome) -> None:
    facts = {
        row.find_element(By.TAG_NAME, "dt").text: row.find_element(By.TAG_NAME, "dd").text
        for row in find(window, ".facts div")
    }
    assert facts["Commit"] == COMMIT
    assert facts["Hardware"] == "2 cores of a test"
    assert facts["Training time"] == "61 s, summed over 1 trainings (some run in parallel)"
    assert "measure 7 s, train 61 s" in facts["Time of stages"]
    assert facts["Runs"] == "7, with seeds 0, 1"
    (link,) = find(window, ".runs a")
    assert str(link.get_attribute("href")).startswith("http://127.0.0.1:5000/#/experiments/1/runs/")
    assert "start make ui first" in find(window, "section[aria-labelledby=runs]")[0].text.replace("`", "")
    assert (
        "13 of the trainings are not in this MLflow" in find(window, "section[aria-labelledby=runs]")[0].text
    )


def test_the_page_is_complete_with_one_seed_few_families_and_no_mlflow(
    browser: Chrome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = MadeUpOutputs(tmp_path, seeds=[0])
    for stage in ("steps", "settings", "tsne", "zones", "probe", "sample"):
        outputs.remove(stage)
    for family in ("representing", "encoding"):
        outputs.params["families"][family] = {}
    outputs.params["tables"] = {
        name: table for name, table in outputs.params["tables"].items() if name != "linear_probe"
    }
    outputs.params["report"] = {"picture": None}
    outputs.write_params()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://someone:secret@127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    browser.get_log("browser")
    browser.get(make_page(tmp_path).as_uri())
    assert browser.get_log("browser") == []
    assert [heading.text for heading in find(browser, "h2")] == [
        "What was run", "Claims of the paper", "Tables", "Figures", "Runs",
    ]  # fmt: skip
    assert "MLflow could not be read" in find(browser, "section[aria-labelledby=runs]")[0].text
    assert "secret" not in browser.page_source
    assert "one seed; claimed: above 0" in find(browser, "table.claims")[0].text
