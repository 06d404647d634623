"""What to change so that it converges: one suggestion, and the command to type it as."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from advtrain.config.overrides import parse_override
from advtrain.diagnosis.case import Case
from advtrain.diagnosis.changes import Change, Remedy, exact
from advtrain.diagnosis.remedies import REMEDIES
from advtrain.diagnosis.segments import Phases
from advtrain.diagnosis.table import Axis, Table

# Of a run that has epochs to come these ask for nothing but patience.
_WAIT = {"too_short", "descending", "improving", "train_unresolved", "unresolved", "departs",
         "lr_moves", "drop_pending"}  # fmt: skip
_AT_WORK = ("running", "queued")
_NO_WEIGHTS = "which takes its last.pt, and that is not here"


@dataclass(frozen=True)
class Suggestion:
    """What to do, in words, as overrides, and as the whole command where the run is one's own."""

    text: str
    overrides: tuple[str, ...] = ()
    command: str | None = None

    def to_json(self) -> dict[str, object]:
        """The suggestion as verdict.json has it."""
        return {"text": self.text, "overrides": list(self.overrides), "command": self.command}


def suggest(
    cause: str, axes: dict[str, Axis], phase: Phases, table: Table, run: str
) -> Suggestion | None:
    """The remedy for what decided the verdict, or None where there is nothing to mend.

    `run` is the run's directory, absolute or as seen from the current one.
    """
    if cause in ("settled", "within_band") and axes["inner"].state == "weak":
        cause = "weak"
    if not table.finished and cause in _WAIT:
        if table.state in _AT_WORK or table.config is None:
            return None
        if not table.weights:
            return Suggestion(f"go on where it stopped, {_NO_WEIGHTS}")
        typed = shlex.join(["advtrain", "train", _shown(Path(run).resolve())])
        return Suggestion("go on where it stopped", (), typed)
    remedy = REMEDIES.get(cause)
    found = remedy(Case(axes, phase, table)) if remedy else None
    if found is None:
        return None
    changes = [*_beginning(found, table), *found.changes]
    overrides = tuple(override for change in changes for override in change.overrides)
    command = _command(found, table, run, overrides) if overrides else None
    return Suggestion("; ".join(change.text for change in changes), overrides, command)


def _beginning(found: Remedy, table: Table) -> list[Change]:
    """Where the remedy begins, if that is not the start."""
    if found.begins == "at its end":
        return [Change("go on from its last epoch", "" if table.weights else _NO_WEIGHTS)]
    typed = [override for change in found.changes for override in change.overrides]
    if table.config is None or table.parent is None or found.begins == "afresh" or not typed:
        return []
    if not table.parent_waits:
        gone = f"which does not lie there as it was after epoch {table.carried}"
        return [Change(f"begin from {table.parent} again", gone)]
    begin = Change("begin from the same parent again")
    if any(parse_override(override)[0][0] == "schedule" for override in typed):
        return [begin]
    span = exact(table.config.schedule.horizon)
    why = "which that of the parent would replace"
    return [begin, Change("keep the schedule", why, (f"horizon={span}",))]


def _command(found: Remedy, table: Table, run: str, overrides: tuple[str, ...]) -> str | None:
    """The command that trains the run's config, changed; None of someone else's, or where the
    weights that it would begin with are gone.
    """
    path = Path(run).resolve()
    words = ["advtrain", "train", _shown(path / "config.yaml"), *overrides]
    if table.config is None:
        return None
    if found.begins == "at its end":
        if not table.weights:
            return None
        words += ["--from", _shown(path)]
    elif found.begins == "as it did" and table.parent is not None:
        if not table.parent_waits:
            return None
        words += ["--from", _shown(Path(table.parent).resolve())]
    # Where a run of this name belongs; a copy may lie anywhere.
    runs_dir = path.parent.parent if path.parent.name == table.config.name else Path("runs")
    if runs_dir.resolve() != Path("runs").resolve():
        words += ["--runs-dir", _shown(runs_dir)]
    return shlex.join(words)


def _shown(path: Path) -> str:
    """A path as seen from the current directory, if it lies in it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
