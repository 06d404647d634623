"""The page as a file: whole, escaped, the same each time; test_browser.py opens it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advtrain.report.figures.drawing import Drawn, Subplot, draw
from advtrain.report.figures.pictures import pictures
from advtrain.report.figures.style import COLOURS
from advtrain.report.input.gather import gather
from advtrain.report.numbers.content import content, report_on
from advtrain.report.page.inline_svg import Styles, inline
from advtrain.report.page.render import page
from advtrain.report.page.theme import VARIABLES
from tests.helpers.pages import HOSTILE, Made, Read, poisoned, sweep
from tests.helpers.shared import once
from tests.helpers.synthetic import learning, write_csv, write_run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return once(tmp_path_factory, "page", sweep)


def test_the_page_is_whole_and_every_id_is_there_once(made: Made) -> None:
    read = Read(made.html)
    ids = read.values("id")
    assert len(ids) == len(set(ids)) and "answer" in ids
    inside = {value[1:] for value in read.values("href") if value[:1] == "#"}
    assert inside <= set(ids), inside - set(ids)
    assert {f"cell-{cell['id']}" for cell in made.content["cells"]} <= inside
    used = set(re.findall(r"url\(#([^)]*)\)", made.html))
    assert used and used <= set(ids)
    labelled = " ".join(read.values("aria-labelledby")).split()
    assert set(labelled) <= set(ids)


def test_the_page_asks_nobody_for_anything(made: Made) -> None:
    read = Read(made.html)
    for value in read.values("src") + read.values("href"):
        assert value.startswith(("#", "data:", "figures/", "tables/")), value
    assert not re.search(r"@import|url\((?!#)", made.html)
    tags = {tag for tag, _ in read.elements}
    assert not tags & {"iframe", "object", "embed", "form", "base", "img", "audio", "video"}
    names = {name for _, attrs in read.elements for name in attrs}
    assert not {name for name in names if name.startswith("on")}


def test_the_same_input_gives_the_same_bytes(made: Made) -> None:
    assert page(made.content, made.drawn, ["cells.csv"]) == made.html
    shuffled = dict(reversed(made.drawn.items()))
    assert page(json.loads(json.dumps(made.content)), shuffled, ["cells.csv"]) == made.html


def test_every_figure_is_in_the_page_with_its_words_and_files(made: Made) -> None:
    read = Read(made.html)
    assert set(made.drawn) >= {"verdicts-0", "accuracy-0", "overview"}
    for name, one in made.drawn.items():
        assert f"figure-{name}" in read.values("id")
        assert one.alt in read.values("aria-label")
        assert f"figures/{name}.pdf" in read.values("href")
    assert "tables/cells.csv" in read.values("href")


def test_the_table_says_what_the_numbers_say(made: Made) -> None:
    text = " ".join(" ".join(Read(made.html).texts).split())
    cell = made.content["cells"][0]
    one = cell["last"]["test_robust_acc"]
    assert f"{100 * one['mean']:.1f} ± {100 * one['sd']:.1f}" in text
    answer = made.content["answer"]["sentence"]
    assert answer[0].upper() + answer[1:] + "." in text
    for run in cell["runs"]:
        assert run["verdict"]["axes"]["train"]["rule"] in text
        assert run["path"] in text
    assert "advtrain evaluate RUN --eps 0.1" in text, "how to measure all cells at one eps"


@pytest.mark.parametrize("absent", ["all", "maps"])
def test_a_page_without_figures_still_tells_the_numbers(made: Made, absent: str) -> None:
    some = {} if absent == "all" else {n: d for n, d in made.drawn.items() if n.endswith("-why")}
    text = " ".join(Read(page(made.content, some)).texts)
    assert "Not measured." in text
    assert made.content["cells"][0]["label"] in text


def test_names_of_every_kind_are_text_and_nothing_else(made: Made) -> None:
    hostile = poisoned(made.content)
    found = Read(page(hostile, made.drawn, ["cells.csv"]))
    text = "".join(found.texts)
    for name, value in (("title", hostile["title"]), ("label", hostile["cells"][0]["label"]),
                        ("path", hostile["cells"][0]["runs"][0]["path"])):  # fmt: skip
        assert value in text, name
    before = Read(made.html)
    assert [t for t, _ in found.elements if t in ("script", "style", "img", "b")] == [
        t for t, _ in before.elements if t in ("script", "style", "img", "b")]  # fmt: skip
    assert HOSTILE in text


@pytest.mark.parametrize(
    "epochs", [None, 0, 1, 3], ids=["no header", "header only", "one epoch", "three"]
)
def test_files_with_next_to_nothing_in_them_have_a_page(tmp_path: Path, epochs: int | None) -> None:
    folder = tmp_path / "in"
    write_run(folder, learning(12))
    if epochs is None:
        (folder / "other.csv").write_text("")
    else:
        curves = learning(max(epochs, 1))
        write_csv(folder / "other.csv", {k: v[:epochs] for k, v in curves.items()})
    report = report_on(gather([folder]), None)
    html = page(content(report, tmp_path), {})
    assert Read(html).values("id")


def test_unequal_sides_are_compared_in_words_and_numbers(tmp_path: Path) -> None:
    for side, level in (("a", 0.5), ("b", 0.6)):
        for seed in (0, 1, 2):
            write_run(tmp_path / side, learning(30, level, seed), f"seed={seed}",
                      f"momentum={0.9 if side == 'a' else 0.5}")  # fmt: skip
    report = report_on(gather([tmp_path / "a", tmp_path / "b"]), None)
    numbers = content(report, tmp_path)
    drawings, _ = pictures(report)
    html = page(numbers, draw(drawings, tmp_path / "figures"))
    text = " ".join(" ".join(Read(html).texts).split())
    last = next(d for d in numbers["comparison"]["differences"] if d["what"] == "last")
    assert f"{100 * last['difference']:+.1f}" in text and "paired" in text
    assert "optimizer.momentum 0.9 0.5" in text
    assert {"figure-differences"} < set(Read(html).values("id"))


def drawn(svg: str, *panels: Subplot) -> Drawn:
    return Drawn("x-curves", "what it shows", svg, panels)


def svg(inside: str) -> str:
    return (
        '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://x">'
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        f' viewBox="0 0 200 100"><metadata>m</metadata>{inside}</svg>'
    )


def test_long_lines_keep_their_shape_to_a_tenth_of_a_point_and_their_stroke() -> None:
    points = np.column_stack([np.linspace(1, 190, 300), 50 + 40 * np.sin(np.arange(300))])
    data = "M " + " L ".join(f"{x:.6f} {y:.6f}" for x, y in points) + " z"
    styles = Styles({})
    path = (
        f'<path d="{data}" clip-path="url(#c)" style="stroke-width: 1.5; stroke-dasharray: 3,1"/>'
    )
    found = inline("x", svg(path + '<clipPath id="c"/>'), "", styles, {}, halves=False)
    (short,) = re.findall(r' d="([^"]*)"', found)
    assert len(short) < len(data) / 3 and short.endswith("z")
    start, steps = short.rstrip("z").split("l")
    numbers = [int(n) for n in re.findall(r"-?\d+", start[1:] + " " + steps)]
    back = np.cumsum(np.reshape(numbers, (-1, 2)), axis=0) * 0.2
    assert np.abs(back - points).max() < 0.101
    assert styles.css == ".s0{stroke-width: 7.5; stroke-dasharray: 15,5}"
    assert (
        f'<g clip-path="url(#x-1)"><path d="{short}" transform="scale(0.2)" class="s0"/>' in found
    )


def test_a_line_used_elsewhere_is_as_wide_there() -> None:
    line = "M 0 0 " + " ".join(f"L {i} 1" for i in range(20))
    inside = f'<defs><path id="m" d="{line}"/></defs><use xlink:href="#m" style="stroke: #111111"/>'
    styles = Styles({})
    inline("x", svg(inside), "", styles, {}, halves=False)
    assert styles.css == ".s0{stroke: #111111; stroke-width: 5}"


def test_colours_become_variables_and_other_ids_stay_apart() -> None:
    ink = COLOURS["ink"]
    styles = Styles(VARIABLES)
    one, two = (
        inline(name, svg(
            f'<defs><path id="m1" d="M 0 0" style="stroke: {ink}"/></defs><g id="unused">'
            f'<use xlink:href="#m1" style="stroke: {ink}; fill: #123456"/></g>'
            '<g clip-path="url(#p)"/><clipPath id="p"/><text>a &lt;b&gt; &amp;amp; c</text>'),
            'says "so"', styles, {}, halves=False)
        for name in ("one", "two")
    )  # fmt: skip
    assert 'href="#one-1"' in one and 'id="one-1"' in one and "url(#one-2)" in one
    assert "unused" not in one and "metadata" not in one and "http" not in one
    assert 'aria-label="says &#34;so&#34;"' in one and ">a &lt;b&gt; &amp;amp; c<" in one
    assert one.replace("one-", "two-") == two
    assert styles.css == ".s0{stroke: var(--ink)}.s1{stroke: var(--ink); fill: #123456}"


def test_what_stands_for_a_cell_leads_to_it_and_says_what_it_is() -> None:
    text = svg('<g id="cell-a-1"><path d="M 0 0"/></g><g id="cell-other"><path d="M 0 0"/></g>')
    found = inline("v", text, "", Styles({}), {"a-1": "lr <1>: converged"}, halves=False)
    assert '<a href="#cell-a-1" aria-label="lr &lt;1&gt;: converged"><title>' in found
    assert found.count("<a ") == 1


def test_hovering_needs_means_to_four_digits_and_gaps(made: Made) -> None:
    cell: dict[str, Any] = json.loads(json.dumps(made.content["cells"][0]))
    cell["bands"] = {"val_robust_acc": {"epoch": [1, 2, 4], "mean": [0.123456, None, 0.5]}}
    some = made.content | {"cells": [cell], "maps": [], "comparison": None}
    panel = Subplot(0.1, 0.2, 0.3, 0.4, 1.0, 4.0, ("val_robust_acc", "nothing"))
    name = f"{cell['id']}-curves"
    html = page(some, {name: Drawn(name, "", svg("<path d='M 0 0'/>"), (panel,))})
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', html)
    assert json.loads(data) == {
        "panels": [[0.1, 0.2, 0.3, 0.4, 1.0, 4.0, ["val_robust_acc", "nothing"]]],
        "series": [{"name": "", "epochs": [1, 2, 4],
                    "means": {"val_robust_acc": [0.1235, None, 0.5]}}],
    }  # fmt: skip
