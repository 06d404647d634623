"""A run's directory: one writer at a time, and nothing lost when it cannot be written."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from advtrain import load_config, train
from advtrain.errors import RunFailed
from advtrain.process.observer import Observer
from advtrain.records import EpochRecord
from advtrain.store import writer
from advtrain.store.writer import RunDirectory
from tests.helpers import kills
from tests.helpers.command_line import Done
from tests.helpers.run_files import contents, rewrite, state
from tests.helpers.stopped_runs import stopped, undisturbed


def test_another_hosts_run_is_left_alone_while_it_lives(
    advtrain: Callable[..., Done], tiny: Path, tmp_path: Path
) -> None:
    run = stopped(tiny, tmp_path / "runs")
    rewrite(run, state="running", host="elsewhere", pid=7, attempt=4, heartbeat=time.time())
    before = contents(run)
    done: Done = advtrain("train", tiny)
    assert done.code == 2 and "another process (pid 7 on elsewhere)" in done.err
    assert contents(run) == before
    rewrite(run, heartbeat=time.time() - 61)
    assert advtrain("train", tiny).code == 0
    assert (state(run)["attempt"], state(run)["state"]) == (5, "finished")


class Usurper(Observer):
    """Another process that takes the run over after the first epoch."""

    def __init__(self, **changes: object) -> None:
        self.changes, self.left = changes, dict[str, bytes]()
        self.original = RunDirectory.begin

    def begin(self, directory: RunDirectory, **fields: object) -> None:
        self.directory, self.run = directory, directory.path
        self.original(directory, **fields)

    def epoch(self, record: EpochRecord) -> None:
        assert record.epoch == 1, "the writer went on"
        with self.directory._writing:  # not between a heartbeat's look at the file and its write
            rewrite(self.run, **self.changes)
        self.left = contents(self.run)
        time.sleep(0.1)  # some heartbeats


@pytest.mark.parametrize("changes", [{"attempt": 2}, {"pid": 7}, {"host": "elsewhere"}])
def test_a_writer_whose_run_was_taken_over_writes_no_more(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    usurper = Usurper(**changes)
    monkeypatch.setattr(writer, "_HEARTBEAT", 0.005)
    monkeypatch.setattr(RunDirectory, "begin", lambda d, **fields: usurper.begin(d, **fields))
    with pytest.raises(RunFailed, match="another process took this run over"):
        train(load_config(tiny), tmp_path / "runs", device="cpu", observer=usurper)
    assert contents(usurper.run) == usurper.left


def test_a_process_overtaken_while_it_loads_is_sent_away(
    advtrain: Callable[..., Done], tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "usurping.py").write_text(
        "import json\n"
        "from pathlib import Path\n"
        "import torch\n"
        "def data(train, run):\n"
        "    file = Path(run) / 'status.json'\n"
        "    if file.exists():\n"
        "        new = json.loads(file.read_text())\n"
        "        file.write_text(json.dumps(new | {'attempt': 9, 'state': 'running'}))\n"
        "    return torch.ones(60, 4, 4), torch.arange(60) % 3\n"
    )
    keys = ["dataset='import:usurping:data'", "dataset.args.run=takenover"]
    run = stopped(tiny, tmp_path / "runs", *keys)
    (tmp_path / "takenover").symlink_to(run)
    left = contents(run) | {"status.json": b""}
    done: Done = advtrain("train", tiny, *keys)
    (line,) = done.complaints
    assert done.code == 2 and "another process" in line
    assert contents(run) | {"status.json": b""} == left


class Watch(Observer):
    """Waits in the first epoch until the heartbeat has been heard."""

    def started(self, run: Path, config: object, rows: list[list[str]]) -> None:
        self.run, self.first = run, state(run)["heartbeat"]

    def batch(self, done: int, batches: int) -> None:
        for _ in range(5000):
            if state(self.run)["heartbeat"] != self.first:
                return
            time.sleep(0.005)
        raise AssertionError("no heartbeat")


def test_the_heart_beats_within_an_epoch(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_HEARTBEAT", 0.005)
    run = train(load_config(tiny, ["epochs=1"]), tmp_path / "runs", device="cpu", observer=Watch())
    assert run.status.state == "finished"


def test_leftovers_of_a_killed_writer_are_cleaned(tiny: Path, tmp_path: Path) -> None:
    run = stopped(tiny, tmp_path / "runs")
    (run / ".last.pt.1.tmp").write_bytes(b"half a che")
    train(load_config(tiny), tmp_path / "runs", device="cpu")
    assert not list(run.glob(".*.tmp"))


def test_a_directory_made_in_vain_is_removed(
    advtrain: Callable[..., Done], tiny: Path, tmp_path: Path
) -> None:
    assert advtrain("train", tiny, "train_size=100000").code == 2
    assert not list(tmp_path.glob("runs/*"))
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    (tmp_path / "runs" / "tiny" / "notes.txt").touch()
    assert advtrain("train", tiny, "train_size=100000").code == 2
    assert [p.name for p in tmp_path.glob("runs/tiny/*")] == ["notes.txt"]


def test_a_directory_is_removed_before_its_lock_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that found the lock free would lose the directory and its own lock."""
    path, release = tmp_path / "runs" / "tiny" / "run", RunDirectory.release
    there = []

    def watched(directory: RunDirectory) -> None:
        there.append(path.exists())
        release(directory)

    monkeypatch.setattr(RunDirectory, "release", watched)
    with pytest.raises(KeyError), writer.hold(path):
        raise KeyError
    assert there == [False]


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A disk of this size in the folder; what it yields changes the disk's options."""

    def mount(options: str, *more: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, *more, "tmpfs", str(folder)]
        with contextlib.suppress(OSError):
            return subprocess.run(command, capture_output=True).returncode == 0
        return False

    folder.mkdir()
    if os.geteuid() != 0 or not mount(f"size={size}"):
        pytest.skip("only root, where it may mount a file system, can make a small disk")

    def change(options: str) -> None:
        assert mount(f"remount,{options}")

    try:
        yield change
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing(
    advtrain: Callable[..., Done], tiny: Path, tmp_path: Path
) -> None:
    keys = ["epochs=8", "keep_every=1", "model.args.width=256"]  # 150 kB an epoch
    quiet = undisturbed(tiny, *keys)
    with small_disk(tmp_path / "runs", "1m") as remount:
        full: Done = advtrain("train", tiny, *keys)
        (run,) = tmp_path.glob("runs/tiny/*")
        assert full.code == 1 and "Traceback" not in full.err
        assert "No space left on device" in full.err.splitlines()[-1]
        assert full.err.count("free some space") == 1
        progress = kills.load(run / "last.pt")["progress"]["epoch"]
        assert 1 < progress < 8 and not list(run.glob(".*.tmp"))
        rows = (run / "metrics.csv").read_text().splitlines()
        assert len(rows) - 1 in (progress, progress + 1)
        kept = contents(run)
        again: Done = advtrain("train", tiny, *keys)  # still no space
        assert again.code == 1 and "free some space" in again.err
        for name in ("config.yaml", "best.pt", "last.pt", "epoch00001.pt"):
            assert contents(run)[name] == kept[name]
        remount("size=8m")
        assert advtrain("train", tiny, *keys).code == 0
        assert kills.differences(quiet, run) == []
        assert state(run)["state"] == "finished"


def test_a_runs_folder_that_cannot_be_written_is_refused(
    advtrain: Callable[..., Done], tiny: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "runs", "1m") as remount:
        run = stopped(tiny, tmp_path / "runs")
        before = contents(run)
        remount("ro")
        for keys in ([], ["seed=1"]):  # a run that is there, and a new one
            done: Done = advtrain("train", tiny, *keys)
            assert done.code == 2 and len(done.err.splitlines()) == 1
            assert "cannot be written: Read-only file system" in done.err
        assert contents(run) == before
        remount("rw")
        assert advtrain("train", tiny).code == 0
        remount("ro")
        assert "finished after 3 of 3" in advtrain("train", tiny).out


def test_a_file_where_the_runs_should_be_is_one_line(
    advtrain: Callable[..., Done], tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "tiny").write_text("a shopping list")
    done: Done = advtrain("train", tiny)
    assert done.code == 2 and "cannot be written: Not a directory" in done.err
    assert len(done.err.splitlines()) == 1
    assert (tmp_path / "runs" / "tiny").read_text() == "a shopping list"
