"""What `advtrain sweep` prints on stdout: the plan, or the results."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from advtrain.config.checks import cautions
from advtrain.sweep.board import Board
from advtrain.sweep.budget import read_budget
from advtrain.sweep.launch.choose import Options
from advtrain.sweep.launch.machine import seats
from advtrain.sweep.plan import Planned, Study, plan, sweep_directory
from advtrain.sweep.run_sweep import SweepResult, anew, refinement, to_train
from advtrain.sweep.sweep_tables import runs_json
from advtrain.sweep.taken_up import check_taken_up
from advtrain.sweep.text_map import print_map
from advtrain.sweep.view import time_left
from advtrain.terminal.duration import duration


def print_result(result: SweepResult, console: Console) -> None:
    """The map, what failed, the bands, and where the tables are: stdout of `advtrain sweep`."""
    print_map(result.board, result.study.axes, console)
    for run in result.board.failures():
        of = result.board.of(run)
        console.print(Text(f"{of.state}: {run.title}: {of.error}; {run.path}/log.txt"),
                      soft_wrap=True)  # fmt: skip
    for one in result.bands or []:
        console.print(Text(one["text"]), soft_wrap=True)
    for table in result.tables:
        console.print(Text(str(table)), soft_wrap=True)


def _workers(options: Options, todo: Sequence[Planned]) -> int:
    """How many runs are trained at a time: here, or where Slurm runs all tasks at once."""
    if options.launcher == "local" or not todo:
        return len(seats(options.device, options.jobs, len(todo)))
    slurm = todo[0].config.slurm
    tasks = -(-len(todo) // slurm.runs_per_task)
    a_task = min(slurm.gpus or slurm.cpus, slurm.runs_per_task)
    return min(len(todo), min(options.jobs or tasks, tasks) * a_task)


def print_plan(study: Study, options: Options, console: Console, *, as_json: bool) -> None:
    """--dry-run: each run with its state, and how long the rest will take."""
    wanted = refinement(study, options)
    board, runs, again = Board(study.keys), plan(study), anew(options)
    untold = check_taken_up(runs, anew=again, load=False)
    board.add(runs)
    todo = board.runs if again else to_train(board, board.runs, options)
    workers = _workers(options, todo)
    left = time_left(board, todo, workers, anew=again)
    if as_json:
        facts = {"to_train": len(todo), "workers": workers, "seconds_left": left}
        print(json.dumps({"runs": runs_json(board), **facts}, indent=2, allow_nan=False))
        return
    for run in board.runs:
        of = board.of(run)
        done = f" after epoch {of.epoch} of {of.epochs}" if of.epoch and not of.finished else ""
        text = f"{of.state}{done}: {run.title}  {run.path}"
        console.print(Text(text + (f": {of.error}" if of.error else "")), soft_wrap=True)
    known = "unknown before a run has an epoch" if left is None else f"about {duration(left)}"
    console.print(f"{len(board.runs)} runs, {len(todo)} to train; {workers} workers; time: {known}")
    for caution in dict.fromkeys([*untold, *(t for run in todo for t in cautions(run.config))]):
        console.print(Text(f"caution: {caution}"), soft_wrap=True)
    if wanted:
        directory = sweep_directory(study, board.runs, wanted.key)
        more = wanted.budget if again else read_budget(directory, wanted.budget).left
        most = "as many runs as it takes"
        if more is not None:
            most = f"at most {more} {'run' if more == 1 else 'runs'}"
        console.print(f"--refine {wanted.key} then trains {most}")
