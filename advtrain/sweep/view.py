"""What a person sees while a sweep goes on, on stderr: a live grid, or a line a run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from advtrain.config.grid import GridAxis
from advtrain.sweep.board import Board
from advtrain.sweep.plan import Planned
from advtrain.sweep.text_map import glyph_of, maps
from advtrain.terminal.duration import duration

_REFRESH = 0.5  # seconds


@contextmanager
def watching(board: Board, axes: Sequence[GridAxis]) -> Iterator[View]:
    """The view that suits stderr."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield View(board, console)
        return
    view = LiveGrid(board, axes, console)
    with view.live:
        yield view


class View:
    """A plain line for each run that ends, for logs and pipes."""

    def __init__(self, board: Board, console: Console) -> None:
        self.board, self.console = board, console
        self.workers = 1
        self._warned: set[str] = set()

    def note(self, text: str) -> None:
        """A line about the sweep as a whole."""
        self.console.print(Text(text), soft_wrap=True)

    def warn(self, text: str) -> None:
        """A run's warning, once however many runs have it."""
        if text not in self._warned:
            self._warned.add(text)
            self.console.print(Text(f"warning: {text}", style="yellow"), soft_wrap=True)

    def moved(self, run: Planned) -> None:
        """An epoch of the run is done."""

    def tick(self) -> None:
        """Some time has passed."""

    def ended(self, run: Planned, tail: str = "") -> None:
        """The run has come to an end; `tail`: what its process printed last before it died."""
        of, ascii_only = self.board.of(run), self.console.options.ascii_only
        line = Text(f"[{self._count()}] ").append(*glyph_of(of, ascii_only))
        if of.finished:
            robust = "" if of.last is None else f", robust {of.last:.1%}"
            line.append(f" {run.title}: {of.headline}{robust} ({duration(of.seconds)})")
        elif of.failed:
            line.append(f" {run.title}: {of.state}: {of.error}; {run.path}/log.txt", style="red")
        else:
            after = f" after epoch {of.epoch} of {of.epochs}" if of.epoch else ""
            line.append(f" {run.title}: {of.state}{after}")
        self.console.print(line, soft_wrap=True)
        for printed in tail.splitlines():
            self.console.print(Text(f"    {printed}", style="dim"), soft_wrap=True)

    def _count(self) -> str:
        done = sum(o.finished or o.failed for o in self.board.outcomes.values())
        return f"{done}/{len(self.board.runs)}"


class LiveGrid(View):
    """Below those lines the grid: each cell's runs, how far they are, how long it will take."""

    def __init__(self, board: Board, axes: Sequence[GridAxis], console: Console) -> None:
        super().__init__(board, console)
        self.axes = axes
        self.updated = 0.0
        self.live = Live(get_renderable=self.render, console=console, auto_refresh=False,
                         transient=True)  # fmt: skip

    def tick(self) -> None:
        """Draw it anew, at most some times a second."""
        now = time.monotonic()
        if now - self.updated > _REFRESH:
            self.updated = now
            self.live.refresh()

    def render(self) -> Group:
        """The maps as far as they fit, those at work first, and a line on the whole."""
        room = self.console.height - 4
        parts: list[Text | Table] = []
        for heading, table in maps(self.board, self.axes, self.console, live=True):
            room -= table.row_count + 2
            if room < 0 and parts:
                parts.append(Text("...", style="dim"))
                break
            parts += [Text(heading, style="bold"), table] if heading else [table]
        return Group(*parts, Text(self.progress(), style="dim"))

    def progress(self) -> str:
        """Runs done and time left."""
        text = f"{self._count()} runs"
        if failed := len(self.board.failures()):
            text += f", {failed} failed"
        runs = [r for r in self.board.runs if not self.board.of(r).finished]
        runs = [r for r in runs if self.board.of(r).state != "failed"]
        if (left := time_left(self.board, runs, self.workers)) is not None:
            text += f", about {duration(left)} left"
        return text


def time_left(
    board: Board, runs: Sequence[Planned], workers: int, *, anew: bool = False
) -> float | None:
    """Seconds for these runs, from the epochs done so far; None before the first."""
    each = board.seconds_an_epoch()
    outcomes = [board.of(run) for run in runs]
    epochs = [o.epochs if anew else max(0, o.epochs - o.epoch) for o in outcomes]
    busy = max(1, min(workers, sum(left > 0 for left in epochs)))
    return None if each is None else each * sum(epochs) / busy
