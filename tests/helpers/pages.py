"""Pages for tests: made by hand, as `advtrain report` makes them, and with hostile names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from advtrain.report.figures import drawing
from advtrain.report.figures.drawing import Drawn, draw
from advtrain.report.figures.pictures import pictures
from advtrain.report.input.gather import gather
from advtrain.report.numbers.content import content, report_on
from advtrain.report.page.render import page
from tests.helpers.synthetic import at_chance, learning, write_csv, write_run

HOSTILE = """ "'`><img src=x onerror=alert(1)></script><script>document.title='x'</script>
../../$_^{{ 7*7 }}{% raw %}&lt;&#60;\\u003c"""
# Whose texts other parts refer to, or that stand for one of few words.
_KEYS = {"id", "cell_a", "cell_b", "outcome", "what", "maps"}


@dataclass(frozen=True)
class Made:
    """A page with what it was made of."""

    file: Path
    html: str
    content: dict[str, Any]
    drawn: Mapping[str, Drawn]


def made_of(folder: Path, *paths: Path) -> Made:
    """The page of these paths, in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    report = report_on(gather(paths), None)
    numbers = content(report, folder)
    drawings, _ = pictures(report)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "_processors", lambda: 1)  # others would first import all again
        drawn = draw(drawings, folder / "figures")
    html = page(numbers, drawn, ["cells.csv"])
    file = folder / "index.html"
    file.write_text(html, encoding="utf-8")
    return Made(file, html, numbers, drawn)


def sweep(folder: Path) -> Made:
    """2 eps x 2 lr x 2 seeds: cells that converge, disagree, are stuck, and one run that failed."""
    for eps in ("0.1", "0.2"):
        for lr in ("0.05", "0.5"):
            for seed in (0, 1):
                stuck = lr == "0.5" and (eps == "0.2" or seed == 1)
                curves = learning(40, 0.5 - float(eps), seed)
                curves = at_chance(curves) if stuck else curves
                write_run(folder / "runs", curves, f"eps={eps}", f"lr={lr}", f"seed={seed}")
    write_run(folder / "runs", {}, "eps=0.2", "lr=5", "epochs=40", state="failed",
              error="MemoryError: <b>no</b>")  # fmt: skip
    return made_of(folder / "sweep", folder / "runs")


def hostile(folder: Path) -> Made:
    """CSVs whose names are markup."""
    names = ('"><img src=x onerror=alert(1)>', "$x_1^2$ `'", "<script>alert(2)<", "ünï & 漢字")
    (folder / "csv").mkdir()
    for seed, name in enumerate(names):
        curves = learning(25, 0.6, seed)
        write_csv(folder / "csv" / f"{name}.csv", curves)
    return made_of(folder / "hostile", folder / "csv")


def poisoned(value: Any, key: str = "") -> Any:
    """The same content with markup at the end of every text."""
    if isinstance(value, Mapping):
        return {name: one if name in _KEYS else poisoned(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [poisoned(one, key) for one in value]
    return value + HOSTILE if isinstance(value, str) and key != "keys" else value


VOID = {"meta", "link", "input", "br", "img", "hr"}


class Read(HTMLParser):
    """Elements with their attributes, the text, and whether all that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def values(self, name: str) -> list[str]:
        return [attrs[name] or "" for _, attrs in self.elements if name in attrs]
