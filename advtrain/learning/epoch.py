"""One epoch on its way: its batches and examples, where it stands, and the sums of its record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from torch import Tensor

from advtrain.config.optimization import Schedule
from advtrain.learning.data.augment import crop_and_flip
from advtrain.learning.measuring.measure import weight_norm
from advtrain.learning.measuring.tally import Descent, Tally
from advtrain.learning.objectives import OBJECTIVES
from advtrain.learning.objectives.batch import Batch, Carry
from advtrain.learning.order import batches_of
from advtrain.learning.schedule import alpha_factor, eps_factor, lr_factor
from advtrain.learning.session import Session
from advtrain.learning.streams import Draws, Source, seed_global, seed_of, stream
from advtrain.records import EpochRecord, Position


class Epoch:
    """One pass over the training images, or what the session's position leaves of it.

    `done` of its `len` batches are trained. Each process of a group takes its share of every
    batch. Random numbers, the learning rate and eps depend on the seed, the epoch and the batch
    alone, so a run goes on from any batch as if it had never stopped.
    """

    def __init__(self, session: Session) -> None:
        config, group = session.config, session.group
        self.session, self.number = session, session.progress.epoch + 1
        self._objective = OBJECTIVES[config.objective.name]
        self._replays = getattr(config.objective, "replays", 1)
        self._order = batches_of(len(session.data.train), config.training.batch_size, config.seed,
                                 self.number, self._replays, group.size)  # fmt: skip
        start, session.position = session.position or Position(session.progress.step), None
        self._first_step, self.done = start.step, start.done
        self._tally = Tally(next(session.model.parameters()).device, group, start.sums)
        self._carry = Carry(None if start.delta is None else start.delta[group.share])
        self.lr, self._strength = start.lr, start.strength
        self._step = self._replay = 0
        self._began = time.perf_counter() - start.seconds

    def __len__(self) -> int:
        return len(self._order)

    def batches(self) -> Iterator[Batch]:
        """This process's share of each batch that is left, augmented if asked for."""
        config, group, device = self.session.config, self.session.group, self._tally.device
        shares = [positions[group.share] for positions in self._order[self.done :]]
        for x, y, _ in self.session.data.train.batches(shares):
            number, whole = self.done, len(self._order[self.done])
            self._step = ((self.number - 1) * len(self) + number) * self._replays
            self._replay = 0
            self._strength, stride = self._factor(eps_factor), self._factor(alpha_factor)
            if config.dataset.augment == "crop+flip":
                x = crop_and_flip(x, self._source("augment", number, whole))
            own = () if group.leads else (group.rank,)  # each process drops out units of its own
            seed_global(seed_of(config.seed, "dropout", self.number, number, *own), device)
            draws = self._source("attack", number, whole)
            self.done += 1
            yield Batch(x, y, config.objective, config.attack, draws, self._strength, stride,
                        self._carry, group, whole)  # fmt: skip

    def examples(self, batch: Batch) -> Iterator[Tensor]:
        """Adversarial examples of the batch, each to be descended at `lr` before the next."""
        for x_adv in self._objective.examples(self.session.fast_model, batch):
            self.lr = self.session.config.optimizer.lr * self._factor(lr_factor)
            yield x_adv
            self._replay += 1

    def count(self, batch: Batch, descent: Descent) -> None:
        """Add a step of the optimizer to the sums."""
        self.session.progress.step += 1
        self._tally.add(descent, batch.y, batch.whole)

    def not_finite(self) -> bool:
        """Whether a loss or gradient was not finite; the progress then says in which batch."""
        first_bad = self._tally.first_bad(final=self.done == len(self))
        self.session.progress.bad_batch = -(-first_bad // self._replays)  # it counts each replay
        return first_bad > 0

    @property
    def elapsed(self) -> float:
        """Epochs trained when the current batch began."""
        return self._step / (len(self) * self._replays)

    def position(self) -> Position:
        """All that going on after this batch needs; all processes of a group ask for it or none."""
        return Position(
            self._first_step,
            self.done,
            time.perf_counter() - self._began,
            self.lr,
            self._strength,
            self._tally.state(),
            self.session.group.whole(self._carry.delta),
        )

    def record(self) -> EpochRecord:
        """End the epoch: what its batches came to, without what is measured afterwards."""
        session, progress = self.session, self.session.progress
        progress.epoch = self.number
        eps = session.config.attack.eps * self._strength
        record = EpochRecord(self.number, progress.step, lr=self.lr, eps=eps)
        self._tally.into(record, time.perf_counter() - self._began)
        record.weight_norm = weight_norm(session.model)
        if not record.finite and not progress.bad_batch:  # the last step made the weights so
            progress.bad_batch = len(self)
        return record

    def _factor(self, of: Callable[[Schedule, int, int, int], float]) -> float:
        """A factor of the schedule at the current step."""
        config = self.session.config
        steps = len(self) * self._replays
        return of(config.schedule, self._step + self._replay, steps, config.horizon)

    def _source(self, purpose: str, number: int, whole: int) -> Source:
        """The stream of random numbers for a batch, of which each process keeps its share."""
        group, device = self.session.group, self._tally.device
        begun = stream(self.session.config.seed, purpose, self.number, number, device=device)
        return begun if group.size == 1 else Draws(begun, whole, group.share)
