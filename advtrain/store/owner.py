"""Who works on a run, and when another may take the run over. Imports no torch."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from advtrain.store.run_status import STALE, Status


@dataclass(frozen=True)
class Owner:
    """A process by its host and number, and the Slurm job that it is part of, if it is."""

    host: str
    pid: int
    job: str = ""
    restart: int = 0

    def yields_to(self, status: Status) -> bool:
        """Whether a run's status keeps this process from training it.

        Elsewhere a heartbeat counts while it is fresh. A job that Slurm has started anew need not
        wait for it: Slurm has given its first start up, whose process may yet be alive on a node
        that Slurm has lost. (On the same host the lock tells, see `outlives`.)
        """
        fresh = status.state == "running" and status.silent < STALE
        return fresh and status.host != self.host and not self._succeeds(status)

    def outlives(self, status: Status | None) -> bool:
        """Whether the lock that another process holds on a run no longer counts.

        It is an earlier start of this very job, or on a host that went silent.
        """
        if status is None or status.state not in ("running", "queued"):
            return False
        elsewhere = status.state == "running" and status.host != self.host
        return self._succeeds(status) or (elsewhere and status.silent >= STALE)

    def _succeeds(self, status: Status) -> bool:
        return bool(self.job) and status.job == self.job and status.restart < self.restart


def this_process() -> Owner:
    """This process, as it is written into status.json."""
    env = os.environ
    array, task = env.get("SLURM_ARRAY_JOB_ID"), env.get("SLURM_ARRAY_TASK_ID")
    job = f"{array}_{task}" if array and task else env.get("SLURM_JOB_ID", "")
    restart = env.get("SLURM_RESTART_COUNT", "")
    # The node's name in Slurm: several may be on one host.
    host = env.get("SLURMD_NODENAME") or socket.gethostname()
    return Owner(host, os.getpid(), job, int(restart) if restart.isdigit() else 0)
