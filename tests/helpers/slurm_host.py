"""A real Slurm of two nodes on this host, for the tests that need one (see slurm/start.sh).

The fixture `slurm` skips a test where there can be none. All tests of a process share it, one after
the other: `clear` makes it as good as new. Each worker
of pytest-xdist has its own, so tests side by side cannot preempt each other's jobs. (To hold them
in one worker by `--dist loadgroup` does nothing, silently, with pytest 9.2 and pytest-xdist 3.8:
pytest-dev/pytest-xdist#1386.)
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent / "slurm"
NODES = ("n1", "n2")
PROGRAMS = ("slurmctld", "slurmd", "slurmdbd", "munged", "mariadbd", "sbatch")

DAEMONS = ("slurmd", "slurmstepd")
PATIENCE = 300  # seconds, for a machine that has much else to do


def why_not() -> str:
    """Why there can be no Slurm here; empty if there can."""
    if os.geteuid() != 0:
        return "Slurm's daemons need root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else ""


@dataclass(frozen=True)
class SlurmHost:
    """Two nodes of two CPUs and 4000 MB each; partitions main (the default), urgent and small."""

    folder: Path

    @property
    def env(self) -> dict[str, str]:
        """What a process needs to find this Slurm, and nothing of one that runs these tests."""
        outer = {name: value for name, value in os.environ.items() if not _is_slurms(name)}
        return outer | {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def run(self, *words: object) -> str:
        """What a command of Slurm prints; CalledProcessError, with stderr, if it refuses."""
        command = list(map(str, words))
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=60
        )
        if done.returncode:
            error = subprocess.CalledProcessError(
                done.returncode, command, done.stdout, done.stderr
            )
            error.add_note(done.stderr)
            raise error
        return done.stdout

    def submit(self, script: str, *options: object) -> int:
        """The number of a job that runs these shell lines."""
        return int(self.run("sbatch", "--parsable", *options, "--wrap", script))

    def job(self, job: int | str) -> dict[str, str]:
        """What `scontrol show job` says of it: JobState, Restarts, BatchHost and so on."""
        pairs = self.run("scontrol", "--oneliner", "show", "job", job).split()
        return dict(pair.split("=", 1) for pair in pairs if "=" in pair)

    def accounted(self, job: int) -> str:
        """Its last state by `sacct`; empty while that does not know it, which takes seconds."""
        return self.run("sacct", "-nPX", "--format=State", f"--jobs={job}").strip()

    def hasten(self, job: int | str) -> None:
        """End the wait of a requeued job."""
        self.run("scontrol", "update", f"JobId={job}", "StartTime=now")

    def preempt(self, node: str, seconds: float) -> int:
        """The number of an urgent job that takes the whole node for this long."""
        return self.submit(
            f"sleep {seconds}", "--partition=urgent", "--exclusive", f"--nodelist={node}",
            "--output=/dev/null",
        )  # fmt: skip

    def node_pids(self, name: str) -> list[int]:
        """The node's daemon first, then its step daemons, then their jobs' processes."""
        log = str(self.folder / "log" / f"slurmd.{name}.log")  # daemons keep it open
        signs = {
            f"SLURMD_NODENAME={name}".encode(),
            f"SLURM_CONF={self.folder}/slurm.conf".encode(),
        }
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it is gone
                program = (process / "comm").read_text().strip()
                if program in DAEMONS and log in map(os.path.realpath, (process / "fd").iterdir()):
                    found.append((DAEMONS.index(program), int(process.name)))
                elif signs <= set((process / "environ").read_bytes().split(b"\0")):
                    found.append((len(DAEMONS), int(process.name)))
        return [pid for _, pid in sorted(found)]

    def kill_node(self, name: str, spare: Collection[int] = ()) -> None:
        """Let everything on the node end at once, as in a power cut; or all but some processes."""
        while pids := [pid for pid in self.node_pids(name) if pid not in spare]:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def give_up_node(self, name: str) -> None:
        """Tell Slurm that the killed node is lost, which it finds out itself after 26 s or more."""
        self.run("scontrol", "update", f"NodeName={name}", "State=DOWN", "Reason=lost")

    def start_node(self, name: str) -> None:
        """Start the node's daemon and wait until the node answers."""
        self.run("slurmd", "-N", name)
        self.wait_for(lambda: not self.node_state(name).endswith(("*", "down")))

    def node_state(self, name: str) -> str:
        """One word: idle, mixed, allocated, completing, down; with `*` if the node is silent."""
        return self.run(
            "sinfo", "-hN", f"--nodes={name}", "--partition=main", "--format=%T"
        ).strip()

    def clear(self) -> None:
        """Cancel all jobs, start the nodes that are gone, and wait until both are idle."""
        self.run("scancel", "--user=root")
        for name in NODES:
            if not self.node_pids(name):
                self.start_node(name)
        self.wait_for(lambda: all(self.node_state(name) == "idle" for name in NODES))

    def wait_for(self, predicate: Callable[[], object]) -> None:
        """Return once it is true; after minutes, fail with the state of all jobs."""
        end = time.monotonic() + PATIENCE
        while not predicate():
            if time.monotonic() > end:
                jobs = self.run("squeue", "--long") + self.run("sinfo", "-N", "--long")
                raise AssertionError(f"not so after {PATIENCE} s\n{jobs}")
            time.sleep(0.1)


def _is_slurms(name: str) -> bool:
    return name.startswith(("SLURM_", "SLURMD_", "SBATCH_", "SRUN_"))


@pytest.fixture(scope="session")
def slurm_host() -> Iterator[SlurmHost]:
    """The Slurm of this process; it starts when a test first asks for it."""
    if reason := why_not():
        pytest.skip(reason)
    host = SlurmHost(Path(tempfile.mkdtemp(prefix="slurm-")))
    try:
        command = [SCRIPTS / "start.sh", host.folder]
        done = subprocess.run(command, env=host.env, capture_output=True, text=True)
        if done.returncode:
            pytest.fail(done.stderr)
        yield host
    finally:
        subprocess.run([SCRIPTS / "stop.sh", host.folder], check=True)
        shutil.rmtree(host.folder, ignore_errors=True)


@pytest.fixture
def slurm(slurm_host: SlurmHost) -> Iterator[SlurmHost]:
    """The same with both nodes idle; what a test leaves behind is cleared away."""
    yield slurm_host
    slurm_host.clear()
