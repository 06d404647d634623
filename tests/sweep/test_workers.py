"""A sweep's worker processes, as far as timing decides what is heard of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from advtrain.sweep.launch import pool
from advtrain.sweep.launch.pool import Worker, Workers, died_of

ENDED: dict[str, Any] = {"event": "ended", "state": "finished", "error": ""}


@pytest.fixture
def workers(tmp_path: Path) -> Workers:
    """One worker, whose process has ended after its run; what it told has yet to be read."""
    none = Workers([], tmp_path, [])
    log = (tmp_path / "worker-1.log").open("ab")
    process: Any = SimpleNamespace(poll=lambda: 0, wait=lambda: 0)
    nowhere: Any = None
    none._workers.append(Worker(nowhere, process, log, 0, ready=True))
    none._stopping = True  # no other takes its place
    return none


def test_what_a_worker_told_is_heard_though_it_has_ended(workers: Workers) -> None:
    (worker,) = workers._workers
    assert workers.event(0.01) is None
    workers._events.put((worker, ENDED))
    assert workers.event(0.01) == (worker, ENDED)
    workers._events.put((worker, None))
    found = workers.event(0.01)
    assert found and found[1]["event"] == "died" and not workers.alive()


def test_a_workers_end_is_noticed_though_a_process_of_its_own_keeps_the_pipe(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    (worker,) = workers._workers
    monkeypatch.setattr(pool, "_LAST_WORDS", 0.0)
    found = workers.event(0.01)
    assert found and found[1]["event"] == "died" and not workers.alive()
    for late in (ENDED, None):
        workers._events.put((worker, late))
        assert workers.event(0.01) is None


def test_what_ended_a_process_is_said_by_its_exit_code() -> None:
    assert died_of(3) == "its process ended with exit code 3"
    assert died_of(-9) == "killed by SIGKILL, perhaps for lack of memory"
    assert died_of(-11) == "killed by SIGSEGV" and died_of(-99) == "killed by signal 99"
