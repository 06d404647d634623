"""`advtrain sweep`: arguments in, results on stdout, an exit code out."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from advtrain.config.devices import check_device
from advtrain.errors import Interrupted
from advtrain.sweep.follow import jobs_of
from advtrain.sweep.launchers import Options
from advtrain.sweep.plan import read_study
from advtrain.sweep.results import print_plan, print_result
from advtrain.sweep.run import run_sweep


def run_command(
    config: Path, arguments: Sequence[str], seeds: str | None, runs_dir: Path, options: Options,
    *, dry_run: bool, as_json: bool,
) -> int:  # fmt: skip
    """The whole command; raises Interrupted, after the results, if a signal ended it."""
    if options.launcher == "local":
        check_device(options.device)
    study = read_study(config, arguments, seeds, runs_dir)
    console = Console(highlight=False)
    if dry_run:
        print_plan(study, options, console, as_json=as_json)
        return 0
    result = run_sweep(study, options)
    if as_json:
        print(json.dumps(result.to_json(), indent=2, allow_nan=False))
    else:
        print_result(result, console)
    if result.interrupted:
        jobs = jobs_of(result.board.runs) if options.launcher == "slurm" else []
        jobs = sorted({job.partition("_")[0] for job in jobs})  # whole arrays
        what = "every run is saved up to its last whole epoch"
        if jobs:
            what = f"the jobs go on; to end them: scancel {' '.join(jobs)}"
        raise Interrupted(f"{what}\nto go on: {_again(options)}")
    return result.exit_code


def _again(options: Options) -> str:
    """The command that goes on: --rerun all would begin anew."""
    words = ["advtrain", *options.argv[1:]]
    if options.rerun == "all":
        if "--rerun" in words:
            at = words.index("--rerun")
            del words[at : at + 2]
        words = [word for word in words if word != "--rerun=all"]
    return shlex.join(words)
