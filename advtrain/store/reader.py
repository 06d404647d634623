"""A run's directory to read, by programs and by people. Imports no torch."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advtrain.errors import AdvtrainError
from advtrain.records import EpochRecord
from advtrain.store.metrics import read_frame, read_records
from advtrain.store.run_status import Status, read_status

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Run:
    """A run's directory, to read."""

    dir: Path

    @property
    def status(self) -> Status:
        """State, epochs done, and what ended the run."""
        status = read_status(self.dir)
        if status is None:
            raise AdvtrainError(f"{self.dir}: no status.json that can be read")
        return status

    @property
    def metrics(self) -> pd.DataFrame:
        """metrics.csv: one row an epoch, the columns of `EpochRecord`; NaN where not measured."""
        return read_frame(self.dir / "metrics.csv")

    @property
    def verdict(self) -> dict[str, Any] | None:
        """verdict.json, or None if the run has none; AdvtrainError if it is damaged."""
        file = self.dir / "verdict.json"
        try:
            found: dict[str, Any] = json.loads(file.read_text())
            return found
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            raise AdvtrainError(
                f"{file}: cannot be read; `advtrain diagnose` judges anew"
            ) from None

    def to_json(self) -> dict[str, Any]:
        """The object that `advtrain train --json` prints."""
        status = self.status
        return {
            "run_dir": str(self.dir),
            "state": status.state,
            "epochs": status.epoch,
            "last": _last(read_records(self.dir / "metrics.csv")),
            "verdict": self.verdict,
        }


def _last(records: list[EpochRecord]) -> dict[str, float | None]:
    """The last row; what is not finite becomes null, since JSON has no NaN."""
    if not records:
        return {}
    return {
        name: value if value is None or math.isfinite(value) else None
        for name, value in asdict(records[-1]).items()
    }


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in a run's file; empty where it is missing, damaged or something else."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def runs_below(folder: Path) -> list[Run]:
    """The runs in a folder, by path; AdvtrainError if there is no such folder."""
    if not folder.is_dir():
        raise AdvtrainError(f"{folder}: no such folder")
    return [Run(file.parent) for file in sorted(folder.rglob("status.json"))]
