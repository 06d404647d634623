"""The page in a real browser: quiet, legible in every theme, sorted, filtered, printed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from advtrain.report.page.render import page
from tests.helpers.browser import Page, chromium, executable
from tests.helpers.pages import HOSTILE, Made, hostile, poisoned, sweep
from tests.helpers.shared import once

pytestmark = pytest.mark.skipif(executable() is None, reason="no Chromium is installed")

CONTRAST = (Path(__file__).parents[1] / "helpers" / "contrast.js").read_text()
FIGURES = """
[...document.querySelectorAll("figure svg")].map(svg => {
  const place = svg.checkVisibility() ? svg.getBoundingClientRect() : { width: 0, height: 0 };
  return [svg.closest("figure").id, place.width, place.height,
          svg.querySelectorAll("path, use, image, text").length];
})
"""
OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return once(tmp_path_factory, "page", sweep)


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    with chromium() as browser:
        yield browser.page()


@pytest.fixture
def seen(tab: Page, made: Made) -> Iterator[Page]:
    """The sweep's page at desktop width, in light."""
    tab.errors.clear()
    tab.size(1280)
    tab.prefer("light")
    tab.open(made.file.as_uri())
    yield tab
    assert tab.errors == [] and tab.dialogs == []


def rows(tab: Page) -> list[str]:
    """The labels of the cells that the table shows, in order."""
    return list(tab.evaluate(
        "[...document.querySelectorAll('#cell-table tbody tr')].filter(row => row.offsetHeight)"
        ".map(row => row.dataset.label)"))  # fmt: skip


def press(tab: Page, selector: str, text: str = "") -> None:
    """Click the first element that matches and holds the text."""
    tab.evaluate(f"[...document.querySelectorAll({selector!r})]"
                 f".find(one => one.textContent.includes({text!r})).click()")  # fmt: skip


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_quiet_and_every_figure_is_seen_without_scrolling_sideways(
    seen: Page, made: Made, width: int
) -> None:
    seen.size(width)
    seen.open(made.file.as_uri())
    assert seen.requests == [made.file.as_uri()]
    seen.evaluate(OPEN_ALL)
    found = seen.evaluate(FIGURES)
    assert {name for name, *_ in found} == {f"figure-{name}" for name in made.drawn}
    for name, wide, high, parts in found:
        assert wide > min(250, width / 2) and high > 60 and parts, name
    halves = [place for place in found if place[0].endswith("-curves")]
    assert len(halves) == 2 * len(made.content["cells"])
    assert seen.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_stands_out(seen: Page, made: Made, theme: str) -> None:
    seen.prefer(theme)
    seen.open(made.file.as_uri())
    seen.evaluate(OPEN_ALL)
    seen.size(1280, seen.evaluate("document.documentElement.scrollHeight"))
    found = seen.evaluate(CONTRAST)
    assert found["texts"] > 500 and found["drawn"] > 100
    assert found["poor"] == []


def test_the_button_changes_the_theme(seen: Page) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    light = seen.evaluate(colour)
    press(seen, "#theme")
    dark = seen.evaluate(colour)
    assert light == "rgb(254, 253, 251)" and dark == "rgb(21, 24, 27)"
    press(seen, "#theme")
    assert seen.evaluate(colour) == light


def test_a_header_sorts_numbers_as_numbers_and_what_is_missing_last(seen: Page, made: Made) -> None:
    means = {c["label"]: c["last"]["test_robust_acc"]["mean"] for c in made.content["cells"]}
    known = [label for label, mean in means.items() if mean is not None]
    missing = [label for label, mean in means.items() if mean is None]
    assert len(known) >= 3 and missing, "a case that shows it"
    assert rows(seen) == list(means), "as written to begin with"
    for down, state in ((False, "ascending"), (True, "descending")):
        press(seen, "#cell-table thead button", "robust, last")
        wanted = sorted(known, key=lambda label: means[label], reverse=down)
        assert [means[label] for label in rows(seen)] == [means[label] for label in wanted] + [
            None] * len(missing)  # fmt: skip
        sorts = "[...document.querySelectorAll('[aria-sort]')].map(th => th.ariaSort)"
        assert seen.evaluate(sorts) == [state]
    press(seen, "#cell-table thead button", "lr")
    lrs = [label.split("lr ")[1] for label in rows(seen)]
    assert lrs == sorted(lrs, key=float)


def test_words_and_verdicts_filter_the_cells(seen: Page, made: Made) -> None:
    type_it = ("const field = document.getElementById('filter'); field.value = {!r};"
               "field.dispatchEvent(new Event('input'))")  # fmt: skip
    seen.evaluate("{" + type_it.format("EPS 0.2") + "}")
    cells = made.content["cells"]
    assert rows(seen) == [c["label"] for c in cells if c["at"]["eps"] == "0.2"]
    seen.evaluate("{" + type_it.format("") + "}")
    press(seen, "[data-outcome=disagree]:is(button)")
    assert rows(seen) == [c["label"] for c in cells if c["outcome"] == "disagree"] != []
    press(seen, "[data-outcome=failed]:is(button)")
    either = [c["label"] for c in cells if c["outcome"] in ("disagree", "failed")]
    assert rows(seen) == either
    assert seen.evaluate("shown.textContent") == f"{len(either)} of {len(cells)} cells"
    press(seen, "[data-outcome=failed]:is(button)")
    press(seen, "[data-outcome=disagree]:is(button)")
    assert len(rows(seen)) == len(cells)


def test_a_link_opens_the_cell_it_leads_to(seen: Page, made: Made) -> None:
    id = made.content["cells"][2]["id"]
    open_ones = "[...document.querySelectorAll('.cell > details[open]')].map(d => d.parentNode.id)"
    assert seen.evaluate(open_ones) == []
    seen.open(f"{made.file.as_uri()}#cell-{id}")
    assert seen.evaluate(open_ones) == [f"cell-{id}"]
    place = f"document.getElementById('cell-{id}').getBoundingClientRect().top"
    assert abs(seen.evaluate(place)) < 60
    other = made.content["cells"][0]["id"]
    mapped = f"document.querySelector(\"#figure-verdicts-0 a[href='#cell-{other}']\")"
    seen.evaluate(f"{mapped}.dispatchEvent(new MouseEvent('click', {{bubbles: true}}))")
    seen.evaluate("new Promise(done => setTimeout(done, 50))")
    assert set(seen.evaluate(open_ones)) == {f"cell-{id}", f"cell-{other}"}
    tip = seen.evaluate(f"{mapped}.querySelector('title').textContent")
    assert "eps 0.1, lr 0.05" in tip and "2 of 2 seeds converge" in tip


def test_hovering_over_a_curve_tells_the_epoch_and_its_means(seen: Page, made: Made) -> None:
    cell = made.content["cells"][0]
    name = f"{cell['id']}-curves"
    seen.open(f"{made.file.as_uri()}#cell-{cell['id']}")
    panel = next(p for p in made.drawn[name].panels if "test_robust_acc" in p.columns)
    epoch = 20
    x = panel.left + panel.width * (epoch - panel.first) / (panel.last - panel.first)
    second = panel.left > 0.5
    place = seen.evaluate(
        f"(() => {{const svg = document.getElementById('figure-{name}')"
        f".querySelectorAll('svg')[{int(second)}];"
        "svg.scrollIntoView({block: 'center'});"
        "const at = svg.getBoundingClientRect();"
        "return [at.x, at.y, at.width, at.height]})()")  # fmt: skip
    left, top, width, height = place
    seen.send("Input.dispatchMouseEvent", type="mouseMoved", x=left + (2 * x - second) * width,
              y=top + (panel.top + panel.height / 2) * height)  # fmt: skip
    text = seen.evaluate("hover.hidden ? '' : hover.innerText.replace(/\\s+/g, ' ')")
    band = cell["bands"]["test_robust_acc"]
    assert f"epoch {epoch}" in text
    assert f"test robust accuracy {100 * band['mean'][epoch - 1]:.1f}%" in text
    assert seen.evaluate("document.querySelectorAll('.cross').length") == 1
    seen.send("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
    assert seen.evaluate("hover.hidden") and not seen.evaluate("!!document.querySelector('.cross')")


def test_without_scripts_table_and_figures_are_there(seen: Page, made: Made) -> None:
    seen.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        seen.open(made.file.as_uri())
        buttons = "[...document.querySelectorAll('button')].filter(one => one.offsetHeight).length"
        assert seen.evaluate(buttons) == 0
        assert rows(seen) == [cell["label"] for cell in made.content["cells"]]
        seen.evaluate(OPEN_ALL)  # as a click on each summary does
        assert all(wide > 200 and high > 60 for _, wide, high, _ in seen.evaluate(FIGURES))
    finally:
        seen.send("Emulation.setScriptExecutionDisabled", value=False)


def test_on_paper_every_cell_is_open_and_the_page_light(
    seen: Page, made: Made, tmp_path: Path
) -> None:
    seen.prefer("dark", media="print")
    seen.open(made.file.as_uri())
    assert seen.evaluate("document.querySelectorAll('.cell > details[open]').length") == 0
    found = seen.evaluate(FIGURES)
    assert len(found) > len(made.drawn)
    assert all(wide > 200 and high > 60 for _, wide, high, _ in found)
    colour = seen.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(255, 255, 255)"
    assert not seen.evaluate("theme.offsetHeight")
    seen.prefer("light")
    seen.pdf(tmp_path / "page.pdf")
    pages = (tmp_path / "page.pdf").read_bytes().count(b"/Type /Page\n")
    assert pages > len(made.content["cells"])


@pytest.mark.parametrize("kind", ["files", "content"])
def test_hostile_names_are_read_not_run(tab: Page, made: Made, tmp_path: Path, kind: str) -> None:
    if kind == "files":
        bad = hostile(tmp_path)
        file, title = bad.file, bad.content["title"]
    else:
        numbers = poisoned(made.content)
        file, title = tmp_path / "index.html", numbers["title"]
        file.write_text(page(numbers, made.drawn), encoding="utf-8")
    tab.errors.clear()
    tab.size(390)
    tab.open(file.as_uri())
    tab.evaluate(OPEN_ALL)
    wanted = " ".join(f"{title}: advtrain report".split())
    assert tab.evaluate("document.title") == wanted
    assert tab.evaluate("document.querySelectorAll('img, iframe, script[src]').length") == 0
    assert tab.requests == [file.as_uri()]
    assert tab.errors == [] and tab.dialogs == []
    text = tab.evaluate("document.body.textContent")
    assert (HOSTILE if kind == "content" else '"><img src=x onerror=alert(1)>') in text
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
