"""A sweep: what a failing run costs, how it stops and goes on."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from tests.helpers import sweep_kills
from tests.helpers.command_line import finish, heard, start
from tests.helpers.mischief import does, states, table
from tests.helpers.processes import children, gone, wait_until
from tests.helpers.run_files import attempts

LOGS = "runs/tiny/*/log.txt"


def test_a_run_that_fails_costs_only_itself(advtrain, mischief: Path) -> None:
    bad = ["raise", "die", "segfault", "leave", "refuse", "nan"]
    done = advtrain("sweep", mischief, does("nothing", *bad), "--jobs", "1", "--json")
    assert done.code == 1
    result = json.loads(done.out)
    assert result["failed"] == 5
    rows = {row["model.args.does"]: row for row in table(done)}
    assert {what: (row["state"], row["error"]) for what, row in rows.items()} == {
        "nothing": ("finished", ""),
        "nan": ("finished", ""),
        "raise": ("failed", "RuntimeError: as it was told"),
        "leave": ("failed", "SystemExit: 4"),
        "refuse": ("failed", rows["refuse"]["error"]),
        "die": ("interrupted", "killed by SIGKILL, perhaps for lack of memory"),
        "segfault": ("interrupted", "killed by SIGSEGV"),
    }
    assert "refused from the start" in rows["refuse"]["error"]
    assert rows["nan"]["cause"] == "nonfinite" and rows["nan"]["converged"] == "false"
    assert "Fatal Python error: Segmentation fault" in done.err  # with where in the code
    for what in ("raise", "die", "segfault", "leave", "refuse"):
        lines = [x for x in done.err.splitlines() if f"does={what} " in x]
        assert len(lines) == 1 and f"{rows[what]['run_dir']}/log.txt" in lines[0], what
        log = Path(rows[what]["run_dir"], "log.txt").read_text()
        assert rows[what]["error"].split(": ")[-1] in log
        if what in ("die", "segfault"):
            assert "about to " + what in log and "    about to " + what in done.err


def test_ctrl_c_saves_every_run_and_names_the_command_that_goes_on(
    mischief: Path, tmp_path: Path
) -> None:
    """With --rerun failed it goes on with what was interrupted, and repeats what failed."""
    arguments = ["sweep", mischief.name, does("nothing", "raise", "wait"), "--jobs", "1", "--json"]
    process = start(*arguments, cwd=tmp_path)
    wait_until(lambda: states(tmp_path / "runs") == ["failed", "finished", "running"])
    process.send_signal(signal.SIGINT)
    done = finish(process)  # the gate is closed: a forward pass that waits can be interrupted, too
    assert done.code == 130
    found = ["finished", "failed", "interrupted"]
    assert [run["state"] for run in json.loads(done.out)["runs"]] == found
    command = (
        "to go on: advtrain sweep tiny.yaml model.args.does=nothing,raise,wait --jobs 1 --json"
    )
    assert done.err.endswith(command + "\n")
    assert states(tmp_path / "runs") == sorted(found)
    (tmp_path / "mended").touch()
    (tmp_path / "gate").touch()
    assert finish(start(*arguments, "--rerun", "failed", cwd=tmp_path)).code == 0
    assert states(tmp_path / "runs") == ["finished"] * 3


def test_a_second_ctrl_c_does_not_wait(mischief: Path, tmp_path: Path) -> None:
    process = start("sweep", mischief.name, does("stubborn"), "--seeds", "0", cwd=tmp_path)
    wait_until((tmp_path / "stuck").exists)
    workers = children(process.pid)
    process.send_signal(signal.SIGINT)
    heard(process, "stopping: every run is being saved")
    time.sleep(1)
    assert process.poll() is None and not all(map(gone, workers))
    process.send_signal(signal.SIGINT)
    done = finish(process)
    assert done.code == 130 and all(map(gone, workers)) and "to go on: advtrain sweep" in done.err


def test_a_killed_sweep_leaves_no_worker_and_loses_nothing(mischief: Path, tmp_path: Path) -> None:
    arguments = ["sweep", mischief.name, does("wait"), "--seeds", "0-1", "--jobs", "2", "--json"]
    process = start(*arguments, cwd=tmp_path)
    wait_until(lambda: [len(attempts(log.parent)) for log in tmp_path.glob(LOGS)] == [1, 1])
    workers = children(process.pid)
    assert len(workers) == 2
    process.kill()
    process.wait()
    wait_until(lambda: all(map(gone, workers)))
    (tmp_path / "gate").touch()
    done = finish(start(*arguments, cwd=tmp_path))
    assert done.code == 0 and "0 finished, 2 to train" in done.err
    for run in json.loads(done.out)["runs"]:
        assert len(attempts(tmp_path / run["run_dir"])) == 2


def test_a_killed_worker_costs_its_run_alone_and_is_replaced(
    mischief: Path, tmp_path: Path
) -> None:
    process = start("sweep", mischief.name, does("wait"), "--seeds", "0-2", "--jobs", "1", "--json",
                    cwd=tmp_path)  # fmt: skip
    wait_until(lambda: states(tmp_path / "runs") == ["running"])
    (worker,) = children(process.pid)
    os.kill(worker, signal.SIGKILL)
    (tmp_path / "gate").touch()
    done = finish(process)
    assert done.code == 1
    assert [run["state"] for run in json.loads(done.out)["runs"]] == [
        "interrupted", "finished", "finished",
    ]  # fmt: skip


def test_two_sweeps_at_once_share_the_work(tiny: Path, tmp_path: Path) -> None:
    arguments = ["sweep", "tiny.yaml", "lr=0.05,0.1,0.2,0.5", "--seeds", "0-1", "--jobs", "1",
                 "--json", "epochs=10"]  # fmt: skip
    both = [start(*arguments, cwd=tmp_path) for _ in range(2)]
    ended = [finish(process) for process in both]
    assert [done.code for done in ended] == [0, 0], [done.err for done in ended]
    runs = [tmp_path / run["run_dir"] for run in json.loads(ended[0].out)["runs"]]
    assert len(runs) == 8 and all(attempts(run) == ["1: from epoch 0"] for run in runs)
    assert [done.err.count(" seed=") for done in ended] == [8, 8]  # each tells of all


def test_a_sweep_waits_for_a_run_that_train_is_at(mischief: Path, tmp_path: Path) -> None:
    other = start("train", mischief.name, does("wait"), cwd=tmp_path)
    wait_until(lambda: states(tmp_path / "runs") == ["running"])
    process = start("sweep", mischief.name, does("wait", "nothing"), "--jobs", "1", "--json",
                    cwd=tmp_path)  # fmt: skip
    wait_until(lambda: states(tmp_path / "runs") == ["finished", "running"])
    told = "another process trains the remaining 1 runs"
    assert heard(process, told)
    (tmp_path / "gate").touch()
    done = finish(process)
    assert finish(other).code == 0 and done.code == 0
    assert told not in done.err  # once more
    for run in json.loads(done.out)["runs"]:
        assert len(attempts(tmp_path / run["run_dir"])) == 1


def test_a_run_that_fails_elsewhere_meanwhile_is_not_repeated(
    mischief: Path, tmp_path: Path
) -> None:
    other = start("sweep", mischief.name, does("late", "nothing"), "--jobs", "1", cwd=tmp_path)
    wait_until(lambda: "running" in states(tmp_path / "runs"))
    process = start("sweep", mischief.name, does("late", "nothing"), "--jobs", "1", "--json",
                    cwd=tmp_path)  # fmt: skip
    wait_until(lambda: states(tmp_path / "runs") == ["finished", "running"])
    (tmp_path / "gate").touch()
    first, done = finish(other), finish(process)
    assert (first.code, done.code) == (1, 1), done.err
    assert "RuntimeError: late and in two lines; " in first.out
    for run in json.loads(done.out)["runs"]:
        assert len(attempts(tmp_path / run["run_dir"])) == 1


def test_rerun_all_refuses_before_it_takes_anything_away(mischief: Path, tmp_path: Path) -> None:
    other = start("sweep", mischief.name, does("nothing", "wait"), "--jobs", "1", cwd=tmp_path)
    wait_until(lambda: states(tmp_path / "runs") == ["finished", "running"])
    there = {file: file.read_bytes() for file in (tmp_path / "runs").rglob("metrics.csv")}
    refused = finish(start("sweep", mischief.name, does("nothing", "wait"), "--rerun", "all",
                           cwd=tmp_path))  # fmt: skip
    assert refused.code == 2 and "another process" in refused.err
    assert all(file.read_bytes() == content for file, content in there.items()) and there
    (tmp_path / "gate").touch()
    assert finish(other).code == 0


def test_a_sweep_killed_again_and_again_equals_one_never_disturbed(tmp_path: Path) -> None:
    """`python -m tests.helpers.sweep_kills` does it twenty times."""
    hits, found = sweep_kills.torment(tmp_path, 3, seed=1)
    assert {hit.target for hit in hits} == set(sweep_kills.TARGETS) and found == []
