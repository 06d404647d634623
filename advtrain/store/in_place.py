"""`advtrain train RUN`: a run goes on where it lies, under any name. Imports no torch."""

from __future__ import annotations

import shlex
from pathlib import Path

from advtrain.config.identity import identity
from advtrain.config.json_file import read_object
from advtrain.config.load import load_config
from advtrain.config.overrides import parse_override
from advtrain.config.schema import Config
from advtrain.errors import AdvtrainError
from advtrain.store.missing import cannot_go_on
from advtrain.store.parent import Parent, parents_name, read_parent
from advtrain.store.run_status import is_run, read_status


def in_place(
    config: Config, run: Path, runs_dir: Path, from_run: Path | None
) -> tuple[Path, Config, Parent | None]:
    """The run's directory, its config as it is, and its parent where training needs it yet.

    Raises AdvtrainError with what to type instead where the arguments, or config.yaml itself,
    describe another run than the one that lies here, or where its weights are gone.
    """
    if not is_run(run):
        raise AdvtrainError(
            f"argument '{run}': no run began here; to train its config: {_typed(run)}"
        )
    if runs_dir != Path("runs"):
        raise AdvtrainError(
            f"argument '--runs-dir {runs_dir}': {run} goes on where it lies; to train its config "
            f"there, from the start: {_typed(run, '--runs-dir', str(runs_dir))}"
        )
    lineage = _lineage(run)
    parent = read_parent(from_run) if from_run is not None else None
    began = parents_name(*lineage) if lineage else None
    renamed = any(parse_override(text)[0] == ("name",) for text in config.origin.overrides)
    if renamed or identity(config, parent.name if parent else began) != _identity(run, began):
        raise AdvtrainError(_another(config, run, from_run))
    status = read_status(run)
    if (run / "last.pt").is_file() or (status and status.state == "finished"):
        return run, config, parent
    if reason := cannot_go_on(run, status):
        raise AdvtrainError(f"{run}: {reason}")
    return run, config, parent or (_unmoved(run, *lineage) if lineage else None)


def _identity(run: Path, began: str | None) -> str:
    """That which the run began with; without its provenance, that of its config.yaml."""
    found = (read_object(run / "provenance.json") or {}).get("identity")
    if found:
        return str(found)
    return identity(load_config(run / "config.yaml", check_imports=False), began)


def _lineage(run: Path) -> tuple[Path, int] | None:
    """The parent's directory and epoch, as provenance.json has them."""
    found = (read_object(run / "provenance.json") or {}).get("parent")
    try:
        return (Path(str(found["run"])), int(found["epoch"])) if found else None
    except (KeyError, TypeError, ValueError):
        return None


def _unmoved(run: Path, path: Path, epoch: int) -> Parent:
    """The parent, if it is still at the epoch from which this run begins."""
    parent = read_parent(path)
    if parent.epoch != epoch:
        raise AdvtrainError(
            f"{run}: begins from epoch {epoch} of {path}, which is at epoch {parent.epoch} now; "
            f"to begin from there: {_typed(run, '--from', str(path))}"
        )
    return parent


def _another(config: Config, run: Path, from_run: Path | None) -> str:
    """That this is not the run that lies here, and what to type."""
    changes = list(config.origin.overrides)
    if changes:
        return (
            f"argument '{shlex.join(changes)}': {run} goes on with the config that it began with; "
            f"for a run of its own, from the start: {_typed(run, *changes)}; or from the last "
            f"epoch of this one: the same with --from {shlex.quote(str(run))}"
        )
    if from_run is not None:
        return (
            f"argument '--from {from_run}': {run} did not begin from it; for a run that does: "
            f"{_typed(run, '--from', str(from_run))}"
        )
    return (
        f"{run / 'config.yaml'}: not the config that this run began with; to train it as it is "
        f"now: {_typed(run)}"
    )


def _typed(run: Path, *arguments: str) -> str:
    """The command that trains the run's config as a run of its own."""
    return shlex.join(["advtrain", "train", str(run / "config.yaml"), *arguments])
