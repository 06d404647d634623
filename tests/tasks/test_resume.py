"""A run that was stopped goes on as if it never had been."""

from __future__ import annotations

import json
import shlex
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from advtrain import load_config, train
from advtrain.process.observer import Observer
from advtrain.records import EpochRecord
from tests.helpers import kills
from tests.helpers.command_line import Done, finish, start

NORMED = ["model='import:normed:Net'", "model.args.width=4"]


class Stop(Observer):
    """Ctrl-C after an epoch, or at a batch of the epoch after it."""

    def __init__(self, epoch: int, batch: int = 0) -> None:
        self.at, self.now, self.warnings = (epoch, batch), 0, list[str]()

    def started(self, run: Path, config: object, rows: list[list[str]]) -> None:
        self.now = len(rows)

    def batch(self, done: int, batches: int) -> None:
        if (self.now, done) == self.at:
            raise KeyboardInterrupt

    def epoch(self, record: EpochRecord) -> None:
        self.now = record.epoch
        if (self.now, 0) == self.at:
            raise KeyboardInterrupt

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def config(tiny: Path) -> Path:
    """The tiny config, with a module for `import:` beside it."""
    tiny.with_name("normed.py").write_text(kills.NORMED)
    return tiny


def contents(run: Path) -> dict[str, bytes]:
    """All files of a run that hold something."""
    return {file.name: file.read_bytes() for file in run.iterdir() if file.name != ".lock"}


def state(run: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((run / "status.json").read_text())
    return found


def stopped(config: Path, runs: Path, *keys: str, after: int = 2) -> Path:
    """The directory of a run that Ctrl-C ended after an epoch."""
    with pytest.raises(KeyboardInterrupt):
        train(load_config(config, keys), runs, device="cpu", observer=Stop(after))
    (run,) = runs.glob("tiny/*")
    return run


@pytest.mark.parametrize(
    "keys",
    [
        ["nesterov=true", "clip_norm=0.5"],
        [*NORMED, "optimizer=adam"],
        [*NORMED, "model_mode=train", "restarts=2"],
        ["objective=mixed", "optimizer=adamw", "schedule=cosine", "warmup=1.5"],
        ["objective=standard", "model=lstm", "model.args.hidden=16"],
        ["norm=l2", "eps=1", "start=zero"],
        ["schedule=cyclic", "eps_warmup=2.5"],
        ["augment=crop+flip", "model=small_cnn"],
        ["early_stopping=2", "lr=1e-9", "epochs=50"],
        ["val_size=0", "evaluation.every=3"],
    ],
    ids=lambda keys: " ".join(keys).replace(" ".join(NORMED), "norm+dropout"),
)
def test_a_run_stopped_twice_equals_one_never_stopped(
    config: Path, tmp_path: Path, keys: list[str]
) -> None:
    loaded = load_config(config, ["epochs=4", *keys])
    quiet = train(loaded, tmp_path / "quiet", device="cpu").dir
    for observer in (Stop(1), Stop(1, batch=3)):
        with pytest.raises(KeyboardInterrupt):
            train(loaded, tmp_path / "runs", device="cpu", observer=observer)
    resumed = train(loaded, tmp_path / "runs", device="cpu").dir
    assert state(resumed)["attempt"] == 3
    assert kills.differences(quiet, resumed) == []


def test_a_run_stopped_after_its_last_epoch_is_only_finished(config: Path, tmp_path: Path) -> None:
    keys = ["evaluation.eps=[0, 0.2]"]
    quiet = train(load_config(config, keys), tmp_path / "quiet", device="cpu").dir
    run = stopped(config, tmp_path / "runs", *keys, after=3)
    assert not (run / "curve_eps.csv").exists()
    saved = (run / "last.pt").read_bytes()
    train(load_config(config, keys), tmp_path / "runs", device="cpu")
    assert (run / "last.pt").read_bytes() == saved
    assert (run / "curve_eps.csv").read_bytes() == (quiet / "curve_eps.csv").read_bytes()
    assert state(run)["state"] == "finished"


@pytest.mark.parametrize("name", ["metrics.csv", "examples.npz", "best.pt", "last.pt"])
def test_stopped_while_a_file_is_written(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    quiet = train(load_config(config), tmp_path / "quiet", device="cpu").dir
    replace, times = Path.replace, []

    def interrupted(self: Path, target: Path) -> Path:
        times.append(target.name)
        if times.count(name) == 2 and target.name == name:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", interrupted)
        train(load_config(config), tmp_path / "runs", device="cpu")
    (run,) = tmp_path.glob("runs/tiny/*")
    assert not list(run.glob(".*.tmp")) and state(run)["state"] == "interrupted"
    train(load_config(config), tmp_path / "runs", device="cpu")
    assert kills.differences(quiet, run) == []


def test_killed_at_random_moments(tmp_path: Path) -> None:
    done, differences = kills.torment(tmp_path, "norm", count=3, seed=0)
    assert differences == []
    assert len(done) == 3 and "loading" not in {kill.hit for kill in done}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_saves_and_says_how_to_go_on(
    advtrain: Callable[..., Done], config: Path, tmp_path: Path, number: signal.Signals
) -> None:
    arguments = ["train", "tiny.yaml", "epochs=100000", "schedule={name: constant, warmup: 1}"]
    process = start(*arguments, cwd=tmp_path)
    rows: list[Path] = []
    while process.poll() is None and not rows:
        time.sleep(0.01)
        rows = list(tmp_path.glob("runs/tiny/*/metrics.csv"))
    process.send_signal(number)
    done = finish(process)
    assert done.code == 130, done.err
    assert "Traceback" not in done.err
    run = rows[0].parent
    assert state(run)["state"] == "interrupted"
    assert f"saved in {run.relative_to(tmp_path)}" in done.err
    *_, command = done.err.splitlines()
    assert shlex.split(command.removeprefix("to go on: ")) == ["advtrain", *arguments]
    epoch = state(run)["epoch"]
    assert f"go on after epoch {epoch} (interrupted)" in advtrain(*arguments, "--dry-run").out


def test_resume_never_auto_and_require(
    advtrain: Callable[..., Done], config: Path, tmp_path: Path
) -> None:
    assert "no such run" in advtrain("train", config, "--resume", "require").err
    assert not (tmp_path / "runs").exists()
    run = stopped(config, tmp_path / "runs")
    before = contents(run)
    refused: Done = advtrain("train", config, "--resume", "never")
    assert refused.code == 2 and "this run exists" in refused.err
    assert contents(run) == before
    assert advtrain("train", config, "--resume", "require").code == 0
    assert state(run)["state"] == "finished"
    (run / "status.json").write_text("{")  # what it is nobody can tell, that it is anybody
    before = contents(run)
    assert advtrain("train", config, "--resume", "never").code == 2
    assert contents(run) == before
    assert advtrain("train", config).code == 0
    assert state(run)["state"] == "finished"


def test_rows_beyond_the_checkpoint_are_made_again(config: Path, tmp_path: Path) -> None:
    quiet = train(load_config(config), tmp_path / "quiet", device="cpu").dir
    run = stopped(config, tmp_path / "runs")
    with (run / "metrics.csv").open("a") as file:
        file.write("3,made,up\n")
    train(load_config(config), tmp_path / "runs", device="cpu")
    assert kills.differences(quiet, run) == []


def test_another_thread_count_is_named(config: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    stopped(config, tmp_path / "runs")
    watch = Stop(99)
    try:
        torch.set_num_threads(threads + 1)
        train(load_config(config), tmp_path / "runs", device="cpu", observer=watch)
    finally:
        torch.set_num_threads(threads)
    (warning,) = watch.warnings
    assert f"threads was {threads}, is now {threads + 1}" in warning


FROM_A_FILE = """\
from pathlib import Path
import torch

def load(train):
    generator = torch.Generator().manual_seed(int(Path(__file__).with_suffix(".txt").read_text()))
    return torch.rand(60, 4, 4, generator=generator), torch.arange(60) % 3
"""


def test_other_images_are_refused(
    advtrain: Callable[..., Done], config: Path, tmp_path: Path
) -> None:
    (tmp_path / "from_a_file.py").write_text(FROM_A_FILE)
    images = tmp_path / "from_a_file.txt"
    images.write_text("1")
    keys = ["dataset='import:from_a_file:load'"]
    run = stopped(config, tmp_path / "runs", *keys)
    before = contents(run)
    images.write_text("2")
    done: Done = advtrain("train", config, *keys)
    assert done.code == 2 and "checksum" in done.err and len(done.err.splitlines()) == 1
    assert contents(run) == before
    images.write_text("1")
    assert advtrain("train", config, *keys).code == 0


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def text(file: Path) -> None:
    file.write_text("not what you think it is\n")


def broken_pickle(file: Path) -> None:
    file.write_bytes(b"\x80\x02}.")  # torch.load: IndexError, struct.error and others


def other_tensors(file: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, file)


def other_network(file: Path) -> None:
    content = torch.load(file, weights_only=True)
    content["model"] = {name + "x": value for name, value in content["model"].items()}
    torch.save(content, file)


def no_optimizer(file: Path) -> None:
    torch.save(torch.load(file, weights_only=True) | {"optimizer": torch.zeros(3)}, file)


def without_a_row(file: Path) -> None:
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:1] + lines[2:]))


def with_a_word(file: Path) -> None:
    file.write_text(file.read_text().replace("\n2,", "\n2,many"))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *(("last.pt", how) for how in (cut, empty, text, broken_pickle, other_tensors)),
        *(("last.pt", how) for how in (other_network, no_optimizer)),
        *(("metrics.csv", how) for how in (empty, text, without_a_row, with_a_word, Path.unlink)),
        *(("provenance.json", how) for how in (cut, empty)),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_damage_is_one_clear_line_and_nothing_is_lost(
    advtrain: Callable[..., Done],
    config: Path,
    tmp_path: Path,
    name: str,
    damage: Callable[[Path], None],
) -> None:
    run = stopped(config, tmp_path / "runs", after=3)
    sound = (run / name).read_bytes()
    damage(run / name)
    before = contents(run)
    done: Done = advtrain("train", config)
    assert done.code == 2, done.err
    assert name in done.err and len(done.err.splitlines()) == 1
    assert contents(run) == before
    (run / name).write_bytes(sound)
    assert advtrain("train", config).code == 0
