"""part.pt: what is done of the epoch under way, saved when a run is stopped and now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

from advtrain.learning.distributed.group import Group
from advtrain.learning.loop import Tick
from advtrain.process.observer import Observer
from advtrain.process.signals import asked, deafen
from advtrain.records import Position
from advtrain.store import checkpoint
from advtrain.store.writer import RunDirectory
from advtrain.tasks.prepare import Work

EVERY = 600.0  # seconds within an epoch that a kill may cost


class Part:
    """Follows an epoch's batches, and keeps what is done of it."""

    def __init__(
        self, work: Work, directory: RunDirectory, observer: Observer, group: Group
    ) -> None:
        self._work, self._directory, self._observer = work, directory, observer
        self._group = group
        self._epoch, self._saved = work.progress.epoch, time.monotonic()
        self._there = work.position is not None

    def batch(self, done: int, batches: int, here: Callable[[], Position]) -> None:
        """So many batches are done: tell the observer; save `here` if it is time to.

        If a stop was asked for, of any process, that is saved, and a KeyboardInterrupt says how
        far it is.
        """
        if self._epoch != self._work.progress.epoch:  # the one before has ended and is saved
            self._epoch, self._saved, self._there = self._epoch + 1, time.monotonic(), False
        wished = False
        try:
            self._observer.batch(done, batches)
        except KeyboardInterrupt:
            wished = True
        # Of an epoch that is long the end, too, so that stopping its evaluation loses no batch.
        due = time.monotonic() - self._saved >= EVERY or (self._there and done == batches)
        stop, due = self._group.any(wished or asked(), due)
        if stop and self._group.size > 1:
            deafen()  # the others end sooner, and torchrun ends this one with them
        if stop or due:
            self._save(here())
        if stop:
            self._group.meet()
            epoch = self._work.progress.epoch + 1
            raise KeyboardInterrupt(f"interrupted in epoch {epoch} after batch {done} of {batches}")

    def _save(self, position: Position) -> None:
        work = self._work
        content = checkpoint.to_bytes(
            work.model, work.optimizer, work.progress, work.average, position
        )
        self._directory.write("part.pt", content)
        self._saved, self._there = time.monotonic(), True


def following(group: Group) -> Tick:
    """What a process does after each batch that another leads, which alone saves."""

    def batch(done: int, batches: int, here: Callable[[], Position]) -> None:
        stop, due = group.any(asked(), False)
        if stop or due:
            here()
        if stop:
            group.meet()  # when it has saved: the end of one may end all
            raise KeyboardInterrupt

    return batch
