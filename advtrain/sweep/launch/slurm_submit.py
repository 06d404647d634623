"""A sweep's runs as tasks of a Slurm job, through submitit."""

from __future__ import annotations

import contextlib
import io
import shlex
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from advtrain.config.slurm import Slurm
from advtrain.errors import AdvtrainError, Busy
from advtrain.store.run_status import STALE, Status
from advtrain.store.slurm_queue import said
from advtrain.store.writer import note_queued
from advtrain.sweep.launch.slurm_task import Task
from advtrain.sweep.plan import Planned, Study

_WARNING = 90  # seconds before its time limit in which a task may save its runs
_MOST_STARTS = 1000  # of a task that meets its time limit again and again


def check_slurm(slurm: Slurm, device: str) -> None:
    """Raise AdvtrainError where nothing can be submitted, or the device contradicts the config."""
    wrong = f"argument '--device {device}': "
    if device.startswith(("cuda:", "mps")):
        raise AdvtrainError(f"{wrong}with --launcher slurm expected auto, cpu or cuda")
    if device == "cuda" and not slurm.gpus:
        raise AdvtrainError(f"{wrong}slurm.gpus is 0; slurm.gpus=1 asks for one")
    if device == "cpu" and slurm.gpus:
        raise AdvtrainError(f"{wrong}slurm.gpus is {slurm.gpus}; slurm.gpus=0 asks for none")
    _submitit()


def under_way(status: Status | None, queue: Collection[str]) -> bool:
    """Whether a run need not be submitted: its job is in the queue, or a process is at it."""
    if status is None:
        return False
    if status.job:
        return status.job in queue
    return status.state == "running" and status.silent < STALE


def submit(
    runs: Sequence[Planned], study: Study, directory: Path, jobs: int | None, argv: Sequence[str]
) -> list[str]:
    """Submit runs, a job's task for each `runs_per_task`; the jobs' names, as `12_0`.

    At most `jobs` tasks run at a time. Raises AdvtrainError with Slurm's words if it refuses.
    """
    slurm, folder = runs[0].config.slurm, directory / "slurm"
    size = slurm.runs_per_task
    groups = [tuple(runs[i : i + size]) for i in range(0, len(runs), size)]
    tasks = [Task(of, study.keys, study.runs_dir, folder, slurm, tuple(argv)) for of in groups]
    submitit = _submitit()
    try:
        executor = submitit.SlurmExecutor(folder, max_num_timeout=_MOST_STARTS)
        executor.update_parameters(
            job_name=f"advtrain-{runs[0].config.name}", array_parallelism=jobs or len(tasks),
            **_parameters(slurm),
        )  # fmt: skip
        with contextlib.redirect_stderr(io.StringIO()), executor.batch():  # told below
            submitted = [executor.submit(task) for task in tasks]
    except submitit.core.utils.FailedJobError as error:
        raise AdvtrainError(
            f"Slurm refuses the job, nothing was submitted: {_refusal(str(error))}"
        ) from None
    except OSError as error:
        raise AdvtrainError(f"{folder}: cannot be written: {error.strerror}") from None
    names = [job.job_id for job in submitted]
    for name, group in zip(names, groups, strict=True):
        for run in group:
            with contextlib.suppress(Busy):  # the job is at it already
                note_queued(run.path, name, run.config.training.epochs)
    return names


def _parameters(slurm: Slurm) -> dict[str, Any]:
    """As submitit calls them."""
    # `-m` would put the current folder first on the path, and its modules before all others; so
    # would an empty part of PYTHONPATH.
    package = shlex.quote(str(Path(__file__).parents[3]))
    path = f'export PYTHONPATH={package}"${{PYTHONPATH:+:$PYTHONPATH}}"'
    setup = ["export PYTHONSAFEPATH=1", path, *slurm.setup]
    more = dict(slurm.options)
    if slurm.memory:
        more["mem"] = slurm.memory
    return {
        "partition": slurm.partition,
        "account": slurm.account,
        "time": slurm.minutes,
        "signal_delay_s": min(_WARNING, 15 * slurm.minutes),
        "gpus_per_node": slurm.gpus or None,
        "cpus_per_task": slurm.cpus,
        "srun_args": [f"--cpus-per-task={slurm.cpus}"],  # which srun no longer takes from sbatch
        "setup": setup,
        "wckey": None,
        "additional_parameters": {"requeue": True, **more},
    }


def _submitit() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import submitit
    except ModuleNotFoundError:
        raise AdvtrainError(
            "--launcher slurm needs submitit: pip install 'advtrain[slurm]'"
        ) from None
    if submitit.SlurmExecutor.affinity() < 0:
        raise AdvtrainError(
            "--launcher slurm: sbatch and srun are not on PATH; give the command where you submit "
            "jobs to Slurm, or leave the option out to train on this machine"
        )
    return submitit


def _refusal(err: str) -> str:
    """What sbatch said, in a line; beside its errors it gives advice on its usage."""
    errors = [line for line in err.splitlines() if "sbatch: error:" in line]
    return said("\n".join(errors) or err).replace("Batch job submission failed: ", "")
