"""Two processes at one run: who has to wait, and who takes it over."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from advtrain import load_config, train
from advtrain.errors import Busy
from advtrain.store.writer import hold
from tests.helpers.command_line import Done, finish, start
from tests.helpers.gated_network import GATED
from tests.helpers.processes import wait_until
from tests.helpers.run_files import contents, only_run, state

KEYS = [*GATED, "model.args.at=5"]


def test_the_second_of_two_processes_is_sent_away(gated: Path, tmp_path: Path) -> None:
    arguments = ["train", gated.name, *KEYS, "--json"]
    first = start(*arguments, cwd=tmp_path)
    try:
        wait_until(lambda: (tmp_path / "reached").exists() or first.poll() is not None)
        second = finish(start(*arguments, cwd=tmp_path))
    finally:
        (tmp_path / "gate").touch()
    done = finish(first)
    assert second.code == 2 and second.out == ""
    assert f"another process (pid {first.pid} on " in second.err
    assert len(second.err.splitlines()) == 1
    assert done.code == 0, done.err
    assert json.loads(done.out)["state"] == "finished"
    assert state(only_run(tmp_path / "runs"))["attempt"] == 1


@pytest.mark.skipif(
    os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write anywhere"
)
@pytest.mark.parametrize("mode", [0o000, 0o444, 0o555])
def test_a_runs_folder_of_someone_else_is_refused(tiny: Path, tmp_path: Path, mode: int) -> None:
    (tmp_path / "runs").mkdir(mode=mode)
    words = [sys.executable, "-m", "advtrain", "train", str(tiny)]
    if os.geteuid() == 0:  # without what lets root write anywhere
        words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *words]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    done = Done(ended.returncode, ended.stdout, ended.stderr)
    assert done.code == 2 and len(done.err.splitlines()) == 1
    assert "cannot be written: Permission denied" in done.err


def test_a_job_started_anew_takes_its_run_over_from_its_first_start(
    tmp_path: Path, gated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is alive, holds the lock and writes nothing more, even when it goes on."""
    first = start("train", gated.name, *KEYS, cwd=tmp_path, env={"SLURM_JOB_ID": "9"})
    try:
        wait_until(lambda: (tmp_path / "reached").exists() or first.poll() is not None)
        run = only_run(tmp_path / "runs")
        monkeypatch.setenv("SLURM_JOB_ID", "9")
        config = load_config(gated, KEYS)
        with pytest.raises(Busy):  # another process of the same start
            train(config, tmp_path / "runs", device="cpu")
        monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
        with hold(run) as directory:
            directory.begin()
            left = contents(run) | {"status.json": b""}  # whose heartbeat goes on
            (tmp_path / "gate").touch()
            done = finish(first)
            assert contents(run) | {"status.json": b""} == left
            assert state(run)["pid"] == os.getpid()
        assert done.code == 1 and "another process took this run over" in done.err
    finally:
        first.kill()
    status = train(config, tmp_path / "runs", device="cpu").status
    assert status.state == "finished"
    assert (status.job, status.restart) == ("9", 1)
