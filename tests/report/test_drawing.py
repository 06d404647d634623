"""The files that figures become, drawn here and by other processes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import partial
from pathlib import Path

import pytest

from advtrain.errors import AdvtrainError
from advtrain.report.figures.curves import curves
from advtrain.report.figures.drawing import Drawing, draw
from advtrain.report.figures.style import COLOURS
from advtrain.report.input.cells import cells_of
from advtrain.report.input.gather import gather
from tests.helpers.small_figures import drawings
from tests.helpers.synthetic import learning, write_csv, write_run


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
