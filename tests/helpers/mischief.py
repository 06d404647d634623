"""Models that misbehave as they are told, and what tests of sweeps look at."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from tests.helpers.command_line import Done

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
            if self.does == "raise" and not (HERE / "mended").exists():
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
                (HERE / "stuck").touch()
                time.sleep(0.1)
            except KeyboardInterrupt:
                pass
        waits = self.does in ("wait", "late") and self.calls > 30
        while waits and not (HERE / "gate").exists():
            time.sleep(0.02)
        if waits and self.does == "late":
            raise RuntimeError("late\\nand in two lines")
        return super().forward(x)
'''


def does(*what: str) -> str:
    return f"model.args.does={','.join(what)}"


def table(done: Done, which: str = "sweep_csv") -> list[dict[str, str]]:
    with Path(json.loads(done.out)[which]).open(newline="") as lines:
        return list(csv.DictReader(lines))


def states(folder: Path) -> list[str]:
    return sorted(json.loads(f.read_text())["state"] for f in folder.glob("tiny/*/status.json"))
