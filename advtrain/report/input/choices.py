"""The objective with the keys that go with it as one value: `pgd awp=0.01`, `fgsm start=noise`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from advtrain.config import yaml_tree
from advtrain.config.objectives import OBJECTIVES
from advtrain.config.overrides import resolve_key
from advtrain.config.values import written

Values = Mapping[str, str]  # of a config, by dotted key

_SECTION = "objective."
_NAME = "objective.name"
_DEFAULTS = {
    cls.model_fields["name"].default: {
        f"{_SECTION}{key}": written(value) for key, value in cls().model_dump(mode="json").items()
    }
    for cls in OBJECTIVES
}


def folded(configs: Sequence[Values]) -> list[dict[str, str]]:
    """The configs with the objective's keys told in its name, where not at their defaults.

    Keys that take each of their values with all of the others' stay: they are axes of their own.
    """
    keys = dict.fromkeys(k for values in configs for k in values if k.startswith(_SECTION))
    differing = [key for key in keys if len({values.get(key) for values in configs}) > 1]
    told = [key for key in differing if key == _NAME or not _crossed(key, differing, configs)]
    if not set(told) - {_NAME}:
        return [dict(values) for values in configs]
    return [_told(values, told) for values in configs]


def _crossed(key: str, keys: Sequence[str], configs: Sequence[Values]) -> bool:
    """Whether each value of the key occurs with each combination of the others."""
    others = [other for other in keys if other != key]
    pairs = {(c.get(key), tuple(c.get(other) for other in others)) for c in configs if _NAME in c}
    return len(pairs) == len({one for one, _ in pairs}) * len({rest for _, rest in pairs})


def _told(values: Values, told: Sequence[str]) -> dict[str, str]:
    """One config without those keys, which its objective's name tells instead."""
    if _NAME not in values:
        return dict(values)
    default = _DEFAULTS.get(values[_NAME], {})
    at = list(values).index(_NAME)
    keys = [*list(values)[at + 1 :], *list(values)[:at]]  # its own before those of several
    more = [f"{key.removeprefix(_SECTION)}={values[key]}" for key in keys
            if key in told and values[key] != default.get(key)]  # fmt: skip
    kept = {key: value for key, value in values.items() if key == _NAME or key not in told}
    return kept | {_NAME: " ".join([values[_NAME], *more])}


def spelled_out(row: Values) -> dict[str, str]:
    """A sweep's row of which the objective, a name or a mapping, is told by its keys in full.

    A row without one, or with one that is none of ours, stays as it is.
    """
    column = next((key for key in ("objective", _NAME) if key in row), None)
    value = yaml_tree.parse(row[column]).value if column else None
    given = value if isinstance(value, dict) else {"name": value}
    name = given.get("name")
    if column is None or not isinstance(name, str) or name not in _DEFAULTS:
        return dict(row)
    keys = {f"{_SECTION}{key}": written(one) for key, one in given.items()}
    rest = {_dotted(key): value for key, value in row.items() if key != column}
    return _DEFAULTS[name] | keys | rest


def _dotted(key: str) -> str:
    """The objective's keys in full, others as they are."""
    try:
        full = resolve_key(key)
    except ValueError:
        return key
    return full if full.startswith(_SECTION) else key
