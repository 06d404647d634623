"""The `slurm:` section: read, refused, and no part of what makes a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from advtrain import load_config
from advtrain.config.identity import identity, to_yaml
from advtrain.config.slurm import minutes
from advtrain.errors import ConfigError
from advtrain.store.naming import run_path
from tests.helpers.command_line import Done

FULL = """\
slurm:
  partition: gpu
  account: me
  time: 1-02:30:00
  gpus: 2
  cpus: 8
  memory: 16G
  runs_per_task: 4
  setup: [module load cuda, export A=1]
  options: {qos: high, exclusive: true, nice: 100}
"""


@pytest.mark.parametrize(
    ("text", "value"),
    [("90", 90), ("2:30", 3), ("2:00:00", 120), ("1-0", 1440), ("1-12:30", 2190), ("0:01", 1),
     ("1-00:00:01", 1441)],
)  # fmt: skip
def test_times_are_read_as_sbatch_reads_them(text: str, value: int) -> None:
    assert minutes(text) == value


def test_the_section_is_no_part_of_the_runs_identity(tiny: Path, tmp_path: Path) -> None:
    plain = load_config(tiny)
    asked = tmp_path / "asked.yaml"
    asked.write_text(f"{tiny.read_text()}{FULL}")
    config = load_config(asked)
    assert config.slurm.minutes == 26 * 60 + 30
    assert config.slurm.options == {"qos": "high", "exclusive": True, "nice": 100}
    assert identity(config) == identity(plain)
    again = tmp_path / "again.yaml"
    again.write_text(to_yaml(config))
    assert load_config(again) == config


def test_the_section_is_not_in_the_runs_label(tiny: Path, tmp_path: Path) -> None:
    plain, asked = load_config(tiny), load_config(tiny, ["partition=gpu", "slurm.cpus=3"])
    paths = {run_path(tmp_path, config, identity(config)) for config in (plain, asked)}
    assert len(paths) == 1


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("time", "soon", "expected minutes or a time such as 2:00:00"),
        ("time", "0", "expected more than no time"),
        ("time", "1:2:3:4", "expected minutes or a time"),
        ("time", "true", "expected minutes or a time"),
        ("gpus", "-1", "expected >= 0"),
        ("cpus", "0", "expected >= 1"),
        ("runs_per_task", "0", "expected >= 1"),
        ("memory", "8", "expected a size such as 500M or 8G, got 8"),
        ("memory", "8 G", "expected a size such as 500M or 8G"),
        ("setup", "module load cuda", "expected a list"),
        ("options", "{mem: 8G}", "mem: set by advtrain; use slurm.memory"),
        ("options", "{array: 0-3}", "array: set by advtrain; use --jobs"),
        ("options", "{output: x}", "output: set by advtrain"),
        ("options", "{--qos: x}", "expected sbatch's long name, qos"),
        ("options", "{mail_user: x}", "expected sbatch's long name, mail-user"),
        ("options", "{qos: [a]}", "qos: expected a word, a number or true, got a list"),
        ("options", "{exclusive: false}", "exclusive: expected a word, a number or true"),
        ("options", '{qos: "a\\n#SBATCH --x"}', "qos: expected a word"),
        ("partitions", "gpu", "did you mean slurm.partition?"),
    ],
)
def test_what_cannot_be_is_said(tiny: Path, key: str, value: str, expected: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(tiny, [f"slurm.{key}={value}"])
    assert len(error.value.problems) == 1
    assert re.match(rf"argument 'slurm\.{key}=", error.value.problems[0])
    assert expected in error.value.problems[0]


def test_the_keys_of_slurm_cannot_be_swept(advtrain: Callable[..., Done], tiny: Path) -> None:
    done: Any = advtrain("sweep", tiny, "slurm.cpus=1,2", "--dry-run")
    assert done.code == 2 and "slurm.cpus cannot be swept" in done.err
