"""`--budget`: the runs that a refinement has added to its sweep, and those that it may add yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from advtrain.config.json_file import read_object
from advtrain.store.run_status import is_run
from advtrain.sweep.plan import Planned


@dataclass
class Budget:
    """At most so many runs that were not there before; None: as many as it takes.

    `added` are the names of their directories. They stay counted when the command is given again,
    so that a refinement cut off in the middle comes to no more runs than one that was not.
    """

    most: int | None
    added: list[str] = field(default_factory=list)

    @property
    def left(self) -> int | None:
        """Runs that may be added yet."""
        return None if self.most is None else max(0, self.most - len(self.added))

    def allows(self, runs: Sequence[Planned], *, anew: bool = False) -> list[Planned]:
        """The runs of as many points as it allows, in their order; a point counts whole.

        What is there already costs nothing, unless all is trained `anew`.
        """
        points: dict[tuple[str, ...], list[Planned]] = {}
        for run in runs:
            points.setdefault(run.texts, []).append(run)
        allowed: list[Planned] = []
        for of in points.values():
            new = [run.path.name for run in of if anew or not is_run(run.path)]
            new = [name for name in new if name not in self.added]
            if self.left is None or len(new) <= self.left:
                self.added += new
                allowed += of
        return allowed


def read_budget(directory: Path, most: int | None) -> Budget:
    """The budget of a sweep, less what the same command has spent before."""
    before = (read_object(directory / "sweep.json") or {}).get("added")
    return Budget(most, list(map(str, before)) if isinstance(before, list) else [])
