"""What Slurm says of jobs: those it has yet to end, and how the others ended."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Collection
from dataclasses import dataclass

from advtrain.errors import AdvtrainError
from advtrain.store.run_status import Status

_PATIENCE = 60  # seconds; a busy controller may take that long
_ENDINGS = {
    "CANCELLED": "was cancelled",
    "TIMEOUT": "ran into its time limit",
    "OUT_OF_MEMORY": "ran out of memory",
    "NODE_FAIL": "lost its node",
    "PREEMPTED": "was preempted",
    "DEADLINE": "ran into its deadline",
}


@dataclass(frozen=True)
class Job:
    """A job that is in the queue: as in `12_3` or `12`, its state, why it waits, or where it is."""

    id: str
    state: str  # Slurm's word: PENDING, RUNNING, COMPLETING, ...
    reason: str = ""
    node: str = ""

    @property
    def shown(self) -> str:
        """The state in a few words."""
        waits = self.state == "PENDING" and self.reason not in ("None", "")
        more = self.reason if waits else self.node
        return f"{self.state.lower()} {more}".strip()


def running(job: str) -> bool:
    """Whether a job runs by Slurm's word, and is not about to end; True if it cannot be asked."""
    try:
        found = in_queue({job})
    except AdvtrainError:
        return True
    return job in found and found[job].state == "RUNNING"


def in_queue(ids: Collection[str]) -> dict[str, Job]:
    """Those of the jobs that Slurm has yet to end; AdvtrainError if it cannot be asked."""
    arrays = sorted({job.partition("_")[0] for job in ids})
    if not arrays:
        return {}
    # With a job that does not exist (alone: an error; among others: nothing) the list goes on.
    code, out, err = _ask("squeue", "-h", "-r", "-j", ",".join(arrays), "-o", "%i|%T|%r|%N")
    if code and "Invalid job id" not in err:
        raise AdvtrainError(f"squeue: {said(err) or f'exit code {code}'}")
    jobs = [Job(*line.split("|", 3)) for line in out.splitlines() if line.count("|") == 3]
    return {job.id: job for job in jobs if job.id in ids}


def disagreement(status: Status, job: Job | None) -> str:
    """How a run's status.json and the queue contradict each other; empty where they do not.

    `job` is the run's in the queue, if it is there.
    """
    if status.state == "finished" or not status.job:
        return ""
    if job is None:
        if status.shown in ("running", "stale", "queued"):
            return f"status.json says {status.shown}, but its job {status.job} {ending(status.job)}"
        return ""
    if status.shown == "running" and job.state == "PENDING":
        return (
            f"job {job.id} waits to be started anew, but a process (pid {status.pid} on "
            f"{status.host}) still trains it"
        )
    if status.shown == "stale" and job.state == "RUNNING":
        return f"job {job.id} runs, but nothing was heard of the run for a while"
    return ""


def ending(job: str) -> str:
    """How a job that is no longer in the queue has ended, in words that go on from `its job 12`."""
    # The accounting knows more, but not of a task that was cancelled before its array was split.
    asked = (
        ("sacct", "-X", "-n", "-P", "-j", job, "-o", "JobID,State,ExitCode"),
        ("squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%i|%T|"),
    )
    for command in asked:
        with contextlib.suppress(AdvtrainError):
            for line in _ask(*command)[1].splitlines():
                name, state, code = (line + "||").split("|")[:3]
                word, _, by = state.partition(" ")  # "CANCELLED by 1000"
                if name == job and word in _ENDINGS:
                    return f"{_ENDINGS[word]} {by}".strip()
                if name == job:
                    return f"ended as {word.lower()} with exit code {code.partition(':')[0] or '?'}"
    return "is no longer in the queue"


def cancel(ids: Collection[str]) -> None:
    """Tell Slurm to end jobs; AdvtrainError if it refuses."""
    code, _, err = _ask("scancel", *sorted(ids))
    if code:
        raise AdvtrainError(f"scancel: {said(err)}")


def said(err: str) -> str:
    """The telling lines of what a command of Slurm wrote to stderr, as one."""
    lines = [line.partition("error: ")[2] or line for line in err.splitlines() if line.strip()]
    return "; ".join(dict.fromkeys(line.strip() for line in lines))


def _ask(*command: str) -> tuple[int, str, str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE)
    except FileNotFoundError:
        raise AdvtrainError(f"{command[0]} is not there: this machine has no Slurm") from None
    except subprocess.TimeoutExpired:
        raise AdvtrainError(f"{command[0]}: no answer in {_PATIENCE} seconds") from None
    return done.returncode, done.stdout, done.stderr
