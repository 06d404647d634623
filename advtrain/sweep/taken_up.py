"""Whether the runs that a sweep takes up were made by its code, on its images.

So were those that differ from its own by their seed alone: both are taken together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from advtrain.config.schema import Config
from advtrain.config.source_files import source_now
from advtrain.errors import AdvtrainError
from advtrain.store import provenance
from advtrain.store.naming import directories, other_seeds
from advtrain.store.same_code import difference, untold
from advtrain.store.same_images import FIXED, named_images, other_images, stamp, vouched
from advtrain.sweep.launch.image_sums import image_sums
from advtrain.sweep.plan import Planned


def check_taken_up(runs: Sequence[Planned], *, anew: bool = False, load: bool = True) -> list[str]:
    """Raise AdvtrainError that names the file, or the dataset, where one differs.

    Gives warnings about runs of which nothing is known. `anew`: the runs themselves are to be
    trained from the start. Without `load` what only loading images tells is left out.
    """
    told = [r for r in runs if r.config.imports or stamp(r.config.dataset) != FIXED]
    there = _there(told, anew=anew) if told else {}
    records = {path: provenance.glance(path) for path in there}
    _check_code(there, records)
    if load:
        _check_images(there, records)
    text = untold(there)
    return [text] if text else []


def _there(runs: Sequence[Planned], *, anew: bool) -> dict[Path, Config]:
    """The runs that are there, with other seeds of the same cells."""
    folder = runs[0].path.parent
    known = directories(folder)
    found: dict[Path, Config] = {}
    for cell in {run.texts: run for run in runs}.values():
        found |= dict.fromkeys(other_seeds(cell.config, folder, None, known), cell.config)
    own = {run.path: run.config for run in runs}
    found = {path: config for path, config in found.items() if path not in own}
    return found | ({} if anew else {path: c for path, c in own.items() if path.is_dir()})


def _check_code(there: Mapping[Path, Config], records: Mapping[Path, dict[str, Any]]) -> None:
    look = cache(source_now)
    changed = {
        path: text
        for path, config in there.items()
        if (text := difference(config, records[path], "this run began", look))
    }
    _refuse(changed, "restore it, or give the new code a sweep of its own with name=...")


def _check_images(there: Mapping[Path, Config], records: Mapping[Path, dict[str, Any]]) -> None:
    """Images are loaded only where their files' sizes and times do not tell."""
    datasets = {path: config.dataset.model_dump_json() for path, config in there.items()}
    configs = {datasets[path]: config for path, config in there.items() if records[path]}
    stamps = {dataset: stamp(config.dataset) for dataset, config in configs.items()}
    doubtful = {
        path: datasets[path]
        for path, record in records.items()
        if record and not vouched(record, stamps[datasets[path]])
    }
    wanted = list(dict.fromkeys(doubtful.values()))
    sums = dict(zip(wanted, image_sums([configs[each] for each in wanted]), strict=True))
    changed = {
        path: f"{named_images(configs[dataset].dataset)} are not those that this run began with"
        for path, dataset in doubtful.items()
        if other_images(records[path], sums[dataset])
    }
    _refuse(changed, "give the new ones a sweep of their own with name=...")


def _refuse(changed: Mapping[Path, str], remedy: str) -> None:
    if changed:
        path, text = next(iter(changed.items()))
        more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        raise AdvtrainError(f"{path}{more}: {text}; {remedy}")
