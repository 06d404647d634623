"""What Slurm says, by stand-ins of its commands that print what was seen of the real ones."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from advtrain.errors import AdvtrainError
from advtrain.store.slurm_queue import Job, cancel, ending, in_queue, running
from advtrain.store.writer import note_queued
from tests.helpers.command_line import Done
from tests.helpers.run_files import state
from tests.helpers.slurm_said import Say
from tests.helpers.stopped_runs import stopped

QUEUE = "14_4|PENDING|Resources|\n14_2|RUNNING|None|n2\n15|COMPLETING|None|n1\n16|PENDING|None|\n"


def test_the_queue_is_asked_of_whole_arrays(say: Say, tmp_path: Path) -> None:
    say("squeue", QUEUE)
    found = in_queue({"14_4", "14_2", "14_9", "15"})
    assert found == {
        "14_4": Job("14_4", "PENDING", "Resources", ""),
        "14_2": Job("14_2", "RUNNING", "None", "n2"),
        "15": Job("15", "COMPLETING", "None", "n1"),
    }
    assert [job.shown for job in found.values()] == [
        "pending Resources", "running n2", "completing n1",
    ]  # fmt: skip
    assert "-j 14,15 " in (tmp_path / "bin/asked").read_text()


def test_no_jobs_need_no_slurm(say: Say) -> None:
    assert in_queue(set()) == {}


def test_a_job_that_slurm_has_forgotten_is_not_in_the_queue(say: Say) -> None:
    say("squeue", err="slurm_load_jobs error: Invalid job id specified\n", code=1)
    assert in_queue({"9"}) == {}


def test_a_queue_that_does_not_answer_is_an_error(say: Say) -> None:
    with pytest.raises(AdvtrainError, match="squeue is not there: this machine has no Slurm"):
        in_queue({"9"})
    error = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
    say("squeue", err=f"{error}\n", code=1)
    with pytest.raises(AdvtrainError, match="squeue: Unable to contact slurm controller"):
        in_queue({"9"})
    assert running("9")  # who cannot tell stays


@pytest.mark.parametrize(
    ("accounted", "expected"),
    [
        ("9_1|CANCELLED by 1000|0:0\n9_2|FAILED|3:0\n", "was cancelled by 1000"),
        ("9_1|NODE_FAIL|0:0\n", "lost its node"),
        ("9_1|TIMEOUT|0:0\n", "ran into its time limit"),
        ("9_1|FAILED|3:0\n", "ended as failed with exit code 3"),
        ("9_1|COMPLETED|0:0\n", "ended as completed with exit code 0"),
        ("9_11|FAILED|3:0\n", "was cancelled"),  # by the queue's memory, below
    ],
)
def test_the_end_of_a_job_is_told_by_its_state(say: Say, accounted: str, expected: str) -> None:
    say("sacct", accounted)
    say("squeue", "9_1|CANCELLED|\n")
    assert ending("9_1") == expected


def test_an_ending_that_nobody_knows_is_said_as_that(say: Say) -> None:
    assert ending("9_1") == "is no longer in the queue"
    say("squeue", err="slurm_load_jobs error: Invalid job id specified\n", code=1)
    say("sacct", err="Slurm accounting storage is disabled\n", code=1)
    assert ending("9_1") == "is no longer in the queue"


def test_a_refused_cancellation_is_an_error(say: Say) -> None:
    say("scancel")
    cancel(["9_1"])
    say("scancel", err="scancel: error: Kill job error on job id 9: Access denied\n", code=1)
    with pytest.raises(AdvtrainError, match="scancel: Kill job error on job id 9: Access denied"):
        cancel(["9_1"])


def rewrite(run: Path, **changes: object) -> None:
    (run / "status.json").write_text(json.dumps(state(run) | changes))


@pytest.mark.parametrize(
    ("changes", "queue", "disagreement"),
    [
        ({"state": "queued"}, "9_1|PENDING|Priority|\n", None),
        ({"state": "running"}, "9_1|RUNNING|None|n1\n", None),
        ({"state": "interrupted"}, "9_1|PENDING|BeginTime|\n", None),
        ({"state": "interrupted"}, "", None),
        ({"state": "finished"}, "", None),
        ({"state": "queued"}, "", "says queued, but its job 9_1 was cancelled by 7"),
        ({"state": "running"}, "", "says running, but its job 9_1 was cancelled by 7"),
        ({"state": "running", "heartbeat": 0.0}, "", "says stale, but its job 9_1 was cancelled"),
        ({"state": "running", "heartbeat": 0.0}, "9_1|RUNNING|None|n1\n", "nothing was heard"),
        ({"state": "running"}, "9_1|PENDING|BeginTime|\n", "(pid 5 on n2) still trains it"),
    ],
)
def test_status_shows_run_and_queue_and_where_they_disagree(
    advtrain: Callable[..., Done], tiny: Path, tmp_path: Path, say: Say,
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], queue: str,
    disagreement: str | None,
) -> None:  # fmt: skip
    run = stopped(tiny, tmp_path / "runs")
    rewrite(run, **{"job": "9_1", "host": "n2", "pid": 5, "heartbeat": time.time()} | changes)
    say("squeue", queue)
    say("sacct", "9_1|CANCELLED by 7|0:0\n")
    monkeypatch.setenv("COLUMNS", "200")
    listed = json.loads(advtrain("status", "--json").out)["runs"][0]
    shown = advtrain("status").out
    assert listed["job"] == "9_1"
    if disagreement is None:
        assert listed["disagreement"] is None
    else:
        assert disagreement in listed["disagreement"]
        assert disagreement in " ".join(shown.split())
    if changes["state"] == "finished":
        assert listed["queue"] is None and "9_1" not in shown
    else:
        assert f"9_1 {listed['queue'] or 'gone'}" in " ".join(shown.split())


def test_status_says_where_there_is_no_slurm(
    advtrain: Callable[..., Done], tiny: Path, tmp_path: Path, say: Say
) -> None:
    run = stopped(tiny, tmp_path / "runs")
    assert advtrain("status").err == ""  # no job: nothing is asked
    note_queued(run, "9_1", 3)
    done = advtrain("status")
    assert done.code == 0 and "9_1 ?" in done.out
    assert done.err == "the queue is not known: squeue is not there: this machine has no Slurm\n"
    listed = json.loads(advtrain("status", "--json").out)["runs"][0]
    assert (listed["state"], listed["queue"], listed["disagreement"]) == ("queued", None, None)
