"""What to change so that it converges: one suggestion, and the command to type it as."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from advtrain.config.overrides import parse_override
from advtrain.config.schema import Config
from advtrain.diagnosis.remedies import REMEDIES
from advtrain.diagnosis.schedules import Case, exact
from advtrain.diagnosis.segments import Phases
from advtrain.diagnosis.table import Axis, Table

# Of a run that has epochs to come these ask for nothing but patience.
_WAIT = {"too_short", "descending", "improving", "train_unresolved", "unresolved", "departs",
         "lr_moves", "drop_pending"}  # fmt: skip
_AT_WORK = ("running", "queued")


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
    config = table.config
    if not table.finished and cause in _WAIT:
        if table.state in _AT_WORK or config is None:
            return None
        return Suggestion("go on where it stopped", (), _command(config, table.parent, run, []))
    remedy = REMEDIES.get(cause)
    found = remedy(Case(axes, phase, table)) if remedy else None
    if found is None:
        return None
    command = None
    if config is not None and found.overrides:
        goes_on = {"as it did": table.parent, "at its end": run, "afresh": None}[found.begins]
        command = _command(config, goes_on, run, found.overrides)
    return Suggestion(found.text, tuple(found.overrides), command)


def _command(config: Config, goes_on: str | None, run: str, overrides: list[str]) -> str:
    """The command that trains the run's config, changed, from where `goes_on` ended."""
    path = Path(run).resolve()
    words = ["advtrain", "train", _shown(path / "config.yaml"), *overrides]
    if goes_on is not None:
        before = Path(goes_on).resolve()
        changes = {parse_override(override)[0][0] for override in overrides}
        # Without a word about the schedule, that of the run gone on from would take its place.
        if before != path and "schedule" not in changes:
            words.append(f"horizon={exact(config.schedule.horizon)}")
        words += ["--from", _shown(before)]
    runs_dir = path.parent.parent
    if runs_dir != Path("runs").resolve():
        words += ["--runs-dir", _shown(runs_dir)]
    return shlex.join(words)


def _shown(path: Path) -> str:
    """A path as seen from the current directory, if it lies in it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
