"""`--budget` counts the runs that a refinement adds, once, and none that was there before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from advtrain.diagnosis import rules
from advtrain.sweep.board import outcome
from advtrain.sweep.budget import Budget, read_budget
from advtrain.sweep.launch.choose import LAUNCHERS, Sweep, Train
from advtrain.sweep.plan import Planned, Study, plan, read_study
from tests.helpers.command_line import Done


@pytest.fixture
def study(tiny: Path, tmp_path: Path) -> Study:
    return read_study(tiny, ["lr=0.01,0.1,1"], "0-1", tmp_path / "runs")


def begun(*runs: Planned) -> None:
    for run in runs:
        run.path.mkdir(parents=True)
        (run.path / "status.json").write_text("{}")


def test_a_point_is_added_whole_and_what_is_there_costs_nothing(study: Study) -> None:
    runs = plan(study)  # lr 0.01, 0.1, 1 at seed 0, then at seed 1
    assert Budget(None).allows(runs) == [runs[0], runs[3], runs[1], runs[4], runs[2], runs[5]]
    assert Budget(3).allows(runs) == [runs[0], runs[3]]
    begun(runs[0], runs[1], runs[4])
    budget = Budget(1)
    assert budget.allows(runs) == [runs[0], runs[3], runs[1], runs[4]]
    assert budget.added == [runs[3].path.name] and budget.left == 0
    assert Budget(3).allows(runs, anew=True) == [runs[0], runs[3]], "these are trained, too"


def test_runs_added_before_stay_counted(study: Study, tmp_path: Path) -> None:
    runs = plan(study)
    first = Budget(2)
    first.allows(runs)
    (tmp_path / "sweep.json").write_text(json.dumps({"added": first.added}))
    again = read_budget(tmp_path, 2)
    assert again.left == 0 and again.allows(runs) == [runs[0], runs[3]], "cut off, they go on"
    assert read_budget(tmp_path, 4).allows(runs[:2] + runs[3:5]) != []
    (tmp_path / "sweep.json").write_text("[")
    assert read_budget(tmp_path, 2).added == []


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The lr of each run that a sweep trains, which here takes no time: up to 0.2 it converges."""
    found: list[float] = []

    @contextmanager
    def launcher(sweep: Sweep) -> Iterator[Train]:
        def train(runs: Sequence[Planned], most: int) -> None:
            for run in runs:
                begun(run)
                found.append(run.config.optimizer.lr)
                verdict = {"rules": rules.VERSION, "converged": found[-1] < 0.2}
                (run.path / "verdict.json").write_text(json.dumps(verdict))
                status = {"state": "finished", "attempt": 1, "host": "h", "pid": 1, "heartbeat": 0}
                (run.path / "status.json").write_text(json.dumps(status))
                sweep.board.outcomes[run.path] = outcome(run)

        yield train

    monkeypatch.setitem(LAUNCHERS, "local", launcher)
    return found


def test_a_refinement_pays_for_new_runs_alone_and_for_each_once(
    advtrain: Callable[..., Done], tiny: Path, trained: list[float]
) -> None:
    """As filed: values that another sweep had trained left nothing for those it had not."""
    command = ["sweep", tiny, "lr=0.1,0.4", "--refine", "lr", "--budget", "1"]
    assert advtrain("sweep", tiny, "lr=0.2,0.4").code == 0 and trained == [0.2, 0.4]
    assert "--refine lr then trains at most 1 run" in advtrain(*command, "--dry-run").out
    done = advtrain(*command, "--json")
    assert trained == [0.2, 0.4, 0.1, 0.141], "0.2 was there, and cost nothing"
    assert [one["value"] for one in json.loads(done.out)["bands"][0]["tried"]] == [
        0.1, 0.141, 0.2, 0.4
    ]  # fmt: skip
    assert "then trains at most 0 runs" in advtrain(*command, "--dry-run").out
    advtrain(*command)
    assert len(trained) == 4, "the same command again adds nothing"
    advtrain(*command[:-1], "2")
    assert trained[4:] == [0.168], "a larger budget does"
