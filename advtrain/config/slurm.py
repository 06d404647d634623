"""The `slurm:` section: what `advtrain sweep --launcher slurm` asks of the cluster.

No part of what makes a run: the same run may be trained with other settings, or without Slurm.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from advtrain.config.expressions import shown
from advtrain.config.section import Count, Section, Text

# sbatch's --time: minutes, minutes:seconds, hours:minutes:seconds, or any of these after days-
_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")
_MEMORY = re.compile(r"[1-9]\d*[KMGT]")
# What a sweep sets itself, or has a key for.
_OWN = {
    "partition": "slurm.partition", "account": "slurm.account", "time": "slurm.time",
    "mem": "slurm.memory", "cpus-per-task": "slurm.cpus", "gpus-per-node": "slurm.gpus",
    "gpus": "slurm.gpus", "array": "--jobs", "output": "", "error": "", "open-mode": "",
    "signal": "", "requeue": "", "no-requeue": "", "job-name": "", "ntasks": "", "nodes": "",
    "wrap": "", "chdir": "",
}  # fmt: skip


def minutes(text: str) -> int:
    """Whole minutes, rounded up, of a time as sbatch reads it; ValueError if it does not."""
    match = _TIME.fullmatch(text)
    if not match:
        raise ValueError(f"expected minutes or a time such as 2:00:00 or 1-12:00:00, got {text!r}")
    days, first, second, third = match.groups()
    if days is None and third is None:  # minutes, perhaps with seconds
        seconds = 60 * int(first) + int(second or 0)
    else:  # hours, perhaps with minutes and seconds
        seconds = 3600 * int(first) + 60 * int(second or 0) + int(third or 0)
    seconds += 86_400 * int(days or 0)
    if seconds <= 0:
        raise ValueError(f"expected more than no time, got {text!r}")
    return -(-seconds // 60)


def _time(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"expected minutes or a time such as 2:00:00, got {shown(value)}")
    minutes(value)
    return value


class Slurm(Section):
    """What `advtrain sweep --launcher slurm` asks of the cluster for each task."""

    partition: Text | None = Field(None, description="where the tasks run; the cluster's default")
    account: Text | None = Field(None, description="whom they are charged to")
    time: Annotated[str, BeforeValidator(_time)] = Field(
        "60", description="limit of a task: minutes, 2:00:00 or 1-12:00:00; a run that needs more "
        "is saved, requeued and goes on",
    )  # fmt: skip
    gpus: Count = Field(0, ge=0, description="GPUs of a task, a run on each; 0 is CPUs")
    cpus: Count = Field(
        1, ge=1, description="cores of a task; without GPUs a run at a time on each"
    )
    memory: Text | None = Field(None, description="of a task, as in 8G; the cluster's default")
    runs_per_task: Count = Field(1, ge=1, description="runs that a task takes")
    setup: list[Text] = Field([], description="shell lines before the task, as module load cuda")
    options: dict[str, Any] = Field(
        {}, description="other options of sbatch, as {qos: high, constraint: a100}"
    )

    @field_validator("memory", mode="before")
    @classmethod
    def _with_unit(cls, memory: object) -> object:
        if memory is not None and not (isinstance(memory, str) and _MEMORY.fullmatch(memory)):
            raise ValueError(f"expected a size such as 500M or 8G, got {shown(memory)}")
        return memory

    @field_validator("options")
    @classmethod
    def _others(cls, options: dict[str, Any]) -> dict[str, Any]:
        for name, value in options.items():
            plain = name.removeprefix("--").replace("_", "-")
            if plain in _OWN:
                instead = f"; use {_OWN[plain]}" if _OWN[plain] else ""
                raise ValueError(f"{name}: set by advtrain{instead}")
            if plain != name:
                raise ValueError(f"expected sbatch's long name, {plain}, got {name!r}")
            if not isinstance(value, str | int | float) or value is False or "\n" in str(value):
                raise ValueError(f"{name}: expected a word, a number or true, got {shown(value)}")
        return options

    @property
    def minutes(self) -> int:
        """The time limit in whole minutes."""
        return minutes(self.time)
