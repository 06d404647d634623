"""`--refine KEY`: what the runs say about the band of converging values, and which to run next."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from advtrain.config.expressions import number
from advtrain.config.grid import short_key
from advtrain.config.overrides import keys_of_sections, resolve_key
from advtrain.config.values import Value, written
from advtrain.errors import AdvtrainError
from advtrain.store.files import to_csv, write_whole
from advtrain.sweep.board import Board
from advtrain.sweep.plan import Planned, Point, Study
from advtrain.sweep.refine import ConvergingBand, Tried, band, proposals

COLUMNS = ("low", "high", "below", "above", "seeds", "epochs", "values", "undecided", "others",
           "text")  # fmt: skip


@dataclass(frozen=True)
class Refinement:
    """The key to refine: its axis, whether only whole numbers will do, and the runs allowed."""

    key: str
    axis: int
    whole: bool
    budget: int | None  # runs that it may add; None: as many as it takes


def read_refinement(study: Study, key: str, budget: int | None) -> Refinement:
    """The refinement of one of the study's keys; AdvtrainError if it cannot be refined."""
    place = f"argument '--refine {key}'"
    try:
        keys = tuple(resolve_key(key).split("."))
    except ValueError as error:
        raise AdvtrainError(f"{place}: {error}") from None
    where = [i for i, axis in enumerate(study.axes) if axis.keys == (keys,)]
    if not where or len(study.axes[where[0]].points) < 2:
        raise AdvtrainError(
            f"{place}: expected a key with several values of its own, as in {key}=0.01,0.1"
        )
    try:
        values = [number(point[0].value) for point in study.axes[where[0]].points]
    except ValueError as error:
        raise AdvtrainError(f"{place}: {error}") from None
    if min(values) <= 0:
        raise AdvtrainError(f"{place}: expected values > 0, since it goes by their ratios")
    seeds = len(study.grid.seeds) if study.grid.seeds else 1
    if budget is not None and budget < seeds:
        raise AdvtrainError(
            f"argument '--budget {budget}': a further value of {key} takes {seeds} runs, one a seed"
        )
    return Refinement(short_key(keys), where[0], _whole(keys, values), budget)


def _whole(keys: tuple[str, ...], values: Sequence[float]) -> bool:
    """Whether only whole numbers will do between these values of a key."""
    field = keys_of_sections().get(keys[0], {}).get(keys[-1])
    if field is None or len(keys) > 2 or keys == ("dataset", "train_size"):
        return all(value == int(value) for value in values)  # what a model takes is not known here
    kind = str(field.annotation)
    return "int" in kind and "float" not in kind


def next_points(board: Board, wanted: Refinement, added: Collection[str]) -> list[Point]:
    """The points to run next; none while a run of those before may still go on, or at the end.

    `added`: the directories' names of the runs that the refinement has trained so far.
    """
    if any(not board.of(r).finished and board.of(r).state != "failed" for r in board.runs):
        return []
    seeds = len({run.seed for run in board.runs})
    groups = _groups(board, wanted)
    spent = {
        name: sum(run.path.name in added for run in runs) // seeds for name, runs in groups.items()
    }
    tried = {name: _tried(board, runs, wanted) for name, runs in groups.items()}
    points = []
    for name, value in proposals(tried, spent, whole=wanted.whole):
        point = list(groups[name][0].point)
        text = written(value)
        point[wanted.axis] = (Value(text, value, f"argument '--refine {wanted.key}': {text}"),)
        points.append(tuple(point))
    return points


def bands(board: Board, wanted: Refinement) -> list[dict[str, Any]]:
    """For each combination of the other keys its band, as `--json` and bands.csv have it."""
    found = []
    for name, runs in _groups(board, wanted).items():
        tried = _tried(board, runs, wanted)
        one = band(tried)
        epochs = sorted({run.config.training.epochs for run in runs})
        facts = {
            "low": one.low if one else None,
            "high": one.high if one else None,
            "below": one.below if one else None,
            "above": one.above if one else None,
            "seeds": len({run.seed for run in runs}),
            "epochs": epochs[-1],
            "values": len(tried),
            "undecided": sum(t.undecided > 0 for t in tried),
            "others": one.others if one else 0,
        }
        text = f"{_sentence(name, wanted.key, one, facts)}; {_by_value(tried)}"
        if wanted.key == "lr":
            text += "; more epochs move the low edge"
        each = [asdict(t) for t in tried]
        found.append({"overrides": _others(runs[0], wanted), "key": wanted.key, **facts,
                      "tried": each, "text": text})  # fmt: skip
    return found


def write_bands(found: Sequence[Mapping[str, Any]], keys: Sequence[str], directory: Path) -> Path:
    """bands.csv: the other keys, then the band of this one."""
    rows = [[o.partition("=")[2] for o in one["overrides"]] + [one["key"]]
            + [one[column] for column in COLUMNS] for one in found]  # fmt: skip
    names = [o.partition("=")[0] for o in found[0]["overrides"]] if found else list(keys)
    file = directory / "bands.csv"
    write_whole(file, to_csv([*names, "key", *COLUMNS], rows))
    return file


def _sentence(name: str, key: str, one: ConvergingBand | None, facts: Mapping[str, Any]) -> str:
    """The band in words, with how far it can be trusted."""
    where = f"{name}: " if name else ""
    ground = f"{facts['seeds']} seeds" if facts["seeds"] > 1 else "one seed"
    basis = f"{facts['values']} values of {key} with {ground} each, {facts['epochs']} epochs"
    if one is None:
        return f"{where}no value of {key} converges ({basis})"
    which = f"{one.low:g} to {one.high:g}" if one.low < one.high else f"{one.low:g} alone"
    text = f"{where}{key} {which} converges ({basis}); "
    text += _edge("low", one.below, one.low, "tried, so it may reach lower")
    text += ", " + _edge("high", one.high, one.above, "tried, so it may reach higher")
    if one.others:
        text += f"; {one.others} further stretches converge apart from it"
    return text


def _by_value(tried: Sequence[Tried]) -> str:
    """How many seeds converge at each value, those in doubt beside them."""
    parts = []
    for one in tried:
        doubts = [f"{count} {word}" for count, word in
                  ((one.undecided, "undecided"), (one.failed, "failed")) if count]  # fmt: skip
        more = f" ({', '.join(doubts)})" if doubts else ""
        parts.append(f"{one.value:g}: {one.converged}/{one.seeds}{more}")
    return f"seeds that converge at each value: {', '.join(parts)}" if parts else "none has ended"


def _edge(which: str, low: float | None, high: float | None, otherwise: str) -> str:
    if low is None or high is None:
        end = "least" if which == "low" else "largest"
        return f"{which} edge open: {high if low is None else low:g} is the {end} {otherwise}"
    return f"{which} edge between {low:g} and {high:g}"


def _groups(board: Board, wanted: Refinement) -> dict[str, list[Planned]]:
    """The runs of each combination of the other keys."""
    found: dict[str, list[Planned]] = {}
    for run in board.runs:
        found.setdefault(" ".join(_others(run, wanted)), []).append(run)
    return found


def _others(run: Planned, wanted: Refinement) -> list[str]:
    return [text for text in run.overrides if text.partition("=")[0] != wanted.key]


def _tried(board: Board, runs: Sequence[Planned], wanted: Refinement) -> list[Tried]:
    """The values whose runs have all ended. What failed did not converge."""
    by_value: dict[float, list[Planned]] = {}
    for run in runs:
        by_value.setdefault(number(run.point[wanted.axis][0].value), []).append(run)
    found = []
    for value, of in by_value.items():
        outcomes = [board.of(run) for run in of]
        if all(o.finished or o.failed for o in outcomes):
            verdicts = [o.converged for o in outcomes if o.finished]
            failed = len(of) - len(verdicts)
            found.append(Tried(value, len(of), verdicts.count(True), verdicts.count(None), failed))
    return sorted(found, key=lambda one: one.value)
