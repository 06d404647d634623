"""Eight runs on two nodes, of which one is preempted and one is lost, with a process that lives."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from tests.helpers.command_line import finish, start
from tests.helpers.processes import gone, parents
from tests.helpers.run_files import contents
from tests.helpers.slurm_host import SlurmHost
from tests.helpers.slurm_runs import (
    after_its_verdict,
    at_work,
    begin,
    epochs_logged,
    go_on,
    held,
    hold,
    runs,
    slow_config,
    stopping,
    without_times,
)


def task_of(worker: int) -> int:
    """The task's process above a worker."""
    return next(
        p for p in parents(worker) if b"submitit" in Path(f"/proc/{p}/cmdline").read_bytes()
    )


def hosts(folder: Path) -> set[str]:
    """The nodes of the runs that wait within an epoch."""
    return {runs(folder)[name]["host"] for name in held(folder)}


def lose_node(slurm: SlurmHost, folder: Path) -> tuple[str, dict[str, Any], list[int]]:
    """Kill n2 but for the processes of a run, which stand still, and give the node back.

    The run's name, its status as it was, and its two processes.
    """

    def held_there() -> list[str]:
        return [name for name in held(folder) if name in at_work(folder, "n2", 3)]

    slurm.wait_for(held_there)
    lost = min(held_there(), key=lambda name: runs(folder)[name]["epoch"])
    status = runs(folder)[lost]
    alive = [task_of(status["pid"]), status["pid"]]
    os.kill(status["pid"], signal.SIGSTOP)
    slurm.kill_node("n2", spare=alive)
    slurm.give_up_node("n2")
    slurm.wait_for(lambda: slurm.job(status["job"])["JobState"] == "PENDING")
    slurm.start_node("n2")
    return lost, status, alive


def test_preempted_and_lost_runs_end_as_if_nothing_had_happened(
    slurm: SlurmHost, tmp_path: Path
) -> None:
    def state(name: str) -> str:
        return str(runs(tmp_path)[name]["state"])

    slow_config(tmp_path, epochs=20, seeds="0, 1, 2, 3")
    hold(tmp_path, epochs=3, batches=3)
    process = begin(slurm, tmp_path)
    try:
        slurm.wait_for(lambda: hosts(tmp_path) == {"n1", "n2"})
        preempted = at_work(tmp_path, "n1", 0)
        slurm.preempt("n1", 5)
        slurm.wait_for(lambda: all(stopping(tmp_path, name) for name in preempted))
        go_on(tmp_path)
        slurm.wait_for(lambda: {state(name) for name in preempted} == {"interrupted"})

        hold(tmp_path, epochs=3, batches=3)
        lost, first, alive = lose_node(slurm, tmp_path)
        go_on(tmp_path)
        slurm.wait_for(lambda: process.poll() is not None)
    finally:
        done = finish(process, 1)
    assert done.code == 0, done.err
    statuses = runs(tmp_path)
    assert [status["state"] for status in statuses.values()] == ["finished"] * 8
    assert all(statuses[name]["restart"] >= 1 for name in preempted)
    assert statuses[lost]["attempt"] > first["attempt"]
    assert statuses[lost]["job"] == first["job"] and statuses[lost]["restart"] > first["restart"]
    assert len({status["job"] for status in statuses.values()}) == 8  # no job but the first ones

    # The process on the lost node goes on with its epoch, and may not write it down.
    left = contents(tmp_path / "runs/slow" / lost)
    assert not any(map(gone, alive))
    os.kill(first["pid"], signal.SIGCONT)
    slurm.wait_for(lambda: all(map(gone, alive)))
    assert contents(tmp_path / "runs/slow" / lost) == left
    (log,) = tmp_path.glob(f"runs/slow/sweeps/*/slurm/{first['job']}_0_log.err")
    assert "failed" not in log.read_text()  # it is for its task as if another were at the run

    local = finish(
        start("sweep", "slow.yaml", "--runs-dir", "local", cwd=tmp_path, env={"NAP": "0"}), 240
    )
    assert local.code == 0, local.err
    for name in statuses:
        run = tmp_path / "runs/slow" / name
        assert epochs_logged(run) == list(range(1, 21)), name  # none twice, none after the end
        assert after_its_verdict(run) == "", name
        here = tmp_path / "local/slow" / name
        assert without_times(run / "metrics.csv") == without_times(here / "metrics.csv"), name
