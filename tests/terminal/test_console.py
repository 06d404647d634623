"""What a person sees: live table, plain lines, charts, listings. Seeing changes no figure."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import pytest
from rich.console import Console

from advtrain import load_config
from advtrain.records import EpochRecord
from advtrain.terminal.charts import chart
from advtrain.terminal.duration import duration
from advtrain.terminal.live import LiveTable


def test_the_live_table_shows_the_last_epochs_and_the_time_left(tiny: Path) -> None:
    screen = io.StringIO()
    table = LiveTable(Console(file=screen, force_terminal=True, width=100, no_color=True))
    config = load_config(tiny, ["epochs=40"])
    earlier = EpochRecord(1, 10, lr=0.1, test_robust_loss=9.876, test_robust_acc=0.111)
    table.started(Path("runs/x"), config, [earlier.row()])
    for epoch in range(2, 21):
        table.epoch(
            EpochRecord(
                epoch, 10 * epoch, lr=0.1, train_robust_loss=1 / epoch, train_robust_acc=0.5,
                test_robust_loss=1.5, test_robust_acc=epoch / 100, seconds=3.0,
            )
        )  # fmt: skip
    table.console.print(table.render())
    text = screen.getvalue()
    assert "1.500  20.0%" in text and "1.500   9.0%" in text and "1.500   8.0%" not in text
    assert "runs/x" in text and "epoch 21 of 40" in text and "1 min 00 s left" in text


def test_charts_draw_what_they_are_given() -> None:
    rising = [i / 19 for i in range(20)]
    lines = chart("acc", {"train": rising}, percent=True, width=20, height=5).plain.splitlines()
    assert lines[1].startswith("  100% │") and lines[5].startswith("    0% │")
    columns = [[line[8 + x] != " " for line in lines[1:]].index(True) for x in range(20)]
    assert columns == sorted(columns, reverse=True) and columns[0] == 4 and columns[-1] == 0


@pytest.mark.parametrize("values", [[], [float("nan")], [1.0], [2.0, 2.0], [float("inf"), 1.0]])
def test_charts_survive_odd_values(values: list[float]) -> None:
    text = chart("loss", {"train": values}, ascii_only=True).plain
    assert text.isascii() and len(text.splitlines()) == 8


def test_durations_read_like_durations() -> None:
    shown = [duration(s) for s in (0.2, 59.4, 61, 3599.6, 7262)]
    assert shown == ["0 s", "59 s", "1 min 01 s", "1 h 00 min", "2 h 01 min"]


def test_status_lists_runs_and_their_states(advtrain, tiny: Path, tmp_path: Path) -> None:
    assert advtrain("status").code == 2
    advtrain("train", tiny)
    stale = Path(json.loads(advtrain("train", tiny, "seed=1", "--json").out)["run_dir"])
    status = json.loads((stale / "status.json").read_text())
    status |= {"state": "running", "heartbeat": time.time() - 3600, "host": "elsewhere"}
    (stale / "status.json").write_text(json.dumps(status))
    (tmp_path / "runs" / "junk").mkdir()
    (tmp_path / "runs" / "junk" / "status.json").write_text("{")
    done = advtrain("status")
    assert done.code == 0
    assert "finished" in done.out and "stale" in done.out and "3/3" in done.out
    listed = json.loads(advtrain("status", "runs", "--json").out)["runs"]
    assert [r["state"] for r in listed] == ["unreadable", "finished", "stale"]
    assert "unreadable" in done.out
    assert listed[1]["last"]["epoch"] == 3
    assert "unreadable" in advtrain("status", tmp_path / "runs" / "junk").out
    (stale / "status.json").write_text(json.dumps(status | {"error": "bad keys [/layer1]"}))
    assert "[/layer1]" in advtrain("status").out.replace("\n", "").replace(" ", "")


def test_listings_name_everything_there_is(advtrain) -> None:
    models, datasets, schema = (advtrain(c).out for c in ("models", "datasets", "schema"))
    for name in ("small_cnn", "lstm", "wide_resnet", "torchvision:NAME", "import:"):
        assert name in models
    for name in ("digits", "fashion_mnist", "svhn", "image_folder", "import:"):
        assert name in datasets
    for key in ("eps: 0.1", "alpha: 2.5*eps/steps", "milestones: [0.5, 0.75]", "model_mode: eval"):
        assert key in schema
    assert schema.count("The default.") == 3


def test_dry_run_and_print_config_leave_nothing(advtrain, tiny: Path, tmp_path: Path) -> None:
    plan = advtrain("train", tiny, "eps=0.2", "--dry-run").out
    assert "start a new run" in plan and "runs/tiny/eps0.2" in plan and "steps of 0.25" in plan
    shown = advtrain("train", tiny, "eps=0.2", "--print-config").out
    (tmp_path / "shown.yaml").write_text(shown)
    assert load_config(tmp_path / "shown.yaml") == load_config(tiny, ["eps=0.2"])
    assert not (tmp_path / "runs").exists()
    advtrain("train", tiny)
    assert "nothing: the run is finished" in advtrain("train", tiny, "--dry-run").out
    few_steps = ["alpha=0.001", "--dry-run"]
    assert "cannot cross the ball" in advtrain("train", tiny, *few_steps).out


def test_completion_offers_keys() -> None:
    from advtrain.cli.arguments import complete_override

    assert complete_override("attack.st") == ["attack.steps=", "attack.start="]
    assert "optimizer.lr=" in complete_override("opt")
