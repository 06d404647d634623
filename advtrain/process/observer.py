"""What an experiment tells those who watch it."""

from __future__ import annotations

from pathlib import Path

from advtrain.config.schema import Config
from advtrain.records import EpochRecord, Row


class Observer:
    """Is told of each event and does nothing; consoles override what they show."""

    def started(self, run: Path, config: Config, rows: list[Row]) -> None:
        """Training is about to begin; `rows` are those of the epochs already done."""

    def batch(self, done: int, batches: int) -> None:
        """So many batches of the current epoch are done.

        A KeyboardInterrupt raised here stops the run, but not before that much is saved.
        """

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is done and saved."""

    def note(self, text: str) -> None:
        """What the run was found to work with: its images and classes, for example."""

    def warn(self, text: str) -> None:
        """There is something the user should know, which stops nothing."""
