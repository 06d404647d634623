"""part.pt: what is done of the epoch under way, saved when a run is stopped and now and then."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager

from advtrain.learning.epoch import Epoch
from advtrain.learning.loop import Hooks
from advtrain.process.observer import Observer
from advtrain.process.signals import asked, deafen, deferred
from advtrain.records import EpochRecord
from advtrain.store import checkpoint
from advtrain.store.writer import RunDirectory
from advtrain.tasks.keep import hopeless
from advtrain.tasks.prepare import Work

EVERY = 600.0  # seconds within an epoch that a kill may cost


class Leading(Hooks):
    """Follows an epoch's batches in the process that writes, and keeps what is done of it."""

    def __init__(self, work: Work, directory: RunDirectory, observer: Observer) -> None:
        self._work, self._directory, self._observer = work, directory, observer
        self._number, self._saved = work.session.progress.epoch + 1, time.monotonic()
        self._there = work.session.position is not None

    def under_way(self) -> AbstractContextManager[None]:
        """A first signal lets the batch end."""
        return deferred()

    def after_batch(self, epoch: Epoch) -> None:
        """Tell the observer; save what is done if it is time to.

        If a stop was asked for, of any process, that is saved, and a KeyboardInterrupt says how
        far it is.
        """
        if self._number != epoch.number:  # the one before has ended and is saved
            self._number, self._saved, self._there = epoch.number, time.monotonic(), False
        wished = False
        try:
            self._observer.batch(epoch.done, len(epoch))
        except KeyboardInterrupt:
            wished = True
        # Of an epoch that is long the end, too, so that stopping its evaluation loses no batch.
        last = self._there and epoch.done == len(epoch)
        due = time.monotonic() - self._saved >= EVERY or last
        group = self._work.session.group
        stop, due = group.any(wished or asked(), due)
        if stop and group.size > 1:
            deafen()  # the others end sooner, and torchrun ends this one with them
        if stop or due:
            self._save(epoch)
        if stop:
            group.meet()
            raise KeyboardInterrupt(
                f"interrupted in epoch {epoch.number} after batch {epoch.done} of {len(epoch)}"
            )

    def _save(self, epoch: Epoch) -> None:
        of = epoch.session
        content = checkpoint.to_bytes(
            of.model, of.optimizer, of.progress, of.average, epoch.position()
        )
        self._directory.write("part.pt", content)
        self._saved, self._there = time.monotonic(), True

    def hopeless(self, record: EpochRecord) -> str:
        """A state of `training.stop_on` that the verdict finds so far."""
        return hopeless(self._work, self._directory, record)


class Following(Hooks):
    """What a process does after each batch that another leads, which alone saves."""

    def after_batch(self, epoch: Epoch) -> None:
        """Take part in saving; stop with the others."""
        group = epoch.session.group
        stop, due = group.any(asked(), False)
        if stop or due:
            epoch.position()
        if stop:
            group.meet()  # when it has saved: the end of one may end all
            raise KeyboardInterrupt
