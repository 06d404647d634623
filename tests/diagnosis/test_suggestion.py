"""What is suggested for what, word for word; that it works: test_suggestion_works.py."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advtrain import load_config, train
from advtrain.config.checks import cautions
from advtrain.config.identity import to_yaml
from advtrain.diagnosis.remedies import REMEDIES
from advtrain.diagnosis.segments import phases
from advtrain.diagnosis.suggestion import suggest
from advtrain.diagnosis.table import Table
from tests.helpers.command_line import Done
from tests.helpers.stopped_runs import Stop
from tests.helpers.suggested import PARENT, Made, axes, config_of, follow

DROPS = "schedule={name: piecewise, milestones: [%s], gamma: 0.1, %s, horizon: null}"
AT_ONCE = "warmup: 0, eps_warmup: 0"
HALVES = DROPS % ("0.5, 0.75", AT_ONCE)
FGSM = {"steps": 1, "alpha": "eps", "start": "zero"}
CONSTANT = {"schedule": "constant"}
FROM = ["--from", "runs/t/x"]


@pytest.mark.parametrize(
    ("cause", "sections", "expected"),
    [
        ("nonfinite", {}, ["lr=0.005", "clip_norm=1"]),
        ("diverged", {"optimizer": {"lr": 0.2}, "schedule": {"name": "constant", "warmup": 60}},
         ["lr=0.02", "clip_norm=1", HALVES]),
        ("diverged", {"schedule": {"name": "cyclic", "warmup": 40}},
         ["lr=0.005", "clip_norm=1", "warmup=0"]),
        ("collapsed", {"optimizer": {"lr": 3}}, ["lr=0.05", "clip_norm=1"]),
        ("stuck", {}, ["eps_warmup=30"]),
        ("stuck", CONSTANT, [DROPS % ("0.5, 0.75", "warmup: 0, eps_warmup: 30")]),
        ("stuck", {"optimizer": {"lr": 0.5}}, ["lr=0.05"]),
        ("stuck", {"schedule": {"name": "cosine", "horizon": 40}},
         ["eps_warmup=30", "horizon=null"]),
        ("stuck", {"schedule": {"milestones": [50], "horizon": 20}},
         [DROPS % ("0.5, 0.75", "warmup: 0, eps_warmup: 30")]),
        ("stuck", {"schedule": {"name": "constant", "eps_warmup": 80, "horizon": 90}},
         [DROPS % ("0.5, 0.75", "warmup: 0, eps_warmup: 160"), "epochs=320"]),
        ("at_chance", {"optimizer": {"lr": 0.005}}, ["eps_warmup=30", "lr=0.05"]),
        ("at_chance", {"schedule": {"eps_warmup": 30}}, ["eps_warmup=60", "epochs=120"]),
        ("rising", {}, ["lr=0.017"]),
        ("oscillating", CONSTANT, [HALVES]),
        ("catastrophic_overfitting", {"attack": FGSM, **CONSTANT},
         ["steps=10", "start=uniform", "alpha=2.5*eps/steps", HALVES]),
        ("catastrophic_overfitting", {"objective": "fgsm", **CONSTANT}, ["objective=pgd", HALVES]),
        ("broken", {"objective": "free"}, ["objective=pgd"]),
        ("broken", {"objective": "fgsm", "attack": {"steps": 1}},
         ["objective=pgd", "steps=10"]),
        ("broken", {"attack": FGSM}, ["steps=10", "start=uniform", "alpha=2.5*eps/steps"]),
        ("broken", {"attack": FGSM, "optimizer": {"lr": 0.3}},
         ["lr=0.05", "steps=10", "start=uniform", "alpha=2.5*eps/steps"]),
        ("broken", {"optimizer": {"name": "adam", "lr": 0.03}}, ["lr=0.001"]),
        ("broken", {"optimizer": {"lr": 0.1}}, ["lr=0.01"]),
        ("weak", {"attack": {"steps": 15}}, ["steps=30", "evaluation.steps=60"]),
        ("too_short", {"training": {"epochs": 5}}, ["epochs=40"]),
        ("too_short", {"schedule": {"milestones": [30, 58]}}, ["epochs=80", *FROM]),
        ("too_short", {"schedule": {"milestones": [58, 75]}}, ["epochs=95", *FROM]),
        ("too_short", {"schedule": {"eps_warmup": 58}}, ["epochs=120"]),
        ("too_short", {"schedule": {"name": "constant", "eps_warmup": 100, "horizon": 150}},
         ["epochs=120", *FROM]),
        ("too_short", {"schedule": {"name": "cosine", "eps_warmup": 58, "horizon": 90}},
         ["epochs=90", *FROM]),
        ("descending", CONSTANT, ["epochs=120", DROPS % ("90, 105", AT_ONCE), *FROM]),
        ("improving", {"schedule": "cosine"}, ["epochs=120"]),
        ("improving", {"schedule": {"milestones": [30, 45]}},
         ["epochs=120", "milestones=[60, 90]"]),
        ("improving", {"schedule": {"horizon": 50}}, ["epochs=120", "horizon=100"]),
        ("train_unresolved", {"schedule": {"milestones": [0.5]}},
         ["lr=0.005", "epochs=120", DROPS % ("90, 105", AT_ONCE), *FROM]),
        ("unresolved", {"schedule": {"name": "cosine", "horizon": 90}}, ["epochs=90", *FROM]),
        ("departs", CONSTANT, ["epochs=120", DROPS % ("90, 105", AT_ONCE), *FROM]),
        ("lr_moves", {"schedule": {"name": "cosine", "horizon": 90}}, ["epochs=90", *FROM]),
        ("worsening", {}, ["weight_decay=0.005"]),
        ("robust_overfitting", {"schedule": {"eps_warmup": 10}},
         [DROPS % ("25, 35", "warmup: 0, eps_warmup: 10"), "epochs=45"]),
        ("level_unresolved", {}, ["evaluation.size=4400"]),
    ],
)  # fmt: skip
def test_the_suggested_words_are_those_one_types(
    cause: str, sections: dict[str, Any], expected: list[str]
) -> None:
    config = config_of(**sections)
    found = Made(config, config.training.epochs, best=25, needed=4321).suggested(cause)
    assert found is not None
    assert shlex.split(str(found.command))[2:] == ["runs/t/x/config.yaml", *expected]
    assert list(found.overrides) == [word for word in expected if word not in FROM]


def test_where_no_strong_attack_was_ever_withstood_eps_rises_as_well() -> None:
    """From scratch, several steps at full eps lead to the plateau at chance."""
    fgsm = config_of(attack={"eps": 0.3, **FGSM})
    (never, once) = (Made(fgsm, 60, accuracy=a).suggested("broken") for a in (0.1, 0.2))
    assert never is not None and never.overrides[-1] == "eps_warmup=30"
    assert once is not None and never.overrides[:-1] == once.overrides
    rises = config_of(attack={"eps": 0.3, **FGSM}, schedule={"eps_warmup": 20})
    found = Made(rises, 60, accuracy=0.1).suggested("broken")
    assert found is not None and found.overrides == once.overrides, "it rises already"


def test_nothing_of_the_old_schedule_survives_in_a_suggested_one(tmp_path: Path) -> None:
    old = {"name": "piecewise", "milestones": [0.2], "gamma": 0.7, "warmup": 4.5, "horizon": 50}
    made = Made(config_of(schedule=old), 60, best=41)
    found = made.suggested("robust_overfitting")
    assert found is not None
    now = follow(made, str(found.command), tmp_path).config.schedule
    assert now.model_dump() == {
        "name": "piecewise", "milestones": [41, 51], "gamma": 0.1, "warmup": 4.5,
        "eps_warmup": 0, "eps_points": [], "alpha_points": [], "horizon": None,
    }  # fmt: skip


def test_a_best_epoch_before_the_warm_up_is_over_drops_lr_right_after_it() -> None:
    made = Made(config_of(schedule={"name": "constant", "warmup": 12.5}), 60, best=7)
    found = made.suggested("robust_overfitting")
    assert found is not None
    assert found.overrides == (DROPS % ("13, 23", "warmup: 12.5, eps_warmup: 0"), "epochs=33")
    assert found.text == (
        "let the learning rate drop tenfold after epochs 13 and 23, because epoch 7 was the best; "
        "train 33 epochs instead of 60, to stop before the decline; "
        "or use best.pt, which has the weights best on validation"
    )


def test_without_validation_images_there_is_no_best_checkpoint_to_name() -> None:
    made = Made(config_of(dataset={"name": "digits", "val_size": 0}), 60, best=25)
    found = made.suggested("robust_overfitting")
    assert found is not None and "best.pt" not in found.text


def test_a_run_that_stopped_early_is_given_more_epochs_than_it_was_to_have() -> None:
    patient = {"epochs": 200, "early_stopping": 5}
    constant = Made(config_of(schedule="constant", training=patient), 20)
    found = constant.suggested("train_unresolved")
    assert found is not None and found.overrides == (
        "epochs=220", DROPS % ("120, 170", AT_ONCE), "early_stopping=null"
    )  # fmt: skip
    short = Made(config_of(training=patient), 7).suggested("too_short")
    assert short is not None and short.overrides == ("epochs=220", "early_stopping=null")
    spent = Made(config_of(training=patient), 160).suggested("improving")
    assert spent is not None and spent.overrides == ("epochs=400", "early_stopping=null")
    late = Made(config_of(training=patient), 152).suggested("too_short")
    assert late is not None and late.overrides == ("epochs=220", "early_stopping=null")


def test_more_epochs_of_a_run_whose_lr_still_rose_let_it_rise_first() -> None:
    config = config_of(
        schedule={"name": "constant", "warmup": 50}, training={"epochs": 60, "early_stopping": 3}
    )
    found = Made(config, 20).suggested("descending")
    assert found is not None and found.overrides == (
        "epochs=90", DROPS % ("70, 80", "warmup: 50, eps_warmup: 0"), "early_stopping=null"
    )  # fmt: skip


def test_a_smooth_schedule_that_stopped_early_runs_to_its_end() -> None:
    patient = {"epochs": 60, "early_stopping": 5}
    made = Made(config_of(schedule="cosine", training=patient), 35)
    for cause in ("lr_moves", "improving"):
        found = made.suggested(cause)
        assert found is not None and found.overrides == ("early_stopping=null",)
        assert found.text == (
            "go on from its last epoch; turn early stopping off, so that the learning rate's "
            "schedule runs to its end"
        )
        assert shlex.split(str(found.command))[-2:] == ["--from", "runs/t/x"]
    waiting = replace(made, state="running").suggested("lr_moves")
    assert waiting is None


@pytest.mark.parametrize(("limit", "clips"), [(None, True), (5, True), (1, False), (0.1, False)])
def test_a_tighter_clip_is_left(limit: float | None, clips: bool) -> None:
    found = Made(config_of(optimizer={"lr": 0.1, "clip_norm": limit}), 60).suggested("diverged")
    assert found is not None and ("clip_norm=1" in found.overrides) == clips
    assert ("clip the gradient" in found.text) == clips and "lr=0.01" in found.overrides


@pytest.mark.parametrize("sections", [{"objective": "standard"}, {"attack": {"eps": 0}}])
def test_where_no_attack_makes_the_plateau_the_learning_rate_does(sections: dict[str, Any]) -> None:
    for lr, expected in ((0.05, 0.005), (1, 0.1), (0.001, 0.01)):
        found = Made(config_of(optimizer={"lr": lr}, **sections), 60).suggested("stuck")
        assert found is not None and found.overrides == (f"lr={expected}",)


@pytest.mark.parametrize(
    ("optimizer", "decay", "expected"),
    [("sgd", 0, "0.005"), ("sgd", 5e-3, "0.01"), ("adam", 0, "0.005"), ("adamw", 0, "0.1"),
     ("adamw", 0.01, "0.1"), ("adamw", 0.2, "0.5")],
)  # fmt: skip
def test_decay_is_raised_as_the_optimizer_takes_it(
    optimizer: str, decay: float, expected: str
) -> None:
    config = config_of(optimizer={"name": optimizer, "weight_decay": decay})
    found = Made(config, 60).suggested("worsening")
    assert found is not None and found.overrides == (f"weight_decay={expected}",)


def test_beyond_the_most_decay_images_are_what_is_missing() -> None:
    strong = {"optimizer": {"weight_decay": 0.01}}
    natural = Made(config_of(dataset="cifar10", **strong), 60).suggested("worsening")
    assert natural is not None and natural.overrides == ("augment=crop+flip",)
    for dataset in ("digits", {"name": "cifar10", "augment": "crop+flip"}):
        found = Made(config_of(dataset=dataset, **strong), 60).suggested("worsening")
        assert found is not None and (found.overrides, found.command) == ((), None)
        assert found.text.startswith("train on more images, or a smaller network")


@pytest.mark.parametrize(
    ("needed", "there", "expected"),
    [(4321, 10_000, "4400"), (4321, None, "4400"), (9_990, 9_995, "10000"), (10_001, 10_000, None),
     (500, 360, None), (1_000_001, None, None), (999_999, None, "1000000"), (900, 10_000, None)],
)  # fmt: skip
def test_no_more_images_are_asked_for_than_there_are(
    needed: int, there: int | None, expected: str | None
) -> None:
    found = Made(config_of(), 60, needed=needed, test_images=there).suggested("level_unresolved")
    assert found is not None and "more seeds" in found.text
    assert found.overrides == ((f"evaluation.size={expected}",) if expected else ())


def test_a_continuation_keeps_its_parent_and_its_own_schedule() -> None:
    made = Made(config_of(schedule={"name": "cosine", "horizon": 80}, training={"epochs": 80}),
                80, carried=60)  # fmt: skip
    found = made.suggested("diverged")
    assert found is not None and found.overrides == ("horizon=80", "lr=0.005", "clip_norm=1")
    assert found.text.startswith("begin from the same parent again; keep the schedule, which")
    assert shlex.split(str(found.command))[3:] == [*found.overrides, "--from", PARENT]
    constant = Made(config_of(schedule="constant", training={"epochs": 80}), 80, carried=60)
    found = constant.suggested("oscillating")
    assert found is not None, "lr drops within the epochs that are its own"
    assert found.overrides == (DROPS % ("80, 90", AT_ONCE), "epochs=100")
    found = replace(constant, best=30).suggested("robust_overfitting")
    assert found is not None, "it cannot drop before this run began"
    assert found.overrides == (DROPS % ("60, 70", AT_ONCE),)


def test_a_continuation_whose_lr_is_spent_begins_with_more_of_it() -> None:
    cosine = {"name": "cosine", "horizon": 30}
    made = Made(config_of(schedule=cosine, training={"epochs": 80}), 80, carried=60)
    found = made.suggested("improving")
    assert found is not None and found.overrides == ("epochs=160", "horizon=null")
    assert shlex.split(str(found.command))[3:] == [*found.overrides, "--from", PARENT]
    assert found.text == (
        "begin from the same parent again; train 160 epochs instead of 80, because the learning "
        "rate is spent; let the schedule span all epochs, so that it ends with the run"
    )
    low = config_of(schedule="constant", optimizer={"lr": 5e-4}, training={"epochs": 80})
    found = Made(low, 80, carried=60, parent=config_of()).suggested("improving")
    assert found is not None
    assert found.overrides == ("lr=0.05", DROPS % ("110, 135", AT_ONCE), "epochs=160")


def test_a_stuck_continuation_starts_afresh() -> None:
    """Halfway through, eps can no longer rise from 0."""
    found = Made(config_of(training={"epochs": 80}), 80, carried=60).suggested("stuck")
    assert found is not None and found.overrides == ("eps_warmup=40",)
    assert found.text.startswith("start afresh, without its parent, because")
    assert found.command == "advtrain train runs/t/x/config.yaml eps_warmup=40"


@pytest.mark.parametrize("state", ["interrupted", "failed", "stale"])
def test_a_run_that_stopped_under_way_goes_on(state: str) -> None:
    made = Made(config_of(training={"epochs": 80}), 70, carried=60, state=state)
    for cause in ("too_short", "descending", "departs", "drop_pending", "lr_moves"):
        found = made.suggested(cause)
        assert found is not None and (found.text, found.overrides) == ("go on where it stopped", ())
        assert found.command == "advtrain train runs/t/x", "its parent is not needed"
    diverged = made.suggested("diverged")
    assert diverged is not None and "lr=0.005" in diverged.overrides
    for waiting in ("running", "queued"):
        assert replace(made, state=waiting).suggested("too_short") is None


@pytest.mark.parametrize("epochs", [[0], [0, 1, 2], range(9), range(60), range(-3, 5), [5, 10, 15],
                                    range(300, 350)])  # fmt: skip
@pytest.mark.parametrize("lr", [None, 0.1, "drops", "smooth", 0.0])
def test_advice_on_curves_of_others_is_sensible(epochs: list[int], lr: Any, tmp_path: Path) -> None:
    epoch, n = np.array(epochs), len(epochs)
    columns = {"train_robust_loss": np.ones(n)}
    if lr == "drops":
        columns["lr"] = np.where(np.arange(n) < n / 2, 0.1, 0.02)
    elif lr is not None:
        columns["lr"] = np.linspace(0.1, 0.02, n) if lr == "smooth" else np.full(n, lr)
    table = Table(epoch, columns)
    done = int(epoch[-1]) + max(0, 1 - int(epoch[0]))
    file = tmp_path / "theirs.yaml"
    file.write_text(to_yaml(config_of(schedule="constant", training={"epochs": done})))
    for cause in REMEDIES:
        for best in (int(epoch[0]), int(epoch[-1])):
            found = suggest(cause, axes(best, 5000), phases(table), table, "RUN")
            assert found is not None and found.command is None
            config = load_config(file, found.overrides)
            milestones = getattr(config.schedule, "milestones", [])
            assert all(m < 1 or m >= max(1, best + (epoch[0] == 0)) for m in milestones)
            if any("epochs=" in override for override in found.overrides):
                assert config.training.epochs > (0 if cause == "robust_overfitting" else done)
                assert not cautions(config)


def test_the_default_folder_of_runs_is_not_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, run = Made(config_of(), 60), tmp_path / "my runs" / "t" / "x y"
    run.mkdir(parents=True)
    (tmp_path / "here").mkdir()

    def typed(at: Path, name: str) -> list[str]:
        monkeypatch.chdir(at)
        found = made.suggested("rising", name)
        assert found is not None
        return shlex.split(str(found.command))[2:]

    inside = [str(run / "config.yaml"), "lr=0.017", "--runs-dir", str(run.parent.parent)]
    assert typed(tmp_path, "my runs/t/x y") == typed(tmp_path, str(run)) == [
        "my runs/t/x y/config.yaml", "lr=0.017", "--runs-dir", "my runs"
    ]  # fmt: skip
    assert typed(run, ".") == ["config.yaml", *inside[1:]]
    assert typed(run.parent, "x y") == ["x y/config.yaml", *inside[1:]]
    assert typed(run.parent.parent, "t/x y") == [
        "t/x y/config.yaml", "lr=0.017", "--runs-dir", "."
    ]  # fmt: skip
    assert typed(tmp_path / "here", "../my runs/t/x y") == inside
    (tmp_path / "my runs").rename(tmp_path / "runs")
    assert typed(tmp_path, "runs/t/x y") == ["runs/t/x y/config.yaml", "lr=0.017"]
    monkeypatch.chdir(tmp_path)
    longer = Made(config_of(schedule="constant"), 60).suggested("descending", "runs/t/x y")
    assert longer is not None
    assert shlex.split(str(longer.command))[-2:] == ["--from", "runs/t/x y"]


def test_the_printed_command_resumes_a_continuation(
    advtrain: Any, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = train(load_config(tiny), "elsewhere", device="cpu").dir
    keys = ["epochs=9", "schedule=constant", "lr=0.01"]
    with pytest.raises(KeyboardInterrupt):
        train(load_config(tiny, keys), "elsewhere", device="cpu", from_run=parent, observer=Stop(5))
    (child,) = (run for run in Path("elsewhere/tiny").iterdir() if run != parent)
    monkeypatch.chdir(child)
    (result,) = json.loads(advtrain("diagnose", ".", "--json").out)["results"]
    assert result["suggestion"]["text"] == "go on where it stopped"
    done: Done = advtrain(*shlex.split(result["suggestion"]["command"])[1:], "--json")
    assert done.code == 0, done.err
    assert Path(json.loads(done.out)["run_dir"]).resolve() == Path.cwd()
    assert json.loads(done.out)["epochs"] == 9
