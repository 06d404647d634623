"""Kill a sweep again and again, and see that in the end nothing shows of it.

    python -m tests.helpers.sweep_kills [COUNT] [--seed N]

starts `advtrain sweep` as a process of its own and COUNT times kills (SIGKILL) the sweep, one of
its workers, or all of them together, at random moments, the first while it loads. Whenever the
sweep is gone the same command starts it again. At last it runs to its end. Then each run must equal
that of a sweep never disturbed (metrics.csv in all columns but the times, last.pt and best.pt bit
for bit), none may have been trained on after its verdict, and no process may be left.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from advtrain.store.run_status import read_status
from tests.helpers.kills import differences, started
from tests.helpers.processes import children, gone, kill, wait_until

CONFIG = """\
name: killed
model: {{name: mlp, args: {{width: 256}}}}
dataset: {{name: digits, train_size: 300}}
attack: {{eps: 0.1, steps: 3}}
schedule: cosine
training: {{epochs: {epochs}, batch_size: 32}}
evaluation: {{steps: 3}}
"""
COMMAND = ["sweep", "killed.yaml", "lr=0.02,0.1,0.5", "--seeds", "0-1", "--jobs", "2"]
TARGETS = ("the sweep", "a worker", "everything")
_LOADING = 3.0  # seconds, about


@dataclass
class Kill:
    """What was killed, and the epochs that all runs together had saved by then."""

    target: str
    saved: int


def torment(folder: Path, count: int, seed: int) -> tuple[list[Kill], list[str]]:
    """Kill a sweep `count` times, let it finish: the kills, and what tells it from a quiet one."""
    (folder / "killed.yaml").write_text(CONFIG.format(epochs=count + 5))
    finish(folder, "quiet")
    whole = saved(folder / "quiet")
    chance = random.Random(seed)
    kills: list[Kill] = []
    process = started(folder, "killed", COMMAND)
    found = []
    for number in range(count):
        if process.poll() is not None:
            process = started(folder, "killed", COMMAND)
        workers = set(children(process.pid))
        wait_for(folder / "killed", process, number, whole * (number + 1) // (count + 4), chance)
        workers |= set(children(process.pid))
        target = TARGETS[number % len(TARGETS)]
        kills.append(Kill(target, saved(folder / "killed")))
        if target == "a worker":
            if alive := sorted(pid for pid in workers if not gone(pid)):
                kill(chance.choice(alive))
            continue
        process.kill()
        if target == "everything":
            for pid in workers:
                kill(pid)
        if process.wait() != -signal.SIGKILL:
            raise AssertionError(f"it ended before the kill:\n{output(folder, 'killed')}")
        found += [f"worker {pid} outlives its sweep" for pid in outliving(workers)]
    process.wait()
    finish(folder, "killed")
    return kills, found + compare(folder)


def finish(folder: Path, runs: str) -> None:
    """Let the command run to its end."""
    if started(folder, runs, COMMAND).wait() != 0:
        raise AssertionError(output(folder, runs))


def output(folder: Path, runs: str) -> str:
    """What the command printed."""
    return (folder / f"{runs}.out").read_text()


def wait_for(
    runs: Path, process: subprocess.Popen[bytes], number: int, limit: int, chance: random.Random
) -> None:
    """Return at a random moment: while loading, or within the epochs up to the limit."""
    if number == 0:
        time.sleep(chance.uniform(0.2, _LOADING))
        return
    before = saved(runs)
    goal = min(limit, before + chance.randint(0, 12))
    while process.poll() is None and saved(runs) < max(goal, before + 1):
        time.sleep(0.005)
    time.sleep(chance.uniform(0, 0.1))


def saved(runs: Path) -> int:
    """Epochs that all runs together have saved."""
    found = [read_status(file.parent) for file in runs.glob("killed/*/status.json")]
    return sum(status.epoch for status in found if status)


def outliving(workers: set[int]) -> list[int]:
    """Those that have not ended a minute later."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: all(map(gone, workers)), 60)
    return [pid for pid in workers if not gone(pid)]


def compare(folder: Path) -> list[str]:
    """What tells the killed sweep's runs from the quiet one's; nothing should."""
    quiet, killed = (
        {file.parent.name: file.parent for file in (folder / runs).glob("killed/*/status.json")}
        for runs in ("quiet", "killed")
    )
    found = [f"{name}: only one sweep has it" for name in quiet.keys() ^ killed.keys()]
    for name in sorted(quiet.keys() & killed.keys()):
        found += [f"{name}: {text}" for text in differences(quiet[name], killed[name])]
        lines = (killed[name] / "log.txt").read_text().splitlines()
        verdicts = [i for i, line in enumerate(lines) if " verdict: " in line]
        if not verdicts:
            found.append(f"{name}: no verdict in log.txt")
        # A kill between the verdict and `finished` makes another one, of the same epochs.
        elif any(re.search(r" epoch \d+/", line) for line in lines[verdicts[0] :]):
            found.append(f"{name}: trained again after it had finished")
    return found


def main() -> int:
    """Torment a sweep; exit code 1 if a difference shows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("count", nargs="?", type=int, default=20, help="kills")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        kills, found = torment(Path(folder), options.count, options.seed)
        attempts = [
            sum(" attempt " in line for line in file.read_text().splitlines())
            for file in sorted(Path(folder).glob("killed/killed/*/log.txt"))
        ]
    print(f"{len(kills)} kills in {time.monotonic() - began:.0f} s")
    for number, one in enumerate(kills, 1):
        print(f"  {number:3}  {one.target:10}  saved: {one.saved} epochs")
    for target, times in collections.Counter(one.target for one in kills).most_common():
        print(f"  {times:3} x {target}")
    print(f"  attempts of each run: {attempts}")
    print("  " + ("\n  ".join(found) or "every run equals that of a sweep never disturbed"))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
