"""`advtrain train RUN`: a run goes on where it lies, also as a copy under another name."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from advtrain import load_config, train
from tests.helpers import kills
from tests.helpers.command_line import Done
from tests.tasks.test_resume import Stop, contents, state, stopped

Advtrain = Callable[..., Done]


def copied(run: Path, name: str = "backup") -> Path:
    """The run's files in another folder, which no run's name fits."""
    target = run.parent.parent.parent / name
    shutil.copytree(run, target)
    shutil.rmtree(run.parent.parent)
    return target


def test_a_copied_run_goes_on_where_it_lies(advtrain: Advtrain, tiny: Path, tmp_path: Path) -> None:
    quiet = train(load_config(tiny), tmp_path / "quiet", device="cpu").dir
    copy = copied(stopped(tiny, tmp_path / "runs"))
    planned = advtrain("train", "backup", "--dry-run")
    assert "directory  backup\nwould      go on after epoch 2 (interrupted)" in planned.out
    done = advtrain("train", "backup", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["run_dir"] == "backup" and not Path("runs").exists()
    assert kills.differences(quiet, copy) == []
    assert "finished after 3 of 3 epochs" in advtrain("train", "backup").out
    assert state(copy)["attempt"] == 2, "a finished run is only shown"


def test_python_goes_on_with_a_run_in_place_as_well(tiny: Path, tmp_path: Path) -> None:
    copy = copied(stopped(tiny, tmp_path / "runs"))
    assert train(load_config(copy), device="cpu").dir == copy
    assert state(copy)["state"] == "finished"


def test_a_run_stopped_before_its_first_epoch_begins_in_place(
    advtrain: Advtrain, tiny: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(load_config(tiny), tmp_path / "runs", device="cpu", observer=Stop(0, batch=1))
    copy = copied(next(tmp_path.glob("runs/tiny/*")))
    assert not (copy / "last.pt").exists()
    assert advtrain("train", copy).code == 0 and state(copy)["epoch"] == 3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["lr=0.1", "epochs=5"],
         "argument 'lr=0.1 epochs=5': backup goes on with the config that it began with; for a run "
         "of its own, from the start: advtrain train backup/config.yaml lr=0.1 epochs=5; or from "
         "the last epoch of this one: the same with --from backup"),
        (["seed=1"], "advtrain train backup/config.yaml seed=1;"),
        (["name=other"], "advtrain train backup/config.yaml name=other;"),
        (["--runs-dir", "elsewhere"],
         "argument '--runs-dir elsewhere': backup goes on where it lies; to train its config "
         "there, from the start: advtrain train backup/config.yaml --runs-dir elsewhere"),
        (["--from", "backup"],
         "argument '--from backup': backup did not begin from it; for a run that does: advtrain "
         "train backup/config.yaml --from backup"),
        (["--resume", "never"], "backup: this run exists, and --resume never was asked for"),
    ],
)  # fmt: skip
def test_what_would_be_another_run_is_refused_with_what_to_type(
    advtrain: Advtrain, tiny: Path, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    copy = copied(stopped(tiny, tmp_path / "runs"))
    before = contents(copy)
    done = advtrain("train", "backup", *arguments)
    assert done.code == 2 and expected in done.err and done.err.count("\n") == 1
    assert contents(copy) == before and not Path("runs").exists()


def test_what_is_no_part_of_what_a_run_is_may_change_in_place(
    advtrain: Advtrain, tiny: Path, tmp_path: Path
) -> None:
    copy = copied(stopped(tiny, tmp_path / "runs"))
    assert advtrain("train", copy, "root=elsewhere", "slurm.cpus=2").code == 0
    assert state(copy)["state"] == "finished"


def test_a_config_changed_by_hand_is_refused_in_place(
    advtrain: Advtrain, tiny: Path, tmp_path: Path
) -> None:
    copy = copied(stopped(tiny, tmp_path / "runs"))
    text = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(text.replace("lr: 0.05", "lr: 0.06"))
    done = advtrain("train", "backup")
    assert done.code == 2 and done.err == (
        "backup/config.yaml: not the config that this run began with; to train it as it is now: "
        "advtrain train backup/config.yaml\n"
    )


def test_a_copy_without_weights_is_not_begun_anew(
    advtrain: Advtrain, tiny: Path, tmp_path: Path
) -> None:
    copy = copied(stopped(tiny, tmp_path / "runs"))
    (copy / "last.pt").unlink()
    before = contents(copy)
    done = advtrain("train", "backup")
    assert done.code == 2 and contents(copy) == before
    assert done.err.startswith("backup: last.pt is missing, though 2 epochs are done: restore ")


def test_a_folder_that_is_no_run_is_refused(advtrain: Advtrain, tiny: Path) -> None:
    Path("empty").mkdir()
    expected = (
        "argument 'empty': a folder without config.yaml; expected a YAML file or the directory"
    )
    assert expected in advtrain("train", "empty").err
    shutil.copy(tiny, "empty/config.yaml")
    done = advtrain("train", "empty")
    assert done.code == 2 and done.err == (
        "argument 'empty': no run began here; to train its config: advtrain train "
        "empty/config.yaml\n"
    )
    assert "argument 'empty': a folder; expected a YAML file, such as empty/config.yaml" in (
        advtrain("sweep", "empty", "lr=0.1,0.2").err
    )


def test_a_continuation_goes_on_in_place_without_its_parent(
    advtrain: Advtrain, tiny: Path, tmp_path: Path
) -> None:
    parent = train(load_config(tiny), tmp_path / "runs", device="cpu").dir
    keys = ["epochs=6", "schedule=constant"]
    quiet = train(load_config(tiny, keys), tmp_path / "quiet", device="cpu", from_run=parent).dir
    with pytest.raises(KeyboardInterrupt):
        train(load_config(tiny, keys), "c", device="cpu", from_run=parent, observer=Stop(5))
    (child,) = Path("c/tiny").iterdir()
    shutil.rmtree(parent)
    assert advtrain("train", child).code == 0
    assert kills.differences(quiet, child) == []


def test_a_continuation_that_has_not_begun_needs_its_parent_as_it_was(
    advtrain: Advtrain, tiny: Path, tmp_path: Path
) -> None:
    parent = stopped(tiny, tmp_path / "runs")
    loaded = load_config(tiny, ["epochs=6"])
    with pytest.raises(KeyboardInterrupt):
        train(loaded, "c", device="cpu", from_run=parent, observer=Stop(2, batch=1))
    (child,) = Path("c/tiny").iterdir()
    moved = tmp_path / "moved" / parent.name
    shutil.copytree(parent, moved)
    train(load_config(tiny), tmp_path / "runs", device="cpu")
    done = advtrain("train", child)
    assert done.code == 2 and done.err == (
        f"{child}: begins from epoch 2 of {parent}, which is at epoch 3 now; to begin from there: "
        f"advtrain train {child}/config.yaml --from {parent}\n"
    )
    assert "did not begin from it" in advtrain("train", child, "--from", parent).err
    done = advtrain("train", child, "--from", moved)
    assert done.code == 0 and state(child)["epoch"] == 6


def test_what_a_moved_run_suggests_is_about_where_it_lies_now(
    advtrain: Advtrain, tiny: Path, tmp_path: Path
) -> None:
    run = train(
        load_config(tiny, ["epochs=10", "schedule=constant", "eps=0.02", "lr=0.02"]), "runs"
    ).dir
    copied(tmp_path / run)
    shown = json.loads(advtrain("train", "backup", "--json").out)["verdict"]["suggestion"]
    judged = json.loads(advtrain("diagnose", "backup", "--json").out)["results"][0]["suggestion"]
    assert shown == judged and shown["command"].startswith("advtrain train backup/config.yaml ")
    assert shown["command"].endswith(" --from backup"), "a new run belongs into runs/"
    assert f"  {shown['command']}" in advtrain("train", "backup").out
    Path("backup/last.pt").unlink()
    (judged,) = json.loads(advtrain("diagnose", "backup", "--json").out)["results"]
    assert judged["suggestion"]["command"] is None
    assert "which takes its last.pt, and that is not here" in judged["suggestion"]["text"]


def test_nothing_is_begun_again_from_a_parent_that_has_gone_on(
    advtrain: Advtrain, tiny: Path, tmp_path: Path
) -> None:
    """`--from` would begin after more epochs than the run did that it is to mend."""
    parent = stopped(tiny, tmp_path / "runs")
    keys = ["epochs=11", "lr=100", "schedule=constant"]
    child = train(load_config(tiny, keys), "c", device="cpu", from_run=parent).dir

    def advice() -> dict[str, Any]:
        (result,) = json.loads(advtrain("diagnose", child, "--json").out)["results"]
        suggestion: dict[str, Any] = result["suggestion"]
        return suggestion

    assert advice()["command"].count(f"--from runs/tiny/{parent.name}") == 1
    train(load_config(tiny), tmp_path / "runs", device="cpu")
    assert advice()["command"] is None
    assert f"begin from {parent} again, which does not lie there as it was" in advice()["text"]


def test_the_config_of_a_run_says_how_to_go_on_and_how_to_repeat(
    advtrain: Advtrain, tiny: Path, tmp_path: Path
) -> None:
    run = stopped(tiny, Path("my runs"))
    first, second, *_ = (run / "config.yaml").read_text().splitlines()
    _, *words = shlex.split(first.removeprefix("# Made by advtrain. Go on with: "))
    assert words == ["train", str(run)] and advtrain(*words).code == 0
    assert state(run)["state"] == "finished"
    _, *words = shlex.split(second.removeprefix("# Repeat elsewhere with: "))
    again = Path(json.loads(advtrain(*words, "--json").out)["run_dir"])
    assert again == Path("again/tiny") / run.name and kills.differences(run, again) == []
