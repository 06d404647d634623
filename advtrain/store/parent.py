"""`--from RUN`: what a run takes over from the one that it goes on from. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from advtrain.config.overrides import parse_override
from advtrain.config.schema import Config
from advtrain.errors import AdvtrainError, SettingError
from advtrain.store.reader import run_config
from advtrain.store.run_status import STALE, Status, read_status


@dataclass(frozen=True)
class Parent:
    """A run at rest. `name` says which one and after how many epochs: part of the identity."""

    path: Path
    epoch: int
    config: Config
    finished: bool

    @property
    def name(self) -> str:
        """`<identity>@<epochs>`."""
        return parents_name(self.path, self.epoch)


def parents_name(path: Path, epoch: int) -> str:
    """What tells a run that goes on from this one after so many epochs from others."""
    return f"{path.name.rpartition('-')[2]}@{epoch}"


def read_parent(path: Path) -> Parent:
    """The run in this directory; AdvtrainError if it has nothing to go on from."""
    place, path = f"argument '--from {path}'", path.resolve()
    status = read_status(path)
    if status is None:
        raise AdvtrainError(f"{place}: not a run's directory")
    if status.state == "running" and status.silent < STALE:
        raise AdvtrainError(f"{place}: this run is still being trained")
    if not (path / "last.pt").is_file():
        raise AdvtrainError(f"{place}: no last.pt, so nothing to go on from")
    finished = status.state == "finished" and status.stopped != "nonfinite"
    return Parent(path, saved_epochs(status), run_config(path), finished)


def saved_epochs(status: Status) -> int:
    """Epochs after which last.pt is: the one that ended a run as not finite has no checkpoint."""
    return status.epoch - 1 if status.stopped == "nonfinite" else status.epoch


def continued(config: Config, parent: Parent) -> Config:
    """The config with the parent's schedule in epochs, unless an override touches the schedule."""
    if config.training.epochs <= parent.epoch:
        raise SettingError(
            "training.epochs",
            f"{config.training.epochs}, but {parent.path} already has {parent.epoch}; "
            "set epochs above that",
        )
    if schedule_overrides(config):
        return config
    schedule = parent.config.schedule.model_copy(update={"horizon": parent.config.horizon})
    return config.model_copy(update={"schedule": schedule})


def schedule_overrides(config: Config) -> list[str]:
    """Those overrides of the command that touch the schedule."""
    return [o for o in config.origin.overrides if parse_override(o)[0][0] == "schedule"]
