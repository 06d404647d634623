"""A run's directory to read, by programs and by people. Imports no torch."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from advtrain.config.json_file import read_object
from advtrain.config.load import load_config
from advtrain.config.schema import Config
from advtrain.errors import AdvtrainError
from advtrain.store.final_csv import read_final
from advtrain.store.metrics import read_frame, read_records
from advtrain.store.run_status import Status, read_status, why_no_status

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
            raise AdvtrainError(f"{self.dir}: its {why_no_status(self.dir)}")
        return status

    @property
    def metrics(self) -> pd.DataFrame:
        """metrics.csv: one row an epoch, the columns of `EpochRecord`; NaN where not measured."""
        return read_frame(self.dir / "metrics.csv")

    @property
    def last(self) -> dict[str, float | None]:
        """The last row of metrics.csv, empty before the first epoch.

        What is not finite becomes None, since JSON has no NaN.
        """
        records = read_records(self.dir / "metrics.csv")
        return {
            name: value if value is None or math.isfinite(value) else None
            for name, value in (asdict(records[-1]) if records else {}).items()
        }

    @property
    def verdict(self) -> dict[str, Any] | None:
        """verdict.json, or None if the run has none; AdvtrainError if it is damaged."""
        file = self.dir / "verdict.json"
        found = read_object(file)
        if found is None:
            raise AdvtrainError(f"{file}: cannot be read; `advtrain diagnose` judges anew")
        return found or None

    def to_json(self) -> dict[str, Any]:
        """The object that `advtrain train --json` prints."""
        status = self.status
        return {
            "run_dir": str(self.dir),
            "state": status.state,
            "epochs": status.epoch,
            "last": self.last,
            "final": {
                score.split: {k: v for k, v in asdict(score).items() if k != "split"}
                for score in read_final(self.dir).values()
            },
            "verdict": self.verdict,
        }


def run_config(run: Path, *, check_imports: bool = True) -> Config:
    """The config of a run; AdvtrainError if its config.yaml is missing or damaged."""
    if not (run / "config.yaml").exists():
        raise AdvtrainError(
            f"{run}: config.yaml is missing; the command that trained the run writes it again"
        )
    return load_config(run / "config.yaml", check_imports=check_imports)


@dataclass(frozen=True)
class RunFiles:
    """What the small files of a run's directory say, each read once.

    No status and an empty provenance where these are missing or damaged; of a config that cannot
    be read, the error.
    """

    path: Path
    status: Status | None
    provenance: Mapping[str, Any]
    config: Config | AdvtrainError


def read_files(path: Path) -> RunFiles:
    """The files of the run in this directory.

    Neither weights nor the modules of `import:` are needed, so a copy elsewhere will do.
    """
    config: Config | AdvtrainError
    try:
        config = run_config(path, check_imports=False)
    except AdvtrainError as error:
        config = error
    provenance = read_object(path / "provenance.json") or {}
    return RunFiles(path, read_status(path), provenance, config)


def runs_below(folder: Path) -> list[Run]:
    """The runs in a folder, by path; AdvtrainError if there is no such folder."""
    if not folder.is_dir():
        raise AdvtrainError(f"{folder}: no such folder")
    found = [Path(where) for where, _, files in os.walk(folder) if _of_run({*files})]
    return [Run(path) for path in sorted(found)]


def _of_run(files: set[str]) -> bool:
    """Whether these are files of a run, even of one that has lost its status.json."""
    return "status.json" in files or {"config.yaml", "provenance.json"} <= files
