"""provenance.json: what a run was made by, so that its figures can be traced and repeated."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from advtrain.config.json_file import read_object
from advtrain.errors import AdvtrainError

_PACKAGES = ("advtrain", "torch", "torchvision", "numpy", "pandas", "scikit-learn")
SAME_IMAGES = "rows_on_the_same_images"  # a key; runs of older versions lack it
_LONGEST_DIFF = 200_000  # characters


def session(
    device: str, device_name: str, precision: str, compiled: bool, processes: int = 1
) -> dict[str, Any]:
    """One attempt's work on a run: where, with what, and from when; of several processes the
    leader's.
    """
    import torch  # only here: what reads the file trains nothing

    return {
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "argv": sys.argv,
        "cwd": str(Path.cwd()),
        "host": platform.node(),
        "device": device,
        "device_name": device_name,
        "processes": processes,
        "threads": torch.get_num_threads(),
        "precision": precision,
        "compile": compiled,
        "tf32": torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32,
        "versions": {"python": platform.python_version(), **_versions()},
        "git": _git(Path.cwd()),
        "seconds": 0.0,
    }


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Sentences about what keeps a resumed run from equalling one that never stopped."""
    found = []
    for key in ("device", "processes", "threads", "precision"):
        before, now = old.get(key, 1 if key == "processes" else None), new[key]
        if key == "device":  # another GPU of the same machine is the same type
            before, now = str(before).partition(":")[0], str(now).partition(":")[0]
        if before != now:
            found.append(f"{key} was {before}, is now {now}")
    return found


def read(run: Path) -> dict[str, Any]:
    """The provenance of a run directory; empty if it has none, AdvtrainError if it is damaged."""
    file = run / "provenance.json"
    found = read_object(file)
    if found == {} and not file.exists():
        return {}
    if found is None or not {"dataset_checksum", "sessions"} <= found.keys():
        raise AdvtrainError(
            f"{file}: cannot be read; restore the file, or move it away to go on without it"
        )
    return found


def made(run: Path) -> dict[str, Any]:
    """The provenance of a run that has weights or a verdict; empty of one that has neither yet.

    Whatever such a run was begun with, it may begin anew with something else.
    """
    return read(run) if has_results(run) else {}


def has_results(run: Path) -> bool:
    """Whether there are weights or a verdict, which were made by something."""
    return any((run / name).exists() for name in ("last.pt", "part.pt", "verdict.json"))


def glance(run: Path) -> dict[str, Any]:
    """The same of a run that is only compared with: empty if it is damaged as well."""
    try:
        return made(run)
    except AdvtrainError:
        return {}


def to_bytes(provenance: dict[str, Any]) -> bytes:
    """The file's content."""
    return json.dumps(provenance, indent=1, default=str).encode()


def same_images(old: str, new: str) -> bool:
    """Whether two datasets' checksums are of the same images.

    A folder's is of two parts, the second of which older runs lack: names and sizes, and contents.
    """
    return all(a == b for a, b in zip(old.split("-"), new.split("-"), strict=False))


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _git(folder: Path) -> dict[str, str] | None:
    """Commit and uncommitted changes of the repository around the folder, if there is one."""

    def ask(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        done = subprocess.run(command, capture_output=True, timeout=10, check=True)
        return done.stdout.decode(errors="replace").strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "diff": ask("diff", "HEAD")[:_LONGEST_DIFF]}
    except (OSError, subprocess.SubprocessError):
        return None
