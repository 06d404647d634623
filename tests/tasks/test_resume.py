"""A run that was stopped goes on as if it never had been."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from advtrain import load_config, train
from tests.helpers import kills
from tests.helpers.command_line import Done
from tests.helpers.damage import (
    broken_pickle,
    cut,
    empty,
    no_optimizer,
    other_network,
    other_tensors,
    text,
    with_a_word,
    without_a_row,
)
from tests.helpers.run_files import contents, state
from tests.helpers.stopped_runs import NORMED, Stop, stopped, undisturbed


@pytest.mark.parametrize(
    "keys",
    [
        ["nesterov=true", "clip_norm=0.5"],
        [*NORMED, "optimizer=adam"],
        ["objective=mixed", "optimizer=adamw", "schedule=cosine", "warmup=1.5"],
        ["objective=standard", "model=lstm", "model.args.hidden=16"],
        ["norm=l2", "eps=1", "start=zero"],
        ["schedule=cyclic", "eps_warmup=2.5"],
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
    quiet = undisturbed(config, *keys)
    run = stopped(config, tmp_path / "runs", *keys, after=3)
    assert not (run / "curve_eps.csv").exists()
    saved = (run / "last.pt").read_bytes()
    train(load_config(config, keys), tmp_path / "runs", device="cpu")
    assert (run / "last.pt").read_bytes() == saved
    assert (run / "curve_eps.csv").read_bytes() == (quiet / "curve_eps.csv").read_bytes()
    assert state(run)["state"] == "finished"


@pytest.mark.parametrize("name", ["metrics.csv", "examples.npz", "best.pt", "last.pt"])
def test_a_run_stopped_while_a_file_is_written_equals_one_never_stopped(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    quiet = undisturbed(config)
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


def test_resume_never_refuses_a_run_and_require_refuses_to_begin_one(
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
    quiet = undisturbed(config)
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
    (line,) = done.complaints
    assert name in line
    assert contents(run) == before
    (run / name).write_bytes(sound)
    assert advtrain("train", config).code == 0
