"""`advtrain report`: paths in, a folder with page, figures and tables out, the headline shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from advtrain.errors import AdvtrainError
from advtrain.report.figures.drawing import FORMATS, draw
from advtrain.report.figures.pictures import pictures
from advtrain.report.input.cells import cells_of
from advtrain.report.input.gather import CSV_STATE, Side, entry_of, gather, gather_latest
from advtrain.report.numbers.content import Reference, Report, content, report_on
from advtrain.report.page.render import page
from advtrain.report.tables import tables
from advtrain.store.csv_cells import STDIN, read_cells
from advtrain.tasks.diagnose import diagnose_cells

_MADE = ".made-by-advtrain"  # lists the files of the last report in a folder
_OURS = re.compile(r"(figures|tables)/[A-Za-z0-9._-]+\.(png|svg|pdf|csv|tex)")


@dataclass(frozen=True)
class ReportRequest:
    """What the command was asked for; `paths` empty means the latest sweep or run."""

    paths: tuple[Path, ...]
    out: Path
    columns: Mapping[str, str]
    classes: int | None
    reference: Path | None
    runs_dir: Path = Path("runs")


def make(request: ReportRequest) -> dict[str, Any]:
    """Write the report into its folder; the object of `--json`.

    Files that an earlier report left there and this one does not have are removed; no others are
    touched. Raises AdvtrainError for paths that cannot be reported on, or a folder that cannot be
    written.
    """
    out = request.out
    if out.exists() and not out.is_dir():
        raise AdvtrainError(f"argument '--out {out}': is a file; name a folder")
    with _progress() as progress:
        report = _read(request)
        numbers = content(report, out)
        return _write(report, numbers, out, progress)


def _read(request: ReportRequest) -> Report:
    if request.paths:
        sides = gather(request.paths, request.columns, request.classes)
    else:
        sides = gather_latest(request.runs_dir)
    reference = _reference(request) if request.reference else None
    foreign = any(entry.state == CSV_STATE for side in sides for entry in side.entries)
    if (request.columns or request.classes) and not (foreign or reference):
        raise AdvtrainError(
            "arguments --columns and --classes: they are about CSVs; a run knows its own"
        )
    return report_on(together(sides), reference)


def together(sides: Sequence[Side]) -> list[Side]:
    """Two sides, or one: runs given one by one are seeds of a recipe, or two recipes.

    More than two of anything else are one collection.
    """
    if len(sides) < 2:
        return list(sides)
    pooled = Side(
        ", ".join(dict.fromkeys(side.name for side in sides)),
        tuple({e.path.resolve(): e for side in sides for e in side.entries}.values()),
        tuple(row for side in sides for row in side.bands),
        tuple(path for side in sides for path in side.copies),
    )
    if all(len(side.entries) == 1 for side in sides):
        _, cells = cells_of([pooled])
        if len(cells) == 2:
            return [Side(cell.label, cell.entries) for cell in cells]
    elif len(sides) == 2:
        return list(sides)
    return [pooled]


def _reference(request: ReportRequest) -> Reference:
    """The curve of `--reference`; --columns may rename its columns, too."""
    file = request.reference
    assert file is not None
    if file != STDIN and (file.is_dir() or not file.exists()):
        raise AdvtrainError(f"argument '--reference {file}': expected a CSV of epochs")
    cells = read_cells(file)
    renamed = {ours: theirs for ours, theirs in request.columns.items() if theirs in cells.header}
    result = diagnose_cells(cells, renamed, request.classes if renamed else None)
    return Reference(file.stem, entry_of(result))


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on stderr, in a terminal only."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True,
                  disable=not console.is_terminal) as progress:  # fmt: skip
        yield progress


def _write(
    report: Report, numbers: dict[str, Any], out: Path, progress: Progress
) -> dict[str, Any]:
    """Figures, tables, then the page, which names them; the object with what it was made of."""
    drawings, notes = pictures(report)
    numbers["notes"] += notes
    task = progress.add_task("drawing", total=len(drawings))
    drawn = draw(drawings, out / "figures", lambda: progress.advance(task))
    files = {f"tables/{name}": found for name, found in tables(numbers).items()}
    names = [file.removeprefix("tables/") for file in files]
    files["index.html"] = page(numbers, drawn, names).encode()
    made = [f"figures/{name}.{kind}" for name in drawn for kind in FORMATS] + [*files]
    try:
        _remove_earlier(out, made)
        (out / "tables").mkdir(exist_ok=True)
        for name, found in files.items():
            (out / name).write_bytes(found)
        (out / _MADE).write_text("\n".join(sorted(made)) + "\n")
    except OSError as error:
        raise AdvtrainError(
            f"{error.filename or out}: cannot be written: {error.strerror}; name another folder "
            "with --out"
        ) from None
    return numbers | {"files": sorted(made)}


def _remove_earlier(out: Path, made: Sequence[str]) -> None:
    """What an earlier report put there would be taken for this one's."""
    try:
        earlier = (out / _MADE).read_text().splitlines()
    except (OSError, ValueError):
        return
    for name in set(earlier) - set(made):
        if _OURS.fullmatch(name):  # whatever else the list may say
            (out / name).unlink(missing_ok=True)
