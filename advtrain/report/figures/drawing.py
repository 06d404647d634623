"""Figures to files: PNG, SVG and PDF of each, by several processes where there are many."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from advtrain.errors import AdvtrainError, RunFailed, described
from advtrain.process.signals import handling
from advtrain.report.figures.style import styled

FORMATS = ("png", "svg", "pdf")
DPI = 150
_FEW = 8  # drawings that are done before other processes have begun
# Without a date; whatever else these say by default differs between versions only.
_METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
}
_FONT = "'DejaVu Sans'"
_FONTS = "'DejaVu Sans', Verdana, sans-serif"  # the second is as wide


@dataclass(frozen=True)
class Drawing:
    """A figure to be: its file's name without ending, its alternative text, and what makes it.

    `make` has to go to another process: a partial of a module's function.
    """

    name: str
    alt: str
    make: partial[Figure]


@dataclass(frozen=True)
class Subplot:
    """Where curves stand in a figure: fractions of it from the left and the top, and epochs.

    `first` and `last` are the epochs at its edges, which may be half ones; `columns` those shown.
    """

    left: float
    top: float
    width: float
    height: float
    first: float
    last: float
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Drawn:
    """A figure as the page needs it; the files have its name."""

    name: str
    alt: str
    svg: str
    panels: tuple[Subplot, ...]


def draw(
    drawings: Sequence[Drawing], folder: Path, advance: Callable[[], object] = lambda: None
) -> dict[str, Drawn]:
    """Save every drawing as NAME.png, NAME.svg and NAME.pdf, and call `advance` after each.

    Raises AdvtrainError where files cannot be written, RunFailed where drawing ends otherwise.
    """
    found: dict[str, Drawn] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for one in _drawn(drawings, folder):
            found[one.name] = one
            advance()
    except OSError as error:
        reason = error.strerror or str(error)
        raise AdvtrainError(f"{error.filename or folder}: cannot be written: {reason}") from None
    except BrokenProcessPool:
        raise RunFailed(
            f"{folder}: a process that drew figures was ended from outside (out of memory?)"
        ) from None
    return {drawing.name: found[drawing.name] for drawing in drawings}


def _drawn(drawings: Sequence[Drawing], folder: Path) -> Iterator[Drawn]:
    workers = min(_processors(), len(drawings) // 4)
    if len(drawings) <= _FEW or workers < 2:
        yield from (save(drawing, folder) for drawing in drawings)
        return
    spawn = multiprocessing.get_context("spawn")  # a fork would copy the locks of running threads
    pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_begin)
    try:
        with handling(signal.SIG_IGN, signal.SIGINT):  # theirs: it is for this one, which ends them
            futures = [pool.submit(save, drawing, folder) for drawing in drawings]
        for future in as_completed(futures):
            yield future.result()
    finally:  # after Ctrl-C, too: what has not begun is not begun
        pool.shutdown(wait=True, cancel_futures=True)


def save(drawing: Drawing, folder: Path) -> Drawn:
    """Draw one and write its three files; RunFailed, one line, where it cannot be drawn."""
    try:
        return _save(drawing, folder)
    except OSError:
        raise
    except Exception as error:
        said = described(error)
        raise RunFailed(f"{folder / drawing.name}: cannot be drawn: {said}") from error


def _save(drawing: Drawing, folder: Path) -> Drawn:
    figure, svg = drawing.make(), ""
    with styled(**{"svg.hashsalt": drawing.name}):
        for kind in FORMATS:
            made = BytesIO()
            more: dict[str, Any] = {"pil_kwargs": {"compress_level": 2}} if kind == "png" else {}
            figure.savefig(made, format=kind, dpi=DPI, metadata=_METADATA[kind], **more)
            data = made.getvalue()
            if kind == "svg":
                svg = data.decode().replace(_FONT, _FONTS)
                data = svg.encode()
            (folder / f"{drawing.name}.{kind}").write_bytes(data)
    return Drawn(drawing.name, drawing.alt, svg, tuple(_panels(figure)))


def _panels(figure: Figure) -> Iterator[Subplot]:
    for axes in figure.axes:
        label = str(axes.get_label())
        if label:
            at, (first, last) = axes.get_position(), axes.get_xlim()
            yield Subplot(float(at.x0), float(1 - at.y1), float(at.width), float(at.height),
                        float(first), float(last), tuple(label.split(",")))  # fmt: skip


def _begin() -> None:
    """A worker looks for garbage seldom, and never among its modules: a tenth of its time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
