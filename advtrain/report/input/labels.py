"""What cells and sides are called: by what differs between them, in few characters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from advtrain.config.expressions import number
from advtrain.config.grid import short_key
from advtrain.report.input.choices import Values
from advtrain.report.input.gather import Entry

MISSING = "-"  # shown where a config has no such key
_LONGEST = 24  # characters of a value in a name
_MOST = 3  # keys that a name tells


def plain(text: str) -> str:
    """Any text in one line, without what neither XML nor a terminal can show."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def short_values(values: Sequence[str]) -> dict[str, str]:
    """Each value as a name tells it: numbers in four digits, long texts cut.

    In full where two of them would be the same then.
    """
    found = {value: _short(value) for value in values}
    count = Counter(found.values())
    return {value: text if count[text] == 1 else value for value, text in found.items()}


def _short(value: str) -> str:
    try:
        text = f"{number(value):.4g}"
    except ValueError:
        return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1].rstrip()}…"
    return text if len(text) < len(value) else value


def differing(configs: Sequence[Values]) -> dict[str, list[str]]:
    """Every key whose value is not the same in all configs, with its value in each."""
    return {key: row for key, row in columns_of(configs).items() if len({*row}) > 1}


def columns_of(configs: Sequence[Values]) -> dict[str, list[str]]:
    """Every key with its value in each config."""
    keys = dict.fromkeys(key for values in configs for key in values)
    return {key: [values.get(key, MISSING) for values in configs] for key in keys}


def typed_key(key: str) -> str:
    """A key as one types it; a section's name stands for the section."""
    return short_key(tuple(key.split("."))).removesuffix(".name")


def by_difference(configs: Sequence[Values]) -> list[str]:
    """A name for each config: the first keys that differ, choices such as the optimizer before.

    All are empty where nothing differs.
    """
    table = differing(configs)
    keys = sorted(table, key=lambda key: not key.endswith(".name"))
    shown = {key: short_values(list(dict.fromkeys(table[key]))) for key in keys}
    names = []
    for i in range(len(configs)):
        told = [key for key in keys if table[key][i] != MISSING]
        parts = [f"{typed_key(key)} {shown[key][table[key][i]]}" for key in told[:_MOST]]
        parts += [f"and {len(told) - _MOST} more"] if len(told) > _MOST else []
        names.append(", ".join(parts))
    return names


def own_name(entry: Entry) -> str:
    """What a run or CSV is called where nothing differs."""
    if entry.config is None:
        return entry.path.name if entry.path.is_dir() else entry.path.stem
    config = entry.config
    return f"{config.name}, eps {config.attack.eps:.4g}, lr {config.optimizer.lr:.4g}"


def told_apart(names: Sequence[str], entries: Sequence[Entry]) -> list[str]:
    """The names, with more where several are the same: the config's name, or the folder's."""
    alike: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        alike.setdefault(name, []).append(i)
    found = list(names)
    for name, places in alike.items():
        if len(places) > 1:
            for i, more in zip(places, _apart([entries[i] for i in places]), strict=True):
                found[i] = f"{name} ({more})" if more else name
    return found


def _apart(entries: Sequence[Entry]) -> list[str]:
    """What tells entries apart whose configs do not."""
    configs = [entry.config for entry in entries]
    told = [config.name if config else "" for config in configs]
    if len(set(told)) == len(told):
        return told
    tables = [entry.result.table for entry in entries]
    carried = [str(table.carried) if table else "" for table in tables]
    if all(configs) and len(set(carried)) == len(carried):
        return [f"goes on after epoch {epoch}" for epoch in carried]
    return _folders([entry.path for entry in entries])


def _folders(paths: Sequence[Path]) -> list[str]:
    """The nearest folders around files that have different names."""
    parts = [path.resolve().parts[-2::-1] for path in paths]
    for level in range(min(map(len, parts))):
        names = [one[level] for one in parts]
        if len(set(names)) == len(names):
            return names
    return ["/".join(one[::-1]).removeprefix("//") for one in parts]
