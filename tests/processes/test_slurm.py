"""`advtrain sweep --launcher slurm` on a real Slurm: refused, left, cancelled, called again."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.command_line import TINY, Done, finish, heard
from tests.helpers.processes import gone
from tests.helpers.slurm_host import SlurmHost
from tests.helpers.slurm_runs import (
    after_its_verdict,
    at_work,
    begin,
    epochs_logged,
    go_on,
    half_way,
    runs,
    slow_config,
    states,
    stopping,
)


def submitted(slurm: SlurmHost) -> int:
    """How many tasks this Slurm was given so far."""
    return len(slurm.run("sacct", "-nPX", "--format=JobID").split())


def test_what_slurm_refuses_is_a_line_and_the_same_command_goes_on(
    slurm: SlurmHost, sweep_on_slurm: Callable[..., Done], tmp_path: Path
) -> None:
    slow_config(tmp_path, epochs=1, seeds="0, 1")
    refused = {
        "slurm.partition=nowhere": "invalid partition specified: nowhere",
        "slurm.memory=900G": "Memory specification can not be satisfied",
        "slurm.account=nobody": "Invalid account",
    }
    for option, words in refused.items():
        done = sweep_on_slurm(option)
        assert done.code == 2 and done.out == ""
        heading, line = done.err.splitlines()
        assert heading == "sweep of 4 runs: 0 finished, 4 to train"
        assert line.startswith("Slurm refuses the job, nothing was submitted: ")
        assert words in line
    # partition small: a minute at most, and two jobs of a user at a time
    done = sweep_on_slurm("slurm.partition=small")
    assert "Requested time limit is invalid" in done.err.splitlines()[-1]
    done = sweep_on_slurm("slurm.partition=small", "slurm.time=1")
    assert done.code == 2 and "Job violates accounting/QOS policy" in done.err.splitlines()[-1]
    assert runs(tmp_path) == {}
    several = ("slurm.runs_per_task=2", "slurm.cpus=2")  # which is no other run
    done = sweep_on_slurm("slurm.partition=small", "slurm.time=1", *several)
    assert done.code == 0, done.err
    assert states(tmp_path) == ["finished"] * 4
    assert "submitted 4 runs as 2 tasks of Slurm job" in done.err
    assert "on CPUs, since slurm.gpus is 0" in done.err


def test_a_sweep_left_and_called_again_finds_its_jobs(
    slurm: SlurmHost, sweep_on_slurm: Callable[..., Done], tmp_path: Path
) -> None:
    process = half_way(slurm, tmp_path)
    process.send_signal(signal.SIGINT)
    done = finish(process)
    jobs = {status["job"] for status in runs(tmp_path).values()}
    (array,) = {job.partition("_")[0] for job in jobs}
    assert done.code == 130
    assert f"the jobs go on; to end them: scancel {array}" in done.err
    assert "to go on: advtrain sweep slow.yaml --launcher slurm" in done.err
    before = submitted(slurm)
    process = begin(slurm, tmp_path)
    assert heard(process, "2 runs under way already, in the queue or by another process")
    go_on(tmp_path)
    done = finish(process)
    assert done.code == 0, done.err
    assert submitted(slurm) == before
    assert {status["job"] for status in runs(tmp_path).values()} == jobs
    assert {status["attempt"] for status in runs(tmp_path).values()} == {1}
    again = sweep_on_slurm()
    assert "sweep of 2 runs: 2 finished, 0 to train" in again.err and again.out == done.out


def test_a_job_cancelled_by_hand_is_a_line_and_goes_on_with_the_same_command(
    slurm: SlurmHost, sweep_on_slurm: Callable[..., Done], tmp_path: Path
) -> None:
    process = half_way(slurm, tmp_path)
    cancelled, other = runs(tmp_path)
    job = runs(tmp_path)[cancelled]["job"]
    slurm.run("scancel", job)
    slurm.wait_for(lambda: stopping(tmp_path, cancelled))
    go_on(tmp_path)
    done = finish(process)
    assert done.code == 1
    said = [line for line in done.err.splitlines() if f"its job {job} was cancelled by 0" in line]
    assert len(said) == 1 and said[0].startswith("[")
    left = runs(tmp_path)
    assert (left[cancelled]["state"], left[other]["state"]) == ("interrupted", "finished")
    assert left[cancelled]["epoch"] == 2
    done = sweep_on_slurm()
    assert done.code == 0, done.err
    assert "submitted 1 run as 1 task" in done.err
    assert runs(tmp_path)[other] == left[other]
    for name in left:
        run = tmp_path / "runs/slow" / name
        assert epochs_logged(run) == list(range(1, 21)) and after_its_verdict(run) == ""


def test_a_task_warned_or_told_to_end_is_saved_and_requeued(
    slurm: SlurmHost, tmp_path: Path
) -> None:
    process = half_way(slurm, tmp_path)
    jobs = {name: status["job"] for name, status in runs(tmp_path).items()}
    warned, told = jobs.values()
    # What Slurm sends before the time limit; and what it sends where preemption has no signal of
    # its own, after which it puts back into the queue only what it had to kill.
    slurm.run("scancel", "--signal=USR2", warned)
    slurm.run("scancel", "--signal=TERM", told)
    slurm.wait_for(lambda: all(stopping(tmp_path, name) for name in jobs))
    go_on(tmp_path)
    slurm.wait_for(lambda: states(tmp_path) == ["interrupted"] * 2)
    slurm.wait_for(lambda: all(gone(status["pid"]) for status in runs(tmp_path).values()))
    time.sleep(3)  # in which a task that did not wait for Slurm would have ended
    assert slurm.job(told)["JobState"] == "RUNNING"
    slurm.run("scontrol", "requeue", told)
    slurm.wait_for(lambda: process.poll() is not None)
    done = finish(process)
    assert done.code == 0, done.err
    for name, status in runs(tmp_path).items():
        assert (status["state"], status["job"], status["restart"]) == ("finished", jobs[name], 1)
        assert epochs_logged(tmp_path / "runs/slow" / name) == list(range(1, 21))


def test_fail_fast_cancels_the_other_jobs(
    slurm: SlurmHost, sweep_on_slurm: Callable[..., Done], tmp_path: Path
) -> None:
    slow_config(tmp_path, epochs=200)
    net = tmp_path / "slow_net.py"
    sleeps = "        if self.training"
    fails = "        if os.environ['SLURM_ARRAY_TASK_ID'] == '1': raise OSError('no luck')\n"
    net.write_text(net.read_text().replace(sleeps, fails + sleeps))
    done = sweep_on_slurm("--fail-fast")
    assert done.code == 1
    assert "OSError: no luck" in done.err and "stopping: the other jobs are cancelled" in done.err
    slurm.wait_for(lambda: slurm.run("squeue", "-h") == "")
    assert "failed" in states(tmp_path) and "finished" not in states(tmp_path)


def test_a_job_that_fails_before_it_trains_is_told_with_its_log(
    slurm: SlurmHost, sweep_on_slurm: Callable[..., Done], tmp_path: Path
) -> None:
    slow_config(tmp_path, epochs=1)
    done = sweep_on_slurm("slurm.setup=[echo no such module >&2, exit 3]")
    assert done.code == 1
    # The accounting may know of the code only later; until then it is a question mark.
    told = re.compile(r"ended as failed with exit code [3?]")
    lines = [line for line in done.err.splitlines() if told.search(line)]
    assert len(lines) == 2
    logs = list(tmp_path.glob("runs/slow/sweeps/*/slurm/*_0_0_log.err"))
    assert str(logs[0].relative_to(tmp_path)) in lines[0]
    assert "no such module" in logs[0].read_text()
    assert sweep_on_slurm().code == 0
    assert states(tmp_path) == ["finished"] * 2


def test_refine_goes_through_slurm_too(sweep_on_slurm: Callable[..., Done], tmp_path: Path) -> None:
    file = tmp_path / "slow.yaml"
    file.write_text(TINY.replace("name: tiny", "name: slow").replace("epochs: 3", "epochs: 40"))
    done = sweep_on_slurm("lr=1e-3,0.1,10", "schedule=cosine", "eps=0.05", "--seeds", "0",
                          "--refine", "lr", "--budget", "2", "--json", "slurm.runs_per_task=3",
                          "slurm.cpus=2")  # fmt: skip
    assert done.code == 0, done.err
    assert "submitted 3 runs as 1 task" in done.err and "submitted 2 runs as 1 task" in done.err
    result = json.loads(done.out)
    (band,) = result["bands"]
    assert states(tmp_path) == ["finished"] * 5 == [run["state"] for run in result["runs"]]
    assert 1e-3 <= band["below"] < band["low"] <= 0.1 <= band["high"] < band["above"] <= 10


def test_logs_are_with_the_runs_and_free_of_progress_bars(slurm: SlurmHost, tmp_path: Path) -> None:
    slow_config(tmp_path, epochs=2)
    net = tmp_path / "slow_net.py"
    net.write_text(net.read_text() + "\nprint('said by the model')\n")
    # What lies in the current folder is not taken for a module of Python's.
    (tmp_path / "csv.py").write_text("raise ImportError('not the real one')")
    words = [sys.executable, "-P", "-m", "advtrain", "sweep", "slow.yaml", "--launcher", "slurm",
             "slurm.cpus=2", "slurm.setup=[export FORCE_COLOR=1 NAP=0]"]  # fmt: skip
    done = subprocess.run(words, cwd=tmp_path, env=slurm.env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob("runs/slow/sweeps/*/slurm")
    texts = [file.read_text() for file in folder.rglob("*") if "log" in file.name]
    assert sum("said by the model" in text for text in texts) == 2
    assert sum("[1/1]" in text for text in texts) == 2
    (script,) = folder.glob("*_submission.sh")
    (step,) = [line for line in script.read_text().splitlines() if line.startswith("srun ")]
    assert "--cpus-per-task=2" in step  # which it does not take from sbatch
    for text in texts:
        assert "\r" not in text and "\x1b[?25l" not in text and "%|" not in text


def test_status_shows_the_queue_beside_the_runs(
    slurm: SlurmHost, tmp_path: Path, advtrain: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in slurm.env.items():
        monkeypatch.setenv(name, value)
    slow_config(tmp_path, epochs=40)
    process = begin(slurm, tmp_path, "slurm.cpus=2", "--jobs", "1")
    slurm.wait_for(lambda: at_work(tmp_path))
    (name,) = at_work(tmp_path)
    listed = {Path(run["run_dir"]).name: run for run in status(advtrain)}
    assert listed[name]["queue"] == f"running {runs(tmp_path)[name]['host']}"
    (waiting,) = set(listed) - {name}
    assert listed[waiting]["state"] == "queued"
    assert listed[waiting]["queue"] == "pending JobArrayTaskLimit"
    assert {run["disagreement"] for run in listed.values()} == {None}
    process.kill()
    process.wait()
    job = runs(tmp_path)[waiting]["job"]
    slurm.run("scancel", job)
    listed = {Path(run["run_dir"]).name: run for run in status(advtrain)}
    assert listed[waiting]["disagreement"].startswith(
        f"status.json says queued, but its job {job} was cancelled"
    )


def status(advtrain: Callable[..., Done]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(advtrain("status", "--json").out)["runs"]
    return found
