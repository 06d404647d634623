"""A sweep: what it leaves, what a failing run costs, how it stops and goes on."""

from __future__ import annotations

import csv
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from advtrain import load_config, train
from advtrain.sweep.launch.machine import Seat, assign, visible_gpus
from tests import sweep_kills
from tests.conftest import Done, finish, start
from tests.kills import differences

MISCHIEF = '''\
"""A model that does what its argument says, in its 30th forward pass."""
import ctypes, os, signal, sys, time
from pathlib import Path
from torch import nn

HERE = Path(__file__).parent


class Net(nn.Sequential):
    def __init__(self, in_shape, num_classes, does="nothing"):
        super().__init__(nn.Flatten(), nn.Linear(64, num_classes))
        self.does, self.calls = does, 0
        if does == "refuse":
            raise ValueError("refused from the start")

    def forward(self, x):
        self.calls += 1
        if self.calls == 30:
            print("about to", self.does, flush=True)
            if self.does == "raise":
                raise RuntimeError("as it was told")
            if self.does == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.does == "segfault":
                ctypes.string_at(0)
            if self.does == "exit":
                os._exit(3)
            if self.does == "leave":
                sys.exit(4)
        if self.does == "nan" and self.calls >= 30:
            return super().forward(x) * float("nan")
        while self.does == "stubborn" and self.calls > 30:
            try:
                time.sleep(0.1)
            except KeyboardInterrupt:
                pass
        while self.does == "wait" and self.calls > 30 and not (HERE / "gate").exists():
            time.sleep(0.02)
        return super().forward(x)
'''


@pytest.fixture
def mischief(tiny: Path) -> Path:
    """The tiny config with a model that can be told to fail."""
    tiny.with_name("mischief.py").write_text(MISCHIEF)
    tiny.write_text(
        tiny.read_text().replace("{name: mlp, args: {width: 16, depth: 1}}", "import:mischief:Net")
    )
    return tiny


def does(*what: str) -> str:
    return f"model.args.does={','.join(what)}"


def table(done: Done, which: str = "sweep_csv") -> list[dict[str, str]]:
    with Path(json.loads(done.out)[which]).open(newline="") as lines:
        return list(csv.DictReader(lines))


def attempts(run: str | Path) -> list[str]:
    """The lines of log.txt that say from which epoch an attempt went on."""
    lines = Path(run, "log.txt").read_text().splitlines()
    return [line.partition("attempt ")[2] for line in lines if "attempt " in line]


def workers_of(pid: int) -> list[int]:
    """The processes whose parent is this one."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(word) for word in found.stdout.split()]


def wait_until(reached: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def gone(pids: list[int]) -> bool:
    """Whether none of these processes is left, zombies aside."""
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                return False
        except (FileNotFoundError, ProcessLookupError):
            pass
    return True


def states(folder: Path) -> list[str]:
    return sorted(json.loads(f.read_text())["state"] for f in folder.glob("tiny/*/status.json"))


def test_a_sweep_leaves_the_runs_that_train_gives_and_two_tables(
    advtrain, tiny: Path, tmp_path: Path
) -> None:
    done = advtrain("sweep", tiny, "eps=0.05,0.1", "lr=0.05,0.5", "--seeds", "0-1", "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result.keys() == {"sweep_csv", "cells_csv", "runs", "failed"}
    assert result["failed"] == 0 and len(result["runs"]) == 8
    first = result["runs"][0]
    assert first.keys() == {"run_dir", "state", "overrides", "seed", "headline"}
    assert first["overrides"] == ["eps=0.05", "lr=0.05"] and first["seed"] == 0
    assert {run["state"] for run in result["runs"]} == {"finished"}
    own = train(load_config(tiny, ["eps=0.1", "lr=0.5", "seed=1"]), tmp_path / "own", device="cpu")
    swept = next(Path(r["run_dir"]) for r in result["runs"]
                 if r["overrides"] == ["eps=0.1", "lr=0.5"] and r["seed"] == 1)  # fmt: skip
    assert differences(own.dir, tmp_path / swept) == []
    assert json.loads((swept / "provenance.json").read_text())["sessions"][0]["argv"] == [
        "advtrain", "sweep", str(tiny), "eps=0.05,0.1", "lr=0.05,0.5", "--seeds", "0-1", "--json",
    ]  # fmt: skip
    rows = table(done)
    assert list(rows[0]) == [
        "eps", "lr", "seed", "state", "converged", "cause", "inner", "train", "held_out", "level",
        "best_robust_acc", "last_robust_acc", "best_epoch", "epochs", "seconds", "run_dir", "error",
    ]  # fmt: skip
    row = next(row for row in rows if row["run_dir"] == str(swept))
    frame = own.metrics
    assert (row["eps"], row["lr"], row["seed"], row["epochs"]) == ("0.1", "0.5", "1", "3")
    assert float(row["last_robust_acc"]) == frame.test_robust_acc.iloc[-1]
    best = own.status.best_epoch
    assert int(row["best_epoch"]) == best
    assert float(row["best_robust_acc"]) == frame.test_robust_acc[best - 1]
    assert own.verdict and row["train"] == own.verdict["axes"]["train"]["state"]
    cells = table(done, "cells_csv")
    cell = next(cell for cell in cells if (cell["eps"], cell["lr"]) == ("0.1", "0.5"))
    accuracies = [
        float(r["last_robust_acc"]) for r in rows if (r["eps"], r["lr"]) == ("0.1", "0.5")
    ]
    assert (cell["seeds"], cell["finished"], cell["undecided"]) == ("2", "2", "2")
    assert float(cell["mean_robust_acc"]) == pytest.approx(sum(accuracies) / 2)
    assert float(cell["max_robust_acc"]) == max(accuracies)
    assert float(cell["high"]) == pytest.approx(0.6576, abs=1e-3)  # Wilson, 0 of 2
    status = json.loads(advtrain("status", "runs", "--json").out)
    assert len(status["runs"]) == 8
    assert len(json.loads(advtrain("diagnose", "runs", "--json").out)["results"]) == 8


def test_the_same_command_again_trains_nothing_and_a_grown_grid_the_new_cells(
    advtrain, tiny: Path, tmp_path: Path
) -> None:
    first = advtrain("sweep", tiny, "lr=0.05,0.5", "--json")
    runs = [Path(run["run_dir"]) for run in json.loads(first.out)["runs"]]
    files = {file: file.read_bytes() for run in runs for file in run.iterdir()}
    table_before = Path(json.loads(first.out)["sweep_csv"]).read_bytes()
    again = advtrain("sweep", tiny, "lr=.05,5e-1", "--json")
    assert "2 finished, 0 to train" in again.err
    assert json.loads(again.out)["sweep_csv"] == json.loads(first.out)["sweep_csv"]
    grown = advtrain("sweep", tiny, "lr=0.05,0.5,0.1", "--json")
    assert "2 finished, 1 to train" in grown.err
    assert json.loads(grown.out)["sweep_csv"] != json.loads(first.out)["sweep_csv"]
    assert Path(json.loads(first.out)["sweep_csv"]).read_bytes() == table_before
    assert {file: file.read_bytes() for file in files} == files


def test_a_run_that_fails_costs_only_itself(advtrain, mischief: Path) -> None:
    bad = ["raise", "die", "exit", "segfault", "leave", "refuse", "nan"]
    arguments = ["sweep", mischief, does("nothing", *bad), "--jobs", "2", "--json"]
    done = advtrain(*arguments)
    assert done.code == 1
    result = json.loads(done.out)
    assert result["failed"] == 6
    rows = {row["model.args.does"]: row for row in table(done)}
    assert {what: (row["state"], row["error"]) for what, row in rows.items()} == {
        "nothing": ("finished", ""),
        "nan": ("finished", ""),
        "raise": ("failed", "RuntimeError: as it was told"),
        "leave": ("failed", "SystemExit: 4"),
        "refuse": ("failed", rows["refuse"]["error"]),
        "die": ("interrupted", "killed by SIGKILL, perhaps for lack of memory"),
        "segfault": ("interrupted", "killed by SIGSEGV"),
        "exit": ("interrupted", "its process ended with exit code 3"),
    }
    assert "refused from the start" in rows["refuse"]["error"]
    assert rows["nan"]["cause"] == "nonfinite" and rows["nan"]["converged"] == "false"
    assert "Fatal Python error: Segmentation fault" in done.err  # with where in the code
    for what in ("raise", "die", "exit", "segfault", "leave", "refuse"):
        lines = [x for x in done.err.splitlines() if f"does={what} " in x]
        assert len(lines) == 1 and f"{rows[what]['run_dir']}/log.txt" in lines[0], what
        log = Path(rows[what]["run_dir"], "log.txt").read_text()
        assert rows[what]["error"].split(": ")[-1] in log
        if what in ("die", "exit", "segfault"):
            assert "about to " + what in log and "    about to " + what in done.err
    again = advtrain(*arguments)
    assert again.code == 1
    assert again.err.count("failed earlier: ") == 3  # what was cut off is tried again
    assert "2 finished, 3 to train" in again.err


def test_rerun_failed_repeats_failures_and_nothing_else(
    advtrain, mischief: Path, tmp_path: Path
) -> None:
    arguments = ["sweep", mischief, does("nothing", "raise", "die"), "--jobs", "1", "--json"]
    done = advtrain(*arguments)
    runs = {r["overrides"][0].partition("=")[2]: r["run_dir"] for r in json.loads(done.out)["runs"]}
    (tmp_path / "mischief.py").write_text(MISCHIEF.replace("self.calls == 30", "False"))
    grown = [*arguments[:2], does("nothing", "raise", "die", "wait"), *arguments[3:]]
    (tmp_path / "gate").touch()
    mended = advtrain(*grown, "--rerun", "failed")
    states = {r["overrides"][0].partition("=")[2]: r["state"]
              for r in json.loads(mended.out)["runs"]}  # fmt: skip
    assert states == {
        "nothing": "finished", "raise": "finished", "die": "finished", "wait": "queued",
    }  # fmt: skip
    assert mended.code == 0 and len(attempts(runs["nothing"])) == 1
    assert advtrain("sweep", mischief, does("nothing", "raise", "die")).code == 0


def test_rerun_all_trains_each_run_from_the_start(advtrain, tiny: Path) -> None:
    done = advtrain("sweep", tiny, "lr=0.05,0.5", "--json")
    runs = [Path(run["run_dir"]) for run in json.loads(done.out)["runs"]]
    (runs[0] / "notes.txt").write_text("mine")
    old = json.loads((runs[0] / "status.json").read_text())["heartbeat"]
    again = advtrain("sweep", tiny, "lr=0.05,0.5", "--json", "--rerun", "all")
    assert "0 finished, 2 to train" in again.err and again.code == 0
    status = json.loads((runs[0] / "status.json").read_text())
    assert status["attempt"] == 1 and status["heartbeat"] > old
    assert attempts(runs[0]) == ["1: from epoch 0"]
    assert (runs[0] / "notes.txt").read_text() == "mine"


def test_fail_fast_stops_at_the_first_failure(advtrain, mischief: Path) -> None:
    done = advtrain("sweep", mischief, does("raise", "nothing"), "--seeds", "0-3", "--jobs", "1",
                    "--fail-fast", "--json")  # fmt: skip
    assert done.code == 1
    states = [run["state"] for run in json.loads(done.out)["runs"]]
    assert states.count("failed") == 1 and states.count("queued") >= 6


def test_ctrl_c_saves_every_run_and_names_the_command_that_goes_on(
    mischief: Path, tmp_path: Path
) -> None:
    arguments = ["sweep", mischief.name, does("wait", "nothing"), "--jobs", "2", "--json"]
    process = start(*arguments, cwd=tmp_path)
    wait_until(lambda: states(tmp_path / "runs") == ["finished", "running"])
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    (tmp_path / "gate").touch()  # a forward pass that waits can be interrupted, too
    done = finish(process)
    assert done.code == 130
    assert sorted(run["state"] for run in json.loads(done.out)["runs"]) == [
        "finished", "interrupted",
    ]  # fmt: skip
    command = "to go on: advtrain sweep tiny.yaml model.args.does=wait,nothing --jobs 2 --json"
    assert done.err.endswith(command + "\n")
    assert states(tmp_path / "runs") == ["finished", "interrupted"]
    assert finish(start(*arguments, cwd=tmp_path)).code == 0
    assert states(tmp_path / "runs") == ["finished", "finished"]


def test_a_second_ctrl_c_does_not_wait(mischief: Path, tmp_path: Path) -> None:
    process = start("sweep", mischief.name, does("stubborn"), "--seeds", "0", cwd=tmp_path)
    wait_until(lambda: states(tmp_path / "runs") == ["running"])
    time.sleep(1)
    workers = workers_of(process.pid)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None and not gone(workers)
    process.send_signal(signal.SIGINT)
    done = finish(process, timeout=10)
    assert done.code == 130 and gone(workers) and "to go on: advtrain sweep" in done.err


def test_a_killed_sweep_leaves_no_worker_and_loses_nothing(mischief: Path, tmp_path: Path) -> None:
    arguments = ["sweep", mischief.name, does("wait"), "--seeds", "0-1", "--jobs", "2", "--json"]
    process = start(*arguments, cwd=tmp_path)
    wait_until(lambda: states(tmp_path / "runs") == ["running", "running"])
    workers = workers_of(process.pid)
    assert len(workers) == 2
    process.kill()
    process.wait()
    wait_until(lambda: gone(workers), 10)
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
    (worker,) = workers_of(process.pid)
    os.kill(worker, signal.SIGKILL)
    (tmp_path / "gate").touch()
    done = finish(process)
    assert done.code == 1
    assert [run["state"] for run in json.loads(done.out)["runs"]] == [
        "interrupted", "finished", "finished",
    ]  # fmt: skip


def test_two_sweeps_at_once_share_the_work(tiny: Path, tmp_path: Path) -> None:
    arguments = ["sweep", "tiny.yaml", "lr=0.05,0.1,0.2,0.5", "--seeds", "0-2", "--jobs", "1",
                 "--json", "epochs=10"]  # fmt: skip
    both = [start(*arguments, cwd=tmp_path) for _ in range(2)]
    ended = [finish(process) for process in both]
    assert [done.code for done in ended] == [0, 0], [done.err for done in ended]
    runs = [tmp_path / run["run_dir"] for run in json.loads(ended[0].out)["runs"]]
    assert len(runs) == 12 and all(attempts(run) == ["1: from epoch 0"] for run in runs)
    assert [done.err.count(" seed=") for done in ended] == [12, 12]  # each tells of all


def test_a_sweep_waits_for_a_run_that_train_is_at(mischief: Path, tmp_path: Path) -> None:
    other = start("train", mischief.name, does("wait"), cwd=tmp_path)
    wait_until(lambda: states(tmp_path / "runs") == ["running"])
    process = start("sweep", mischief.name, does("wait", "nothing"), "--json", cwd=tmp_path)
    wait_until(lambda: states(tmp_path / "runs") == ["finished", "running"])
    time.sleep(3)
    assert process.poll() is None
    (tmp_path / "gate").touch()
    done = finish(process)
    assert finish(other).code == 0 and done.code == 0
    assert done.err.count("another process trains the remaining 1 runs") == 1
    for run in json.loads(done.out)["runs"]:
        assert len(attempts(tmp_path / run["run_dir"])) == 1


def test_dry_run_shows_states_and_an_estimate_and_leaves_nothing(
    advtrain, tiny: Path, tmp_path: Path
) -> None:
    done = advtrain("sweep", tiny, "lr=0.05,0.5", "--dry-run")
    assert done.code == 0 and not (tmp_path / "runs").exists()
    assert "2 runs, 2 to train" in done.out and "unknown before a run has an epoch" in done.out
    advtrain("train", tiny, "lr=0.5")
    done = advtrain("sweep", tiny, "lr=0.05,0.5", "--dry-run")
    lines = done.out.splitlines()
    assert lines[0].startswith("queued: lr=0.05 seed=0  runs/tiny/eps0.1-lr0.05-s0-")
    assert lines[1].startswith("finished: lr=0.5 seed=0  runs/tiny/eps0.1-lr0.5-s0-")
    assert "2 runs, 1 to train; 1 workers; time: about 0 s" in done.out
    plan = json.loads(advtrain("sweep", tiny, "lr=0.05,0.5", "--dry-run", "--json").out)
    assert plan["to_train"] == 1 and [r["state"] for r in plan["runs"]] == ["queued", "finished"]
    assert not (tmp_path / "runs" / "tiny" / "sweeps").exists()


def test_the_estimate_is_epochs_left_times_their_mean_time(advtrain, tiny: Path) -> None:
    run = json.loads(advtrain("train", tiny, "lr=0.5", "--json").out)["run_dir"]
    with Path(run, "metrics.csv").open(newline="") as lines:
        rows = list(csv.reader(lines))
    for i, row in enumerate(rows[1:]):
        row[rows[0].index("seconds")] = str(10 * (i + 1))
    Path(run, "metrics.csv").write_text("\n".join(",".join(row) for row in rows) + "\n")
    done = advtrain("sweep", tiny, "lr=0.05,0.1,0.5", "--jobs", "2", "--dry-run", "--json")
    assert json.loads(done.out)["seconds_left"] == 6 * 20 / 2


def test_the_map_has_a_glyph_for_each_run(advtrain, mischief: Path) -> None:
    done = advtrain("sweep", mischief, does("nothing", "nan", "raise"), "eps=0.1,0.2",
                    "--seeds", "0-1")  # fmt: skip
    assert done.out.splitlines()[:4] == [
        "model.args.does \\ eps  0.1     0.2   ",
        "nothing                ?? 0/2  ?? 0/2",
        "nan                    ✗✗ 0/2  ✗✗ 0/2",
        "raise                  !! 0/2  !! 0/2",
    ]
    assert "✗ not converged: 4 nonfinite" in done.out and "! failed: 4" in done.out
    assert done.out.count("failed: model.args.does=raise") == 4


def test_a_third_key_gives_a_map_each(advtrain, tiny: Path) -> None:
    done = advtrain("sweep", tiny, "eps=0.1,0.2", "lr=0.1,0.5", "steps=1,2", "epochs=1")
    assert done.code == 0, done.err
    headings = [line for line in done.out.splitlines() if line.startswith("steps ")]
    assert headings == ["steps 1", "steps 2"] and done.out.count("eps \\ lr") == 2


def test_a_terminal_sees_the_grid_while_it_is_trained(tiny: Path, tmp_path: Path) -> None:
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "advtrain", "sweep", tiny, "eps=0.1,0.2", "lr=0.1,0.5", "epochs=30"],
        cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=terminal,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
    )  # fmt: skip
    os.close(terminal)
    seen = b""
    try:
        while part := os.read(master, 65536):
            seen += part
    except OSError:  # Linux: the other end is closed
        pass
    out = process.communicate(timeout=60)[0].decode()
    text = seen.decode()
    assert process.returncode == 0 and "\x1b" not in out
    assert "eps \\ lr" in text and "/4 runs" in text and "left" in text and "/30" in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--refine", "lr"], "argument '--refine lr': expected a key with several values"),
        (["eps=0.1,0.2", "--refine", "lrr"], "lrr: unknown key, did you mean lr?"),
        (["lr=0,0.1", "--refine", "lr"], "expected values > 0"),
        (["optimizer=sgd,adam", "--refine", "optimizer"], "expected a number, got 'sgd'"),
        (["lr=0.1,0.2", "--budget", "3"], "argument '--budget 3': it is about --refine KEY"),
        (["lr=0.1,0.2", "--refine", "lr", "--seeds", "0-2", "--budget", "2"], "takes 3 runs"),
        (["lr=0.1,0.2", "--device", "gpu"], "argument '--device gpu'"),
    ],
)
def test_options_that_cannot_be_are_refused(
    advtrain, tiny: Path, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    done = advtrain("sweep", tiny, "--seeds", "0", *arguments)
    assert done.code == 2 and expected in done.err, done.err
    assert not (tmp_path / "runs").exists()


def test_the_parent_never_imports_torch_or_pandas(tiny: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom advtrain.cli import main\n"
        f"sys.argv = ['advtrain', 'sweep', {str(tiny)!r}, 'lr=0.1,0.5', '--json']\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "sys.exit(3 if {'torch', 'pandas'} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_gpus_are_shared_round_robin_and_cores_get_one_thread() -> None:
    one_each = assign("auto", ["0", "1"], 16, None, 8, {})
    assert one_each == [Seat("cuda", {"CUDA_VISIBLE_DEVICES": g}) for g in ("0", "1")]
    more = assign("cuda", ["0", "1"], 16, 5, 8, {})
    assert [seat.env["CUDA_VISIBLE_DEVICES"] for seat in more] == ["0", "1", "0", "1", "0"]
    assert assign("auto", [], 16, None, 3, {}) == [Seat("auto", {"OMP_NUM_THREADS": "1"})] * 3
    assert assign("cpu", [], 4, None, 9, {"OMP_NUM_THREADS": "2"}) == [Seat("cpu", {})] * 4
    assert len(assign("cpu", [], 4, 6, 9, {})) == 6 and len(assign("cpu", [], 4, None, 0, {})) == 1
    assert visible_gpus(None, 2) == ["0", "1"]
    assert visible_gpus("3,GPU-ab", 2) == ["3", "GPU-ab"] and visible_gpus("", 0) == []


def test_a_sweep_killed_again_and_again_equals_one_never_disturbed(tmp_path: Path) -> None:
    """`python -m tests.sweep_kills` does it twenty times."""
    hits, found = sweep_kills.torment(tmp_path, 4, seed=1)
    assert len(hits) == 4 and found == []
