"""Kill a training again and again, and see that in the end nothing shows of it.

    python -m tests.helpers.kills [COUNT] [--seed N] [--runs mlp,norm,lstm,trades,free,awp]

starts `advtrain train` as a process of its own, kills it (SIGKILL) COUNT times, each time followed
by the same command, and lets the last one finish. The run must then equal one that was never
stopped: metrics.csv in all columns but the times, last.pt, best.pt and examples.npz bit for bit.
"""

from __future__ import annotations

import argparse
import collections
import csv
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from advtrain.records import TIMES
from advtrain.store.run_status import read_status
from tests.helpers.normed_network import NET

CONFIG = """\
name: killed
model: {model}
objective: {objective}
dataset: {{name: digits, train_size: 300}}
attack: {{eps: 0.1, steps: 3}}
schedule: cosine
training: {{epochs: {epochs}, batch_size: 32, ema: 0.9}}
evaluation: {{steps: 3}}
"""

RUNS = {  # network and objective
    "mlp": ("{name: mlp, args: {width: 512}}", "pgd"),
    "norm": ("import:normed:Net", "pgd"),
    "lstm": ("{name: lstm, args: {hidden: 256}}", "pgd"),
    "trades": ("import:normed:Net", "trades"),
    "free": ("import:normed:Net", "{name: free, replays: 4}"),  # 2 or 3 of 9 batches an epoch
    "awp": ("import:normed:Net", "{name: pgd, awp: 0.01}"),
}

AIMS = ("any moment", "a file", "the gap", "any moment", "a file", "loading")
FILES = ("last.pt", "last.pt", "best.pt", "metrics.csv", "examples.npz")


@dataclass
class Kill:
    """What a kill was aimed at, what it hit by the files it left, and the epochs saved by then."""

    aim: str
    hit: str
    saved: int


def write_config(folder: Path, run: str, epochs: int) -> Path:
    """The config of the run that is to be killed, with the model's module beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "normed.py").write_text(NET)
    path = folder / "killed.yaml"
    network, objective = RUNS[run]
    path.write_text(CONFIG.format(model=network, objective=objective, epochs=epochs))
    return path


def torment(folder: Path, run: str, count: int, seed: int) -> tuple[list[Kill], list[str]]:
    """Kill a run `count` times, let it finish: the kills, and what tells it from a quiet run."""
    epochs = count + 5  # each kill may come an epoch after the one before, the last well in time
    write_config(folder, run, epochs)
    quiet = finish(folder, "quiet")
    epoch_takes = sum(float(row["seconds"]) for row in table(quiet)) / epochs
    chance = random.Random(f"{seed} {run}")
    kills = []
    for number in range(count):
        aim = AIMS[number % len(AIMS)]
        with started(folder, "killed") as process:
            wait_for(folder / "killed", process, aim, number + 1, epoch_takes, chance)
            begun_before = sum(kill.hit != "loading" for kill in kills)
            kills.append(kill(process, folder / "killed", aim, begun_before))
    return kills, differences(quiet, finish(folder, "killed"))


def started(
    folder: Path, runs: str, command: Sequence[str] = ("train", "killed.yaml")
) -> subprocess.Popen[bytes]:
    """The command, in a process of its own; what it prints goes to a file."""
    with (folder / f"{runs}.out").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "advtrain", *command, "--runs-dir", runs],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def finish(folder: Path, runs: str) -> Path:
    """Let the command run to its end; the run's directory."""
    if started(folder, runs).wait() != 0:
        raise AssertionError((folder / f"{runs}.out").read_text())
    return run_below(folder / runs)


def run_below(runs: Path) -> Path:
    """The one directory below `runs`, whether or not it is there yet."""
    return next(iter(runs.glob("killed/*")), runs / "not yet")


def wait_for(
    runs: Path,
    process: subprocess.Popen[bytes],
    aim: str,
    limit: int,
    epoch_takes: float,
    chance: random.Random,
) -> None:
    """Return at the moment of the kill: that of the aim, or when `limit` epochs are done."""
    before = read_status(run_below(runs))
    attempt = before.attempt if before else 0
    if aim == "loading":
        time.sleep(chance.uniform(0.2, 3))
        return
    poll(process, lambda: begun(runs, attempt), pause=0.002)
    run = run_below(runs)
    if aim == "any moment":
        end = time.monotonic() + chance.uniform(0, 2) * epoch_takes
        poll(process, lambda: time.monotonic() > end, lambda: late(run, limit), pause=0.001)
    elif aim == "the gap":
        poll(process, lambda: in_gap(run), lambda: late(run, limit))
    else:
        target = f".{chance.choice(FILES)}."
        poll(
            process,
            lambda: begins(run, target),
            lambda: late(run, limit),
        )


def begins(folder: Path, name: str) -> bool:
    """Whether the name of a file in it begins so, told in as little time as can be."""
    with os.scandir(folder) as entries:
        return any(entry.name.startswith(name) for entry in entries)


def poll(
    process: subprocess.Popen[bytes],
    reached: Callable[[], bool],
    late: Callable[[], bool] = lambda: False,
    pause: float = 0.0,
) -> None:
    """Wait until the moment is reached, or it is late, or the process has ended."""
    while process.poll() is None and not late():
        for _ in range(1 if pause else 100):  # of `reached`, the others are slow
            if reached():
                return
        if pause:
            time.sleep(pause)


def begun(runs: Path, attempt: int) -> bool:
    """Whether a later attempt than this has begun."""
    status = read_status(run_below(runs))
    return status is not None and status.attempt > attempt


def late(run: Path, limit: int) -> bool:
    """Whether so many epochs are done."""
    status = read_status(run)
    return status is not None and status.epoch >= limit


def in_gap(run: Path) -> bool:
    """Whether the running attempt has written an epoch's row but not its checkpoint."""
    row = changed(run / "metrics.csv")
    return row > changed(run / "last.pt") and row > changed(run / "status.json")


def changed(file: Path) -> int:
    """When the file was put in place; 0 if it is not there."""
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def kill(process: subprocess.Popen[bytes], runs: Path, aim: str, begun_before: int) -> Kill:
    """Kill the process and see what it was doing."""
    process.kill()
    if process.wait() != -9:
        raise AssertionError(f"it ended before the kill:\n{runs.with_suffix('.out').read_text()}")
    run = run_below(runs)
    status = read_status(run)
    saved = load(run / "last.pt")["progress"]["epoch"] if (run / "last.pt").exists() else 0
    leftovers = sorted(file.name for file in run.glob(".*.tmp"))
    if status is None or status.attempt == begun_before:
        hit = "loading"
    elif leftovers:
        hit = "writing " + leftovers[0].split(".", 1)[1].rsplit(".", 2)[0]
    elif in_gap(run):
        hit = "between row and checkpoint"
    elif saved > status.epoch:
        hit = "between checkpoint and status"
    else:
        hit = "within an epoch"
    return Kill(aim, hit, saved)


def differences(quiet: Path, killed: Path) -> list[str]:
    """What tells the two runs apart; nothing should."""
    found = []
    a, b = ([[v for k, v in row.items() if k not in TIMES] for row in table(run)]
            for run in (quiet, killed))  # fmt: skip
    if a != b:
        found.append(f"metrics.csv: {a} is not {b}")
    names = {file.name for run in (quiet, killed) for file in run.glob("*.pt")}
    for name in sorted(names):
        if (quiet / name).exists() and (killed / name).exists():
            places = unequal(load(quiet / name), load(killed / name), "")
            found += [f"{name}: {place}" for place in places]
        else:
            found.append(f"{name}: only one has it")
    shown = [file.read_bytes() for run in (quiet, killed) for file in run.glob("examples.npz")]
    if len(shown) == 1 or len(set(shown)) > 1:
        found.append("examples.npz: differs, or only one has it")
    return found + [f"{file.name}: left behind" for file in killed.glob(".*.tmp")]


def table(run: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv."""
    with (run / "metrics.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def load(file: Path) -> Any:
    """A checkpoint's content."""
    return torch.load(file, weights_only=True)


def unequal(a: Any, b: Any, place: str) -> Iterator[str]:
    """Where two nested values differ; tensors must agree bit for bit."""
    if type(a) is not type(b):
        yield f"{place}: {type(a)} is not {type(b)}"
    elif isinstance(a, torch.Tensor):
        if not torch.equal(a, b) or a.dtype != b.dtype:
            yield f"{place}: the tensors differ"
    elif isinstance(a, dict) and a.keys() == b.keys():
        for key in a:
            yield from unequal(a[key], b[key], f"{place}.{key}")
    elif isinstance(a, list) and len(a) == len(b):
        for number, pair in enumerate(zip(a, b, strict=True)):
            yield from unequal(*pair, f"{place}.{number}")
    elif a != b:
        yield f"{place}: {a!r} is not {b!r}"


def main() -> int:
    """Torment the runs; exit code 1 if a difference shows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("count", nargs="?", type=int, default=20, help="kills of each run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", default=",".join(RUNS), help="some of %(default)s")
    options = parser.parse_args()
    failed = False
    for run in options.runs.split(","):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            kills, found = torment(Path(folder), run, options.count, options.seed)
        print(f"\n{run}: {len(kills)} kills in {time.monotonic() - began:.0f} s")
        for number, one in enumerate(kills, 1):
            print(
                f"  {number:3}  aimed at {one.aim:11} hit: {one.hit:30} epochs saved: {one.saved}"
            )
        for hit, times in collections.Counter(kill.hit for kill in kills).most_common():
            print(f"  {times:3} x {hit}")
        print("  " + ("\n  ".join(found) or "equal to the run that was never stopped"), flush=True)
        failed = failed or bool(found)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
