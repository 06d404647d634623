"""The page: one HTML file that holds every figure and number and asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from advtrain.report.numbers.outcome import OUTCOMES
from advtrain.report.page import theme
from advtrain.report.page.inline_svg import Styles, inline
from advtrain.report.page.wording import (
    FILTERS,
    averaged,
    evaluated,
    grouped,
    interval,
    made,
    rules,
    seeds,
    tooltip,
    whose,
)

if TYPE_CHECKING:
    from advtrain.report.figures.drawing import Drawn, Subplot

_TEMPLATE = Path(__file__).parent / "template"
_HALVED = ("-curves", "-why", "-examples")  # figures of two columns
_OPEN = 3  # so many cells are shown unfolded


def page(content: Mapping[str, Any], drawn: Mapping[str, Drawn], tables: Sequence[str] = ()) -> str:
    """The HTML of `content` with its figures.

    Figures go by the names that `pictures` gives them; what is absent is left out, or said to be
    not measured. `tables` are names of files in tables/ to link. The same input gives the same
    bytes.
    """
    cells = {cell["id"]: cell for cell in content["cells"]}
    links = {id: tooltip(cell) for id, cell in cells.items()}
    styles = Styles(theme.VARIABLES)
    figures = {
        one.name: _figure(f"f{i}", one, styles, links)
        for i, (_, one) in enumerate(sorted(drawn.items()))
    }
    css, js = (_text(f"page.{kind}") for kind in ("css", "js"))
    template = _environment().get_template("page.html.j2")
    html = template.render(
        content=content,
        cells=cells,
        drawn=drawn,
        figures=figures,
        hover={name: _hover(one, cells, content) for name, one in drawn.items() if one.panels},
        tables=sorted(tables),
        many=len(cells) > _OPEN,
        made=made(content),
        evaluated=evaluated(content),
        css=Markup(theme.css() + css + styles.css),
        js=Markup(js),
        js_hash=base64.b64encode(hashlib.sha256(js.encode()).digest()).decode(),
        OUTCOMES=OUTCOMES,
    )
    return html.lstrip() + "\n"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS | {"embedded": _embedded}
    environment.tests["averaged"] = averaged
    environment.globals |= {
        "grouped": grouped, "interval": interval, "rules": rules, "seeds": seeds, "whose": whose
    }  # fmt: skip
    return environment


def _text(name: str) -> str:
    """A file of the template; nothing in it may end the element that holds it."""
    return (_TEMPLATE / name).read_text(encoding="utf-8").strip()


def _figure(prefix: str, one: Drawn, styles: Styles, links: Mapping[str, str]) -> Markup:
    halves = one.name.endswith(_HALVED) or one.name.startswith("compare-")
    return inline(prefix, one.svg, one.alt, styles, links, halves=halves)


def _embedded(value: Any) -> Markup:
    """JSON that may stand in a script element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _hover(one: Drawn, cells: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """What hovering over a figure needs: its panels, and the means of their columns."""
    shown = [(cells[id], name) for id, name in _about(one.name, cells, content)]
    columns = list(dict.fromkeys(name for panel in one.panels for name in panel.columns))
    return {
        "panels": [_panel(panel) for panel in one.panels],
        "series": [{"name": name, **_means(cell, columns)} for cell, name in shown],
    }


def _about(
    figure: str, cells: Mapping[str, Any], content: Mapping[str, Any]
) -> Iterable[tuple[str, str]]:
    """The cells that a figure is about, with what to call them."""
    if not figure.startswith("compare-"):
        id = figure.rpartition("-")[0]
        return [(id, "")] if id in cells else []
    a = figure.removeprefix("compare-")
    pairs = content["comparison"]["differences"] if content["comparison"] else []
    b = next((pair["cell_b"] for pair in pairs if pair["cell_a"] == a), "")
    return [(id, name) for id, name in ((a, "A"), (b, "B")) if id in cells]


def _panel(panel: Subplot) -> list[Any]:
    place = (panel.left, panel.top, panel.width, panel.height, panel.first, panel.last)
    return [*(_digits(value) for value in place), list(panel.columns)]


def _means(cell: Mapping[str, Any], columns: Iterable[str]) -> dict[str, Any]:
    """Means over the seeds by epoch; only first and last epoch where none is left out."""
    bands = {name: cell["bands"][name] for name in columns if name in cell["bands"]}
    epochs = sorted({epoch for band in bands.values() for epoch in band["epoch"]})
    whole = bool(epochs) and epochs[-1] - epochs[0] + 1 == len(epochs)
    means = {}
    for name, band in bands.items():
        at = dict(zip(band["epoch"], band["mean"], strict=True))
        means[name] = [None if (v := at.get(e)) is None else _digits(v) for e in epochs]
    return {"from": epochs[0], "means": means} if whole else {"epochs": epochs, "means": means}


def _digits(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")
