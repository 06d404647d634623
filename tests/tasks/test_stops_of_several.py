"""A stop that one of several processes was asked for, without the others."""

from __future__ import annotations

import contextlib
import signal
from types import SimpleNamespace
from typing import Any

import pytest
from torch import Tensor

from advtrain.learning.distributed.group import Group
from advtrain.process.observer import Observer
from advtrain.process.signals import handling
from advtrain.records import Progress
from advtrain.tasks.mid_epoch import Leading


def test_one_that_leads_is_deaf_once_another_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    class At:
        number, done = 1, 3

        def __len__(self) -> int:
            return 6

    at: Any = At()

    class Asked(Group):
        def any(self, *flags: bool) -> list[bool]:
            return [True, False]

        def meet(self) -> None:
            pass

    session = SimpleNamespace(progress=Progress(), position=None, group=Asked(0, 2))
    work: Any = SimpleNamespace(session=session)
    nowhere: Any = None
    saved, heard = list[Any](), list[int]()
    leading = Leading(work, nowhere, Observer())
    monkeypatch.setattr(leading, "_save", saved.append)
    signals = (signal.SIGINT, signal.SIGTERM)
    with contextlib.ExitStack() as after:
        for number in signals:
            after.callback(signal.signal, number, signal.getsignal(number))
        with handling(lambda number, _: heard.append(number), *signals):
            with pytest.raises(KeyboardInterrupt, match="in epoch 1 after batch 3 of 6"):
                leading.after_batch(at)
            signal.raise_signal(signal.SIGTERM)  # as torchrun sends when another has ended
        signal.raise_signal(signal.SIGINT)  # nor as it ends
    assert saved == [at] and heard == []


def test_any_number_of_processes_may_be_asked_to_stop() -> None:
    class Sums(Group):
        def sum(self, part: Tensor) -> Tensor:
            return part * self.size

    assert Sums(0, 256).any(True, False) == [True, False]
