"""`advtrain evaluate`: strong attacks on a run's weights, checked against numbers by hand."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from filelock import FileLock
from torch import Tensor

from advtrain.errors import RunFailed
from advtrain.learning.attacks.strong import AttackStage
from advtrain.learning.data.images import portions
from advtrain.store.evaluation_csv import COLUMNS
from advtrain.tasks import evaluate
from advtrain.tasks import evaluate as tasks_evaluate
from tests.helpers import known_network
from tests.helpers.known_network import MARGINS, accuracies, by_hand, pixels_run, table

EPS = 0.1
RESISTED = sum(m > 2 * EPS for m in MARGINS) / len(MARGINS)  # 5 of 8


@pytest.fixture
def run(advtrain, tmp_path: Path) -> Path:
    return pixels_run(advtrain, tmp_path)


def test_pgd_finds_the_robust_accuracy_known_by_hand(advtrain, run: Path) -> None:
    done = advtrain("evaluate", run, "--checkpoint", "hand.pt", "--steps", 20, "--restarts", 2)
    assert done.code == 0, done.err
    assert accuracies(run) == {"clean": 1, "pgd-5-1": 0.625, "pgd-20-2": 0.625}
    assert RESISTED == 0.625
    *_, row = table(run)
    assert (row["checkpoint"], row["epoch"], row["weights"]) == ("hand.pt", "", "model")
    assert (row["norm"], row["eps"], row["images"]) == ("linf", "0.1", "32")
    assert float(row["se"]) == pytest.approx((0.625 * 0.375 / 32) ** 0.5)
    assert "│ pgd-20-2 │  62.5 ± 8.6% │" in done.out
    assert "pgd-20-2: batch 1 of 1, 62.5% left" in done.err and "\x1b" not in done.err


def test_what_is_misclassified_is_spared(advtrain, run: Path, tmp_path: Path) -> None:
    by_hand(tmp_path / "wrong.pt", -20)
    done = advtrain("evaluate", run, "--checkpoint", "wrong.pt")
    assert accuracies(run) == {"clean": 0, "pgd-5-1": 0, "pgd-50-10": 0}
    assert "pgd-5-1: batch" in done.err and "pgd-50-10: batch" not in done.err


def test_pgd_of_norm_l2_finds_it_too(advtrain, tmp_path: Path) -> None:
    run = pixels_run(advtrain, tmp_path, "attack.norm=l2", "eps=0.3")
    advtrain("evaluate", run, "--checkpoint", "hand.pt")
    # sqrt(2) * 0.3 = 0.424: margins 0.5 and 0.6 resist
    assert accuracies(run) == {"clean": 1, "pgd-5-1": 0.25, "pgd-50-10": 0.25}


def test_the_runs_own_attack_repeats_its_final_score(advtrain, tiny: Path, tmp_path: Path) -> None:
    advtrain("train", tiny, "training.epochs=2", "attack.restarts=2", "--quiet")
    (run,) = tmp_path.glob("runs/tiny/*")
    status = (run / "status.json").read_bytes()
    state = torch.get_rng_state()
    done = advtrain("evaluate", run, "--checkpoint", "last", "--steps", 4, "--restarts", 3)
    assert done.code == 0, done.err
    final = pd.read_csv(run / "final.csv").set_index("split").loc["test"]
    found = accuracies(run)
    assert found["clean"] == final.clean_acc
    assert found["pgd-2-2"] == final.robust_acc
    assert 0 < found["pgd-4-3"] <= final.robust_acc
    assert {row["epoch"] for row in table(run)} == {"2"}
    assert (run / "status.json").read_bytes() == status
    assert torch.equal(torch.get_rng_state(), state)


def test_each_radius_is_evaluated_on_a_part_of_the_images(advtrain, run: Path) -> None:
    done = advtrain("evaluate", run, "--checkpoint", "hand.pt", "--eps", "0.02*2,25.5/255,0.04",
                    "--images", 16, "--json")  # fmt: skip
    results = json.loads(done.out)["results"]
    assert [(r["eps"], r["images"]) for r in results] == [(0.04, 16), (0.1, 16)]
    assert "eps 0.04 is less than the 0.1 of training" in done.err
    assert done.err.count("less than") == 1


def test_json_says_what_the_docs_say(advtrain, run: Path) -> None:
    done = advtrain("evaluate", run.parent, "--json")
    (result,) = json.loads(done.out)["results"]
    assert set(result) == {
        "path", "checkpoint", "epoch", "weights", "norm", "eps", "images", "attacks",
    }  # fmt: skip
    assert (result["path"], result["checkpoint"], result["epoch"]) == (str(run), "best", 1)
    assert [a["attack"] for a in result["attacks"]] == ["clean", "pgd-5-1", "pgd-50-10"]
    for attack in result["attacks"]:
        assert set(attack) == {"attack", "accuracy", "se", "seconds", "warnings"}


def test_a_row_is_replaced_by_the_same_question_and_no_other(advtrain, run: Path) -> None:
    advtrain("evaluate", run, "--checkpoint", "hand.pt", "--restarts", 1)
    first = table(run)
    assert tuple(first[0]) == COLUMNS
    assert ",".join(COLUMNS) == (
        "checkpoint,epoch,weights,norm,eps,attack,images,accuracy,se,seconds,warnings,sha"
    )
    advtrain("evaluate", run, "--checkpoint", "hand.pt", "--restarts", 1)
    assert len(table(run)) == len(first) == 3
    advtrain("evaluate", run, "--checkpoint", "hand.pt", "--eps", 0.2)
    assert len(table(run)) == 6
    by_hand(run.parents[2] / "hand.pt", 10)  # other weights in the file
    advtrain("evaluate", run, "--checkpoint", "hand.pt", "--restarts", 1)
    assert len(table(run)) == 9 and len({row["sha"] for row in table(run)}) == 2


def test_averaged_weights_are_those_of_the_checkpoint(advtrain, run: Path) -> None:
    content = torch.load(run / "last.pt", weights_only=True)
    content["ema"]["module.network.1.weight"] = 20 * torch.eye(4)
    torch.save(content, run / "last.pt")
    assert advtrain("evaluate", run, "--checkpoint", "last", "--ema").code == 0
    assert accuracies(run) == {"clean": 1, "pgd-5-1": 0.625, "pgd-50-10": 0.625}
    assert {(row["weights"], row["epoch"]) for row in table(run)} == {("ema", "1")}
    del content["ema"]
    torch.save(content, run / "last.pt")
    done = advtrain("evaluate", run, "--checkpoint", "last", "--ema")
    assert done.code == 2 and "argument '--checkpoint last'" in done.err
    assert "no averaged weights" in done.err and "leave --ema out" in done.err


def test_without_best_the_last_weights_are_taken_and_it_is_said(advtrain, run: Path) -> None:
    (run / "best.pt").unlink()
    done = advtrain("evaluate", run)
    assert done.code == 0 and "best.pt" in done.err and "so last.pt is evaluated" in done.err
    assert {row["checkpoint"] for row in table(run)} == {"last"}


class TestCutOff:
    """An evaluation that is stopped goes on, and gives what an undisturbed one gives."""

    COMMAND = ("--checkpoint", "last", "--eps", "0.02,0.1", "--restarts", "2")

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 1.0])
    def test_after_any_batch(
        self, advtrain, run: Path, monkeypatch: pytest.MonkeyPatch, share: float
    ) -> None:
        def few(_: AttackStage, begin: Tensor) -> list[Tensor]:
            return portions(begin.nonzero()[:, 0], 8)

        monkeypatch.setattr(AttackStage, "batches", few)
        whole = run.with_name("whole")
        shutil.copytree(run, whole)
        lines = advtrain("evaluate", whole, *self.COMMAND).err.count(": batch ")
        writes = max(1, round(share * lines))  # after the last, only the table is missing
        assert lines >= 14

        write, count = evaluate.write_partial, 0

        def killed(*arguments: Any) -> None:
            nonlocal count
            count += 1
            write(*arguments)
            if count == writes:
                raise KeyboardInterrupt

        monkeypatch.setattr(tasks_evaluate, "write_partial", killed)
        done = advtrain("evaluate", run, *self.COMMAND)
        assert done.code == 130
        assert f"to go on: advtrain evaluate {run} --checkpoint last" in done.err
        monkeypatch.setattr(tasks_evaluate, "write_partial", write)
        assert advtrain("evaluate", run, "--images", 8).code == 0  # another between them
        again = advtrain("evaluate", run, *self.COMMAND)
        assert again.code == 0, again.err
        assert again.err.count(": batch ") == lines - writes
        assert not (run / "evaluation.partial.json").exists()
        kept = [row for row in table(run) if row["images"] == "32"]
        for row in (*kept, *table(whole)):
            del row["seconds"]
        assert kept == table_without(whole)


def table_without(run: Path) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in table(run)]


def error(advtrain, *arguments: object) -> str:
    done = advtrain("evaluate", *arguments)
    assert done.code == 2 and done.out == "", (done.code, done.out)
    *_, last = done.err.splitlines()
    return last


def test_what_cannot_be_evaluated_is_one_line(advtrain, run: Path, tmp_path: Path) -> None:
    assert error(advtrain, "nowhere") == "nowhere: no such run or folder"
    (tmp_path / "empty").mkdir()
    assert error(advtrain, "empty").startswith("empty: neither a run nor a folder with a finished")
    assert "argument '--eps x'" in error(advtrain, run, "--eps", "x")
    assert "numbers above 0" in error(advtrain, run, "--eps", "0.1,0")
    assert "did you mean 8/255?" in error(advtrain, run, "--eps", "8")
    assert "argument '--device gpu'" in error(advtrain, run, "--device", "gpu")
    assert "argument '--checkpoint no.pt'" in error(advtrain, run, "--checkpoint", "no.pt")
    (tmp_path / "bad.pt").write_bytes(b"junk")
    assert "argument '--checkpoint bad.pt': bad.pt: cannot be loaded" in error(
        advtrain, run, "--checkpoint", "bad.pt"
    )
    torch.save({"1.weight": torch.eye(5)}, tmp_path / "wide.pt")
    assert "does not fit this run's model" in error(advtrain, run, "--checkpoint", "wide.pt")
    torch.save([1], tmp_path / "list.pt")
    assert "expected a checkpoint" in error(advtrain, run, "--checkpoint", "list.pt")
    by_hand(tmp_path / "nan.pt", float("nan"))
    assert "are not finite" in error(advtrain, run, "--checkpoint", "nan.pt")
    assert not (run / "evaluation.csv").exists()


def test_a_run_at_work_is_left_alone(advtrain, run: Path) -> None:
    status = json.loads((run / "status.json").read_text())
    changed = status | {"state": "running", "heartbeat": time.time()}
    (run / "status.json").write_text(json.dumps(changed))
    assert "is still training (epoch 1 of 1)" in error(advtrain, run)
    (run / "status.json").write_text(json.dumps(status))
    with FileLock(run / ".evaluation.lock"):
        assert error(advtrain, run).endswith("another process is evaluating this run")
    for file in run.glob("*.pt"):
        file.unlink()
    assert error(advtrain, run) == f"{run}: has no weights to evaluate"
    assert error(advtrain, run.parent).endswith("no run in it has weights to evaluate")


def test_damaged_files_are_not_overwritten(advtrain, run: Path) -> None:
    (run / "evaluation.csv").write_text("checkpoint,accuracy\nbest,high\n")
    assert "evaluation.csv: cannot be read" in error(advtrain, run)
    (run / "evaluation.csv").unlink()
    (run / "evaluation.partial.json").write_text('{"a": 1}')
    assert "delete it, and the evaluation begins anew" in error(advtrain, run)


def test_a_full_disk_is_said_plainly(advtrain, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RunFailed("evaluation.csv: cannot be written: No space left on device")

    monkeypatch.setattr(tasks_evaluate, "merge_evaluations", full)
    done = advtrain("evaluate", run)
    assert done.code == 1 and "No space left" in done.err
    assert (run / "evaluation.partial.json").exists()  # repeating the command costs nothing


FAILING = """\
class Pixels(nn.Sequential):
    def forward(self, x):
        assert len(x) < 9 or not Path("fail").exists()
        return super().forward(x)
"""


def test_a_network_that_fails_is_one_line(advtrain, tmp_path: Path, monkeypatch) -> None:
    module = known_network.MODULE.replace("class Pixels(nn.Sequential):\n", FAILING)
    monkeypatch.setattr(known_network, "MODULE", f"from pathlib import Path\n{module}")
    run = pixels_run(advtrain, tmp_path)
    Path("fail").touch()
    done = advtrain("evaluate", run)
    assert done.code == 1 and len(done.err.splitlines()) == 1
    assert "AssertionError" in done.err and "by_hand.py:17); what was measured is kept" in done.err
