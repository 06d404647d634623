"""The files that figures become, drawn here and by other processes."""

from __future__ import annotations

import multiprocessing
import os
import re
import time
import xml.etree.ElementTree as ET
from functools import partial
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from advtrain.errors import AdvtrainError, RunFailed
from advtrain.report.figures import drawing
from advtrain.report.figures.curves import curves
from advtrain.report.figures.drawing import FORMATS, Drawing, draw
from advtrain.report.figures.style import COLOURS, figure
from advtrain.report.input.cells import cells_of
from advtrain.report.input.gather import gather
from tests.helpers.synthetic import learning, write_csv, write_run


@figure
def plot(x: float) -> Figure:
    made = Figure(figsize=(2, 1))
    axes = made.add_axes((0.25, 0.25, 0.5, 0.5), label="test_robust_acc,val_robust_acc")
    axes.plot([1, 10], [0, x])
    axes.set_xlim(0.5, 10.5)
    axes.text(0, 0, "深層 <&>", gid="cell-one")
    return made


def late(x: float) -> Figure:
    """Others are done before it."""
    time.sleep(0.5)
    return plot(x)


def die() -> Figure:
    os._exit(9)


def drawings(n: int) -> list[Drawing]:
    makes = [late, *[plot] * (n - 1)]
    return [Drawing(f"figure-{i}", f"words {i}", partial(makes[i], float(i))) for i in range(n)]


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


def test_interrupted_it_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "_processors", lambda: 2)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw(drawings(40), tmp_path, stop)
    assert multiprocessing.active_children() == []
    assert len(list(tmp_path.glob("*.pdf"))) < 40


def test_where_files_cannot_be_written_one_line_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "figure-0.png").mkdir()
    for folder, reason in ((tmp_path / "file" / "x", "Not a directory"), (tmp_path, "Is a dir")):
        with pytest.raises(AdvtrainError, match=f"cannot be written: {reason}"):
            draw(drawings(1), folder)


def test_hostile_names_stay_text_in_the_svg(tmp_path: Path) -> None:
    file = write_csv(tmp_path / 'a$x_1$<b>&"q"]]>.csv', {"test_robust_acc": [0.1] * 20})
    (one,) = cells_of(gather([file]))[1]
    svg = draw([Drawing("one", "", partial(curves, one))], tmp_path / "out")["one"].svg
    said = [e.text for e in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert 'a$x_1$<b>&"q"]]>' in said


def test_only_named_colours_are_drawn(tmp_path: Path) -> None:
    """The page exchanges them for another theme's; a stray one would stay."""
    (one,) = cells_of(gather([write_run(tmp_path, learning(20))]))[1]
    svg = draw([Drawing("one", "", partial(curves, one))], tmp_path / "out")["one"].svg
    assert set(re.findall(r"#[0-9a-f]{6}", svg)) <= set(COLOURS.values())
