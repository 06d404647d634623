"""Rounds in turn: every contestant once, and once more while something else is at work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.workloads import Workload

ROOT = Path(__file__).parent.parent
CALM = 0.1  # cores that others may keep busy during a measurement
TRIES = 3

Measures = dict[str, float]


class Contestant:
    """A worker process and what it measured."""

    def __init__(self, name: str, workload: Workload) -> None:
        self.name = name
        self.rounds: list[Measures] = []
        # Not a pipe: one that nobody reads fills up.
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed in `close`)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", name, json.dumps(vars(workload))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True,
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": str(workload.threads), "CUDA_VISIBLE_DEVICES": ""},
        )  # fmt: skip
        self.error = self._answer().get("error", "")

    def measure(self, most: int) -> None:
        """One round; of `most` tries the first calm one counts, or the calmest."""
        tries: list[Measures] = []
        while len(tries) < most and (not tries or tries[-1]["neighbours"] > CALM):
            assert self._process.stdin is not None
            self._process.stdin.write("go\n")
            self._process.stdin.flush()
            tries.append(self._answer())
        best = min(tries, key=lambda measures: measures["neighbours"])
        self.rounds.append(best | {"tries": len(tries)})

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._errors.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise RuntimeError(f"{self.name} ended:\n{self._errors.read()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def contestants(names: list[str], workload: Workload) -> Iterator[list[Contestant]]:
    """The processes, prepared one after the other."""
    started: list[Contestant] = []
    try:
        for name in names:
            started.append(Contestant(name, workload))
        yield started
    finally:
        for each in started:
            each.close()


def interleaved(
    names: list[str], workload: Workload, rounds: int, tries: int = TRIES
) -> dict[str, Any]:
    """What each measured in each round, or why it could not take part."""
    with contestants(names, workload) as all_of_them:
        able = [each for each in all_of_them if not each.error]
        for number in range(rounds):
            # Turn the order, so that none always follows the same neighbour.
            for each in able[number % len(able) :] + able[: number % len(able)]:
                each.measure(tries)
            print(f"  {workload.name}: round {number + 1} of {rounds}", file=sys.stderr)
    return {
        each.name: {"error": each.error} if each.error else {"rounds": each.rounds}
        for each in all_of_them
    }
