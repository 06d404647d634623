"""What a person sees of a run: a live table or plain lines while it goes on, charts at the end.

Results go to stdout, everything that passes to stderr.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from advtrain.config.schema import Config
from advtrain.process.observer import Observer
from advtrain.records import EpochRecord, Row
from advtrain.store.final_csv import read_final
from advtrain.store.metrics import read_records
from advtrain.store.reader import Run, run_config
from advtrain.terminal.answer import print_verdict
from advtrain.terminal.charts import chart
from advtrain.terminal.duration import duration

_ROWS = 12  # epochs that the live table shows
_REFRESH = 0.1  # seconds between updates of the bar


@contextmanager
def watching(quiet: bool) -> Iterator[Observer]:
    """The observer that suits stderr; --quiet leaves only warnings."""
    console = Console(stderr=True, highlight=False)
    if quiet:
        yield Warnings(console)
    elif not console.is_terminal:
        yield Lines(console)
    else:
        table = LiveTable(console)
        with table.live:
            yield table


class Warnings(Observer):
    """Warnings alone."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def warn(self, text: str) -> None:
        """One line on stderr."""
        self.console.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)


class Notes(Warnings):
    """Warnings, and what a run works with."""

    def note(self, text: str) -> None:
        """One line on stderr."""
        self.console.print(text, markup=False, soft_wrap=True)


class Lines(Notes):
    """A plain line for each epoch, for logs and pipes."""

    epochs = 0

    def started(self, run: Path, config: Config, rows: list[Row]) -> None:
        """Say where, and from which epoch."""
        self.epochs = config.training.epochs
        doing = f"going on after epoch {len(rows)}" if rows else "training"
        self.console.print(f"{doing} in {run}", markup=False, soft_wrap=True)

    def epoch(self, record: EpochRecord) -> None:
        """The epoch's line."""
        self.console.print(record.line(self.epochs), markup=False, soft_wrap=True)


class LiveTable(Notes):
    """The last epochs as a table above a progress bar."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.title = ""
        self.epochs = self.done = 0
        self.records: deque[EpochRecord] = deque(maxlen=_ROWS)
        self.seconds: deque[float] = deque(maxlen=_ROWS)
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(None), TextColumn("{task.fields[left]}"),
            console=console, expand=True,
        )  # fmt: skip
        self.task = self.bar.add_task("loading", total=None, left="")
        self.updated = 0.0
        # Drawing takes the time of training: 8 times a second was 7% of a small network's.
        self.live = Live(get_renderable=self.render, console=console, refresh_per_second=2)

    def started(self, run: Path, config: Config, rows: list[Row]) -> None:
        """Fill the table with the epochs that are there."""
        self.title, self.epochs, self.done = str(run), config.training.epochs, len(rows)
        for row in rows[-_ROWS:]:
            self.records.append(EpochRecord.of_row(row))
        self.bar.update(self.task, total=self.epochs, completed=self.done)

    def batch(self, done: int, batches: int) -> None:
        """Move the bar, at most some times a second."""
        now = time.monotonic()
        if now - self.updated > _REFRESH:
            self.updated = now
            self._advance(self.done + done / batches)

    def epoch(self, record: EpochRecord) -> None:
        """Add the row."""
        self.records.append(record)
        self.seconds.append(record.seconds or 0.0)
        self.done = record.epoch
        self._advance(record.epoch)

    def _advance(self, completed: float) -> None:
        left = ""
        if self.seconds:
            mean = sum(self.seconds) / len(self.seconds)
            left = f"{duration(mean * (self.epochs - completed))} left"
        text = f"epoch {min(self.done + 1, self.epochs)} of {self.epochs}"
        self.bar.update(self.task, description=text, completed=completed, left=left)

    def render(self) -> Group:
        """Table and bar."""
        shown = [epoch_table(list(self.records), self.title)] if self.records else []
        return Group(*shown, self.bar)


def epoch_table(records: list[EpochRecord], title: str) -> Table:
    """Clean and robust, train and test, loss and accuracy of each epoch."""
    table = Table(
        title=Text(title), title_justify="left", title_style="dim", box=None, pad_edge=False
    )
    for name in ("epoch", "lr"):
        table.add_column(name, justify="right")
    for split in ("train", "test"):
        for kind in ("clean", "robust"):
            style = "bold" if (split, kind) == ("test", "robust") else ""
            table.add_column(f"{split} {kind}", justify="right", style=style, no_wrap=True)
    table.add_column("images/s", justify="right")
    for record in records:
        pairs = [
            _pair(getattr(record, f"{split}_{kind}_loss"), getattr(record, f"{split}_{kind}_acc"))
            for split in ("train", "test")
            for kind in ("clean", "robust")
        ]
        speed = f"{record.images_per_second or 0:.0f}"
        table.add_row(str(record.epoch), f"{record.lr or 0:.3g}", *pairs, speed)
    return table


def _pair(loss: float | None, acc: float | None) -> str:
    return "-" if loss is None or acc is None else f"{loss:.3f} {acc:6.1%}"


def summary(run: Run, verdict: Mapping[str, Any] | None, console: Console) -> None:
    """How a run ended, its two charts, its verdict: the last lines of `advtrain train`."""
    status, rows = run.status, read_records(run.dir / "metrics.csv")
    config = run_config(run.dir)
    if any(row.test_robust_acc is not None for row in rows):
        console.print(charts(rows, console))
        attack = f"PGD-{config.evaluation.steps}, {config.attack.norm}, eps {config.attack.eps:.4g}"
        final = read_final(run.dir).get("test")
        if final:
            attack += f", all {final.images:,} images"
        shown = _scores(final.clean_acc, final.robust_acc) if final else _scores_of(rows[-1])
        text = f"test after epoch {rows[-1].epoch}: {shown} ({attack})"
        console.print(text, soft_wrap=True)
    best = next((row for row in rows if row.epoch == status.best_epoch), None)
    if best:
        text = f"best on validation after epoch {best.epoch}: test {_scores_of(best)}"
        console.print(text, soft_wrap=True)
    text = f"{status.state} after {status.epoch} of {status.epochs} epochs"
    if status.stopped == "early_stopping":
        text += ": validation improved no more"
    elif status.stopped == "nonfinite":
        text = f"{status.state} in epoch {status.bad_epoch} of {status.epochs}, batch "
        text += f"{status.bad_batch}: a loss or weight was not finite; epochs before it are kept"
    elif status.stopped:
        text += f": training.stop_on has {status.stopped}"
    console.print(text, soft_wrap=True)
    if verdict:
        print_verdict(verdict, console)
    console.print(str(run.dir), markup=False, soft_wrap=True)


def _scores_of(record: EpochRecord) -> str:
    return _scores(record.test_clean_acc, record.test_robust_acc)


def _scores(clean: float | None, robust: float | None) -> str:
    measured = (("clean", clean), ("robust", robust))
    parts = [f"{kind} {acc:.1%}" for kind, acc in measured if acc is not None]
    return ", ".join(parts) or "not measured"


def charts(records: list[EpochRecord], console: Console) -> Columns:
    """Robust loss and robust accuracy over the epochs, train and test."""

    def series(kind: str) -> dict[str, list[float]]:
        return {
            split: [_or_nan(getattr(record, f"{split}_robust_{kind}")) for record in records]
            for split in ("train", "test")
        }

    plain = console.options.ascii_only
    return Columns(
        [
            chart("robust loss", series("loss"), ascii_only=plain),
            chart("robust accuracy", series("acc"), percent=True, ascii_only=plain),
        ],
        padding=(0, 2),
    )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
