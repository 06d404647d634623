"""Free adversarial training against Shafahi et al. 2019, algorithm 1, written out."""

from __future__ import annotations

import math

import pytest
import torch

from advtrain.config.objectives import Free
from advtrain.config.schema import Attack
from advtrain.learning.loop import Hooks, train_epoch
from advtrain.learning.objectives import OBJECTIVES
from advtrain.learning.objectives.batch import Batch, Carry
from advtrain.learning.optimizer import build_optimizer
from advtrain.learning.order import batches_of
from advtrain.learning.session import Session
from advtrain.learning.streams import stream
from tests.helpers import reference_methods as plain
from tests.helpers.steps import built, config_of, splits, trained


def test_free_is_algorithm_1_step_by_step() -> None:
    config, data = config_of({"name": "free", "replays": 2, "alpha": 0.04}), splits()
    trace, records = trained(config, 4, data, built())
    passes = []
    for number in (1, 2):  # of two epochs each: 14 images are batches of 4, 4, 4 and 2
        order = torch.randperm(14, generator=stream(0, "order", number))
        batches = [(data.train.images[rows], data.train.labels[rows]) for rows in order.split(4)]
        passes += [batches[:2], batches[2:]]
    assert [len(y) for _, y in passes[1]] == [4, 2]

    def lr(step: int) -> float:
        return 0.2 * 0.5 * (1 + math.cos(math.pi * step / 16))

    expected = plain.free(built(), passes, 2, 0.1, 0.04, lr, momentum=0.9, weight_decay=0.01)
    assert len(trace) == len(expected) == 16
    for ours, theirs in zip(trace, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    assert [record.step for record in records] == [4, 8, 12, 16]
    assert records[-1].lr == pytest.approx(lr(15), rel=1e-5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_perturbation_goes_on_to_a_batch_that_is_smaller_or_larger(norm: str) -> None:
    carry, model = Carry(), built()
    threat = Attack.model_validate({"eps": 0.1, "norm": norm})
    x, y = splits(5).train.images, torch.arange(5) % 3

    def through(n: int) -> list[torch.Tensor]:
        """Where the batch of the first n images is descended."""
        batch = Batch(x[:n], y[:n], Free(replays=2), threat, torch.Generator(), carry=carry)
        at = []
        for x_adv in OBJECTIVES["free"].examples(model, batch):
            at.append(x_adv.detach().clone())
            OBJECTIVES["free"].loss(model, batch, x_adv).loss.backward()
        return at

    first = through(4)
    assert torch.equal(first[0], x[:4]) and not torch.equal(first[1], x[:4])
    handed = carry.delta
    assert handed is not None
    torch.testing.assert_close(through(3)[0], (x[:3] + handed[:3]).clamp(0, 1))
    kept = carry.delta
    assert kept is not None and torch.equal(kept[3], handed[3])  # of the image that was not there
    begun = through(5)[0]
    torch.testing.assert_close(begun[:4], (x[:4] + kept).clamp(0, 1))
    assert torch.equal(begun[4], x[4])
    size = carry.delta.flatten(1).norm(dim=1) if norm == "l2" else carry.delta.abs()
    assert size.max() <= 0.1 + 1e-6


@pytest.mark.parametrize(
    ("count", "size", "replays"), [(14, 4, 2), (29, 4, 3), (65, 8, 8), (9, 4, 2)]
)
def test_a_pass_of_free_spans_as_many_epochs_as_replays(
    count: int, size: int, replays: int
) -> None:
    whole = len(batches_of(count, size, 0, 1))
    for number in range(2):
        parts = [
            batches_of(count, size, 0, number * replays + e + 1, replays) for e in range(replays)
        ]
        seen = torch.cat([rows for part in parts for rows in part])
        assert sorted(seen.tolist()) == list(range(count))
        assert all(whole // replays <= len(part) <= -(-whole // replays) for part in parts)
        assert sum(len(part) * replays for part in parts) == whole * replays
    one, other = (batches_of(count, size, 0, e, replays)[0] for e in (1, replays + 1))
    assert not torch.equal(one, other)  # each pass has its order


def test_free_takes_as_many_steps_as_pgd_and_tells_the_rate_of_the_last() -> None:
    both = {}
    for name in ("free", "pgd"):
        keys = {"name": name, **({"replays": 2} if name == "free" else {})}
        both[name] = trained(config_of(keys), 2, splits(), built())[1]
    assert [r.step for r in both["free"]] == [r.step for r in both["pgd"]] == [4, 8]
    assert [r.lr for r in both["free"]] == [r.lr for r in both["pgd"]]


def test_the_batch_that_broke_free_is_counted_in_batches() -> None:
    data = splits(32)
    data.train.images[batches_of(32, 4, 0, 1, 4)[1]] = float("nan")  # the second of two
    config, model = config_of({"name": "free", "replays": 4}), built()
    session = Session(config, data, model, build_optimizer(model, config.optimizer))
    record = train_epoch(session, Hooks())
    assert session.progress.bad_batch == 2 and not record.finite
