"""A mistake is located where it was made: in the file, in one of its bases, or in an argument."""

from __future__ import annotations

from pathlib import Path

import pytest

from advtrain.config.load import load_config
from advtrain.errors import ConfigError

FILE = """\
model: {name: small_cnn}
dataset: {name: digits}
attack:
  eps: 0.1
optimizer:
  lr: 0.1
  name: sgd
"""


def problems(folder: Path, text: str, *arguments: str, base: str = "") -> list[str]:
    """The lines said about a config, its folder left out."""
    (folder / "c.yaml").write_text(text)
    (folder / "b.yaml").write_text(base)
    with pytest.raises(ConfigError) as caught:
        load_config(folder / "c.yaml", arguments)
    return [problem.removeprefix(f"{folder}/") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "argument", "place"),
    [
        (FILE, "optimizer.name=sgdd", "optimizer.name: expected one of sgd, adam, adamw"),
        (FILE, "optimizer={name: sgdd}", "optimizer.name: expected one of"),
        (FILE, "optimizer.name=", "optimizer.name: expected one of sgd, adam, adamw, got nothing"),
        (FILE, "optimizer.name.x=1", "optimizer.name: expected one of sgd, adam, adamw, got a map"),
        (FILE, "objective.name=tradez", "objective.name: expected one of"),
        (FILE, "schedule.name=cosin", "schedule.name: expected one of"),
        (FILE, "dataset.name=digit", "dataset.name: 'digit' is not known"),
        (FILE, "attack={epz: 1}", "attack.epz: unknown key"),
    ],
)
def test_a_name_in_an_argument_is_located_there(
    tmp_path: Path, text: str, argument: str, place: str
) -> None:
    (found,) = problems(tmp_path, text, argument)
    assert found.startswith(f"argument '{argument}': {place}")


def test_a_name_in_the_file_is_located_at_its_own_line(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, FILE.replace("sgd", "sgdd"))
    assert found.startswith("c.yaml:7:3: optimizer.name: expected one of")


CONTRADICTIONS = [
    (FILE + "training: {early_stopping: 3}\n", "val_size=0", "training.early_stopping: needs"),
    (FILE + "schedule: {warmup: 5}\n", "epochs=3", "schedule.warmup: expected at most"),
    (FILE + "schedule: {warmup: 5}\n", "training={epochs: 3}", "schedule.warmup: expected at most"),
    (FILE + "schedule: {warmup: 5}\n", "horizon=3", "schedule.warmup: expected at most"),
    (FILE + "evaluation: {steps: 15}\n", "steps=16", "evaluation.steps: evaluation.steps (15)"),
    (FILE + "objective: {gradalign: 0.2}\n", "compile=true", "objective.gradalign: needs"),
    (FILE + "evaluation: {eps: [2]}\n", "norm=linf", "evaluation.eps.0: expected at most 1"),
    (FILE + "  nesterov: true\n", "momentum=0", "optimizer.nesterov: Nesterov's"),
    (FILE.replace("eps: 0.1", "alpha: eps-0.05"), "eps=0.04", "attack.alpha: expected a step size"),
    (FILE.replace("eps: 0.1", "eps: 2\n  norm: l2"), "norm=linf", "attack.eps: inputs are in"),
]


@pytest.mark.parametrize(("text", "argument", "says"), CONTRADICTIONS)
def test_of_keys_that_contradict_each_other_the_one_set_last_is_shown(
    tmp_path: Path, text: str, argument: str, says: str
) -> None:
    (found,) = problems(tmp_path, text, argument)
    assert found.startswith(f"argument '{argument}': {says}")


def test_a_file_is_set_after_its_base(tmp_path: Path) -> None:
    text, base = "base: b.yaml\ntraining: {epochs: 3}\n", FILE + "schedule: {warmup: 5}\n"
    (found,) = problems(tmp_path, text, base=base)
    assert found.startswith("c.yaml:2:12: schedule.warmup: expected at most")
    (found,) = problems(tmp_path, "base: b.yaml\n", base=base + "training: {epochs: 3}\n")
    assert found.startswith("b.yaml:8:12: schedule.warmup: expected at most")


def test_a_key_that_nobody_set_is_not_blamed(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, FILE + "schedule: {warmup: 70}\n")
    assert found.startswith("c.yaml:8:12: schedule.warmup: expected at most the schedule's 60")


def test_a_section_that_is_none_is_said_to_be_though_an_argument_sets_a_key(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, FILE.replace("attack:\n  eps: 0.1", "attack: [1]"), "eps=0.2")
    assert found == "c.yaml:3:1: attack: expected a mapping, got a list"


@pytest.mark.parametrize("name", ["import:nowhere:f", "import:no.where:f", "digit"])
def test_a_dataset_that_is_not_found_is_one_mistake(tmp_path: Path, name: str) -> None:
    text = FILE.replace("{name: digits}", f"{{name: '{name}', args: {{a: 1}}, image_size: 8}}")
    (found,) = problems(tmp_path, text)
    assert found.startswith("c.yaml:2:11: dataset.name: ")


def test_a_sweeps_value_is_located_in_its_argument(advtrain, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(FILE + "schedule: {warmup: 5}\n")
    for argument, cell, says in [
        ("optimizer.name=sgdd,adam", "optimizer.name=sgdd", "optimizer.name: expected one of"),
        ("epochs=3,60", "training.epochs=3", "schedule.warmup: expected at most the schedule's 3"),
    ]:
        done = advtrain("sweep", "c.yaml", argument, "--dry-run")
        assert done.code == 2 and done.err.startswith(f"argument '{argument}': {says}"), done.err
        assert done.err.rstrip().endswith(f"(in {cell})") and done.err.count("\n") == 1


MODULE = """\
from torch import nn
def load(train, file="x"):
    raise RuntimeError("no data")
class Net(nn.Sequential):
    def __init__(self, in_shape, num_classes, width=8):
        super().__init__(nn.Flatten(), nn.Linear(64, num_classes))
"""


def test_an_argument_that_ones_own_code_does_not_take_is_located(advtrain, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "c.yaml").write_text(FILE + "training: {epochs: 1}\n")
    for arguments, says in [
        (["model=import:mine:Net", "model.args.widht=8"], "argument 'model.args.widht=8': model"),
        (["dataset=import:mine:load", "dataset.args.fil=8"], "argument 'dataset.args.fil=8': data"),
        (["dataset=import:mine:load"], "argument 'dataset=import:mine:load': dataset.name: "),
    ]:
        done = advtrain("train", "c.yaml", *arguments)
        assert done.code == 2 and done.err.startswith(says) and done.err.count("\n") == 1, done.err


def test_images_too_few_to_hold_some_out_are_located_where_they_became_few(
    advtrain, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text(FILE.replace("digits}", "digits, val_size: 0.1}"))
    done = advtrain("train", "c.yaml", "train_size=3")
    assert done.err.startswith("argument 'train_size=3': dataset.val_size: 0.1 of 3 images is 0")
