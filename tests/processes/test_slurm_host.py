"""The Slurm that the other tests run on does what they rely on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.helpers.slurm_host import NODES, SlurmHost


def runs(slurm: SlurmHost, job: int) -> bool:
    return slurm.job(job)["JobState"] == "RUNNING"


def logging_job(slurm: SlurmHost, log: Path, node: str) -> int:
    """A job that logs when it begins and when its step gets USR2, and does not end by itself."""
    step = f"trap 'echo warned >> {log}' USR2; while :; do sleep 0.1; done"
    job = slurm.submit(
        f'echo began ${{SLURM_RESTART_COUNT:-0}} >> {log}; srun sh -c "{step}"',
        "--signal=USR2@60",
        f"--nodelist={node}",
    )
    step_runs = ("squeue", "--noheader", "--steps", f"--jobs={job}")
    slurm.wait_for(lambda: f"{job}.0" in slurm.run(*step_runs), 30)
    return job


def refusal(slurm: SlurmHost, *options: str) -> str:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        slurm.submit("true", *options)
    return str(refused.value.stderr)


def test_both_nodes_run_jobs(slurm: SlurmHost, tmp_path: Path) -> None:
    jobs = {
        name: slurm.submit("echo $SLURMD_NODENAME", f"--nodelist={name}", f"-o{tmp_path / name}")
        for name in NODES
    }
    for name, job in jobs.items():
        slurm.wait_for(lambda job=job: slurm.job(job)["JobState"] == "COMPLETED", 30)
        assert (tmp_path / name).read_text() == f"{name}\n"


def test_the_accounts_know_a_cancelled_job(slurm: SlurmHost) -> None:
    job = slurm.submit("sleep 600")
    slurm.wait_for(lambda: runs(slurm, job), 30)
    slurm.run("scancel", job)
    slurm.wait_for(lambda: slurm.accounted(job).startswith("CANCELLED"), 30)


def test_refusals_say_why(slurm: SlurmHost) -> None:
    assert "invalid partition specified: nowhere" in refusal(slurm, "--partition=nowhere")
    assert "Requested time limit is invalid" in refusal(slurm, "--partition=small", "--time=2")
    assert "Memory specification can not be satisfied" in refusal(slurm, "--mem=5000")
    for _ in range(2):
        slurm.submit("sleep 600", "--partition=small")
    assert "QOSMaxSubmitJobPerUserLimit" in refusal(slurm, "--partition=small")


def test_a_preempted_and_a_lost_job_run_again(slurm: SlurmHost, tmp_path: Path) -> None:
    """Both in one test, for Slurm takes 26 s to miss the node."""
    log = tmp_path / "lost"
    lost = slurm.submit(f"echo $SLURMD_NODENAME >> {log}; sleep 600")
    slurm.wait_for(log.exists, 30)
    gone = slurm.job(lost)["BatchHost"]
    (other,) = {*NODES} - {gone}
    assert len(slurm.node_pids(gone)) >= 4  # slurmd, slurmstepd, the script and its sleep
    preempted = logging_job(slurm, tmp_path / "preempted", other)
    slurm.kill_node(gone)
    assert slurm.node_pids(gone) == []

    urgent = slurm.preempt(other, 1)
    slurm.wait_for(lambda: runs(slurm, urgent), 60)
    assert slurm.job(preempted)["JobState"] == "PENDING"
    said = ["began 0", "warned", "began 1"]
    slurm.wait_for(lambda: (tmp_path / "preempted").read_text().splitlines() == said, 60)

    slurm.wait_for(lambda: slurm.node_state(gone) == "down*", 90)
    slurm.hasten(lost)
    slurm.wait_for(lambda: log.read_text().split() == [gone, other], 30)
    slurm.start_node(gone)
    assert slurm.node_state(gone) == "idle"


def test_a_node_given_up_is_lost_at_once(slurm: SlurmHost) -> None:
    job = slurm.submit("sleep 600", "--no-requeue", "--nodelist=n2")
    slurm.wait_for(lambda: len(slurm.node_pids("n2")) >= 4, 30)
    slurm.kill_node("n2")
    slurm.give_up_node("n2")
    assert slurm.job(job)["JobState"] == "NODE_FAIL"
    slurm.wait_for(lambda: slurm.accounted(job) == "NODE_FAIL", 30)
