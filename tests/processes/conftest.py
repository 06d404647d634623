"""All tests here start processes, and so are marked slow; they come first."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from advtrain.sweep.launch import slurm_follow
from tests.helpers.command_line import Done
from tests.helpers.slurm_host import SlurmHost
from tests.helpers.slurm_runs import COMMAND

HERE = Path(__file__).parent
SLOWEST = ("test_slurm", "test_distributed", "test_sweep", "test_stopping")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that wait longest come first, so that no worker has one left when others have ended."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: _turn(item.path))


def _turn(file: Path) -> int:
    found = (i for i, name in enumerate(SLOWEST) if file.name.startswith(name))
    return next(found, len(SLOWEST)) if file.parent == HERE else len(SLOWEST) + 1


@pytest.fixture
def sweep_on_slurm(
    slurm: SlurmHost, advtrain: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Done]:
    """Run the sweep's command on Slurm in this process, to its end."""
    for name in os.environ.keys() - slurm.env.keys():
        monkeypatch.delenv(name)
    for name, value in slurm.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(slurm_follow, "_TICK", 0.2)
    monkeypatch.setattr(slurm_follow, "_ASK", 1.0)
    return partial(advtrain, *COMMAND)
