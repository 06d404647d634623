"""A run that was stopped within an epoch goes on from there, as if it never had been."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from advtrain import load_config, train
from advtrain.learning.data import splits
from advtrain.learning.data.decoding import Decoder
from advtrain.learning.measuring.tally import Descent, Tally
from advtrain.learning.order import batches_of
from advtrain.process.observer import Observer
from advtrain.records import EpochRecord
from advtrain.store.writer import RunDirectory
from advtrain.tasks import mid_epoch
from tests.helpers import kills
from tests.helpers.picture_folder import folder_of_images
from tests.helpers.run_files import state
from tests.helpers.stopped_runs import BATCHES, NORMED, Watch, stopped_at, undisturbed

PLACES = [(0, 6), (1, 3), (2, 1), (2, 6)]  # epochs and batches done


@pytest.mark.parametrize(
    "keys",
    [
        ["augment=crop+flip", "nesterov=true"],
        [*NORMED, "optimizer=adam", "ema=0.9"],
        [*NORMED, "model_mode=train", "restarts=2", "schedule=cyclic"],
        ["objective=standard", "optimizer=adamw", "val_size=0.05"],
        ["objective=mixed", "eps_points=[[0.2, 0], [0.7, 1.5]]"],
        [*NORMED, "objective=trades", "ema=0.9"],
        [*NORMED, "objective=mart"],
        ["objective={name: fgsm, start: noise, gradalign: 0.2}", "alpha_points=[[0, 0.5], [1, 2]]"],
        [*NORMED, "objective={name: pgd, awp: 0.02, awp_warmup: 1.5}"],
        ["augment=crop+flip", "model=small_cnn", "norm=l2", "eps=1"],
    ],
    ids=lambda keys: " ".join(keys).replace(" ".join(NORMED), "norm+dropout"),
)
def test_a_run_stopped_four_times_equals_one_never_stopped(
    config: Path, tmp_path: Path, keys: list[str]
) -> None:
    loaded = load_config(config, keys)
    quiet = train(loaded, tmp_path / "quiet", device="cpu").dir
    watches = [*(Watch(*place) for place in PLACES), Watch()]
    for (epoch, batch), watch in zip(PLACES, watches, strict=False):
        where = f"in epoch {epoch + 1} after batch {batch} of {BATCHES}, saved in "
        with pytest.raises(KeyboardInterrupt, match=where):
            train(loaded, tmp_path / "runs", device="cpu", observer=watch)
        (run,) = tmp_path.glob("runs/tiny/*")
        assert (state(run)["state"], state(run)["epoch"]) == ("interrupted", epoch)
        assert (run / "part.pt").exists() and (run / "last.pt").exists() == (epoch > 0)
    saved = kills.load(run / "part.pt")["position"]["seconds"]
    train(loaded, tmp_path / "runs", device="cpu", observer=watches[-1])
    assert kills.differences(quiet, run) == []
    assert [watch.trained for watch in watches] == [6, 3, 4, 5, 0]
    assert not any(watch.warnings for watch in watches)
    last = kills.table(run)[-1]
    images = json.loads((run / "provenance.json").read_text())["labels"]["train_images"]
    assert float(last["seconds"]) > images / float(last["images_per_second"]) >= saved > 0


@pytest.mark.parametrize(
    "keys",
    [["objective={name: free, replays: 2}"],
     ["objective={name: free, replays: 2, awp: 0.01}", "ema=0.9", "norm=l2", *NORMED]],
)  # fmt: skip
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_the_perturbation_of_free_is_handed_on(
    config: Path, tmp_path: Path, keys: list[str], batch: int
) -> None:
    loaded = load_config(config, keys)
    quiet = undisturbed(config, *keys)
    for epoch in range(3):  # of three batches each
        run = stopped_at(config, tmp_path / "runs", epoch, batch, *keys)
        assert kills.load(run / "part.pt")["position"]["delta"].abs().sum() > 0
    train(loaded, tmp_path / "runs", device="cpu")
    assert kills.differences(quiet, run) == []


def test_a_streamed_folder_does_not_decode_what_is_done(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "RESIDENT_BYTES", 0)
    folder_of_images(tmp_path / "pictures", "RGB")
    keys = [f"dataset={{name: image_folder, root: '{tmp_path / 'pictures'}', augment: crop+flip}}",
            "batch_size=7", "epochs=2"]  # fmt: skip
    loaded, decoded = load_config(tiny, keys), list[Path]()
    quiet = train(loaded, tmp_path / "quiet", device="cpu").dir
    run = stopped_at(tiny, tmp_path / "runs", 1, 2, *keys)
    decode = Decoder.__call__

    def noted(decoder: Decoder, file: Path) -> torch.Tensor:
        decoded.append(file)
        return decode(decoder, file)

    class Trained(Observer):
        def started(self, *_: object) -> None:
            decoded.clear()  # the mean and sd of all images

        def batch(self, done: int, batches: int) -> None:
            if done == batches:
                self.files = list(decoded)

    watch = Trained()
    monkeypatch.setattr(Decoder, "__call__", noted)
    train(loaded, tmp_path / "runs", device="cpu", observer=watch)
    images = splits.load_data(loaded.dataset, torch.device("cpu")).train
    left = torch.cat([*batches_of(len(images), 7, 0, 2)[2:]])
    assert 0 < len(left) < len(images)
    assert sorted(watch.files) == sorted(images.files[i] for i in left)
    assert kills.differences(quiet, run) == []


class Clock(Observer):
    """Each batch takes a while; at which of them part.pt is written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, takes: float) -> None:
        self.now, self.takes, self.at, self.done = 0.0, takes, list[tuple[int, int]](), (0, 0)
        monkeypatch.setattr(mid_epoch, "time", SimpleNamespace(monotonic=lambda: self.now))
        write = RunDirectory.write

        def noted(directory: RunDirectory, name: str, content: bytes) -> None:
            if name == "part.pt":
                self.at.append(self.done)
            write(directory, name, content)

        monkeypatch.setattr(RunDirectory, "write", noted)

    def batch(self, done: int, batches: int) -> None:
        self.done, self.now = (self.done[0], done), self.now + self.takes

    def epoch(self, record: EpochRecord) -> None:
        self.done = (record.epoch, 0)


@pytest.mark.parametrize(
    ("takes", "batches"),
    [(99, []), (125, [5, 6]), (300, [2, 4, 6]), (700, [1, 2, 3, 4, 5, 6])],
)
def test_a_long_epoch_is_saved_every_ten_minutes_and_at_its_end(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes: float, batches: list[int]
) -> None:
    clock = Clock(monkeypatch, takes)
    run = train(load_config(tiny), tmp_path / "runs", device="cpu", observer=clock).dir
    assert clock.at == [(epoch, batch) for epoch in range(3) for batch in batches]
    assert not (run / "part.pt").exists()


@pytest.mark.parametrize("keys", [[], ["optimizer=adam"]])
def test_a_child_stopped_in_its_first_epoch_goes_on_from_there(
    config: Path, tmp_path: Path, keys: list[str]
) -> None:
    parent = train(load_config(config, ["epochs=2"]), tmp_path / "runs", device="cpu").dir
    loaded = load_config(config, ["epochs=4", *keys])
    quiet = train(loaded, tmp_path / "quiet", device="cpu", from_run=parent).dir
    watches = Watch(2, 2), Watch(2, 5), Watch()
    for watch in watches[:2]:
        with pytest.raises(KeyboardInterrupt):
            train(loaded, tmp_path / "child", device="cpu", from_run=parent, observer=watch)
    child = train(loaded, tmp_path / "child", device="cpu", from_run=parent, observer=watches[2])
    assert [watch.trained for watch in watches] == [2, 3, 7]
    assert kills.differences(quiet, child.dir) == []


def test_a_resumed_run_ends_at_a_batch_that_is_not_finite(config: Path, tmp_path: Path) -> None:
    keys = ["lr=1e30", "momentum=0"]  # the first step ruins the second batch
    quiet = train(load_config(config, keys), tmp_path / "quiet", device="cpu")
    assert (quiet.status.stopped, quiet.status.bad_batch) == ("nonfinite", 2)
    run = stopped_at(config, tmp_path / "runs", 0, 1, *keys)
    again = train(load_config(config, keys), tmp_path / "runs", device="cpu")
    assert again.status.bad_batch == 2 and not (run / "part.pt").exists()
    assert kills.differences(quiet.dir, run) == []


def test_sums_go_on_from_their_state() -> None:
    draw = torch.Generator().manual_seed(0)
    one, other = Tally(torch.device("cpu")), None
    records = [EpochRecord(1, 1), EpochRecord(1, 1)]
    for number in range(6):
        logits, y = torch.randn(5, 3, generator=draw), torch.arange(5) % 3
        loss = torch.tensor(float("nan") if number == 4 else 1.0)
        descent = Descent(loss, logits if number < 3 else None, logits.norm())
        one.add(descent, y)
        if other is not None:
            other.add(descent, y)
        if number == 2:
            other = Tally(torch.device("cpu"), state=json.loads(json.dumps(one.state())))
    assert other is not None
    one.into(records[0], 2.0)
    other.into(records[1], 2.0)
    assert records[0] == records[1] and records[0].train_robust_acc is not None
    assert one.first_bad(final=True) == other.first_bad(final=True) == 5
