"""Figures that several processes draw: the same bytes, and none is left behind."""

from __future__ import annotations

import multiprocessing
import re
from functools import partial
from pathlib import Path

import pytest

from advtrain.errors import RunFailed
from advtrain.report.figures import drawing
from advtrain.report.figures.drawing import FORMATS, Drawing, draw
from tests.helpers.small_figures import die, drawings


def test_bytes_are_the_same_here_and_in_other_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drawing, "_processors", lambda: 2)
    ticks: list[int] = []
    pooled = draw(drawings(9), tmp_path / "pool", lambda: ticks.append(1))
    assert list(pooled) == [f"figure-{i}" for i in range(9)] and len(ticks) == 9
    monkeypatch.setattr(drawing, "_processors", lambda: 1)
    alone = draw(drawings(9), tmp_path / "alone")
    assert alone == pooled
    for name in pooled:
        for kind in FORMATS:
            files = [tmp_path / where / f"{name}.{kind}" for where in ("pool", "alone")]
            assert files[0].read_bytes() == files[1].read_bytes()
    svg = pooled["figure-3"].svg
    assert svg == (tmp_path / "pool" / "figure-3.svg").read_text()
    assert "深層 &lt;&amp;&gt;" in svg and 'id="cell-one"' in svg and pooled["figure-3"].alt
    assert not re.search(rb"Date|Matplotlib v", (tmp_path / "alone/figure-1.pdf").read_bytes())
    panel = pooled["figure-3"].panels[0]
    assert panel == drawing.Subplot(
        0.25, 0.25, 0.5, 0.5, 0.5, 10.5, ("test_robust_acc", "val_robust_acc")
    )
    assert capfd.readouterr() == ("", ""), "no warning of a missing glyph"


def test_a_process_that_dies_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "_processors", lambda: 2)
    with pytest.raises(RunFailed, match="ended from outside") as raised:
        draw([*drawings(9), Drawing("dead", "", partial(die))], tmp_path)
    assert "\n" not in str(raised.value)


def test_an_interrupted_drawing_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "_processors", lambda: 2)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw(drawings(40), tmp_path, stop)
    assert multiprocessing.active_children() == []
    assert len(list(tmp_path.glob("*.pdf"))) < 40
