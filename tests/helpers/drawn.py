"""Cells made by hand, and what stands in a figure: shared by the tests of figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from advtrain.diagnosis.table import Labels, Table
from advtrain.diagnosis.verdict import Verdict, unjudged
from advtrain.report.input.cells import Cell, cells_of
from advtrain.report.input.gather import Entry, gather
from advtrain.tasks.diagnose import Diagnosis
from tests.helpers.synthetic import learning, write_run


def cell_of(*paths: Path) -> Cell:
    (cell,) = cells_of(gather(list(paths)))[1]
    return cell


def seeds(folder: Path, n: int, epochs: int = 30) -> tuple[Cell, pd.DataFrame]:
    """A cell of n seeds, and all their rows."""
    for seed in range(n):
        made = learning(epochs, 0.6 + 0.02 * seed, seed)
        write_run(folder, made, f"seed={seed}")
    files = sorted(folder.glob("*/metrics.csv"))
    return cell_of(folder), pd.concat([pd.read_csv(file) for file in files], keys=range(n))


def panel(figure: Figure, title: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_title(loc="left").startswith(title))


def named(axes: Axes, label: str) -> Line2D:
    (found,) = [line for line in axes.lines if line.get_label() == label]
    return found


def data(line: Line2D) -> dict[float, float]:
    """Values by epoch, without the gaps."""
    x, y = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    return dict(zip(x[np.isfinite(y)].tolist(), y[np.isfinite(y)].tolist(), strict=True))


def figure_texts(figure: Figure) -> list[Text]:
    return [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text()]


def entry(
    seed: int,
    converged: bool | None,
    state: str = "finished",
    acc: float = 0.5,
    cause: str = "made",
) -> Entry:
    columns = {"test_robust_acc": np.array([acc]), "val_robust_acc": np.array([acc])}
    table = Table(np.array([1]), columns, labels=Labels.balanced(10))
    verdict = Verdict(converged, cause, "made", None, unjudged("made").axes)
    result = Diagnosis(Path("run"), table if state == "finished" else None, verdict)
    return Entry(Path("run"), result, state, seed=seed, columns=columns, best_epoch=1)


def cell(at: dict[str, str], *entries: Entry) -> Cell:
    return Cell("-".join(at.values()), ", ".join(at.values()), 0, entries, at)


def texts(figure: Figure) -> list[str]:
    """Everything written."""
    return [text.get_text() for text in figure_texts(figure)]
