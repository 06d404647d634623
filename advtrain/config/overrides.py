"""`KEY=VALUE` arguments: short keys to dotted paths, values by the same grammar as files."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from advtrain.config import yaml_tree
from advtrain.config.names import did_you_mean
from advtrain.config.schema import Config

# Where a leaf name stands in several sections, the short form means this one.
_PREFERRED = {
    "eps": "attack", "alpha": "attack", "steps": "attack", "norm": "attack",
    "start": "attack",
    "lr": "optimizer", "weight_decay": "optimizer",
    "epochs": "training", "batch_size": "training",
}  # fmt: skip


def keys_of_sections() -> dict[str, dict[str, Any]]:
    """Section (or top-level key) to its keys, each with its pydantic field; sections first."""
    result: dict[str, dict[str, Any]] = {}
    for name, info in Config.model_fields.items():
        classes: tuple[Any, ...] = Config.CHOICES.get(name, (info.annotation,))
        result[name] = {}
        for cls in classes:
            if isinstance(cls, type) and issubclass(cls, BaseModel):
                result[name] |= {k: v for k, v in cls.model_fields.items() if k not in result[name]}
    return result


def resolve_key(key: str) -> str:
    """The dotted path that a key of an override stands for; ValueError if none or several."""
    sections = keys_of_sections()
    head, dot, rest = key.partition(".")
    if key in sections:
        return key
    if key == "base":
        raise ValueError("base: only a file can name its base")
    if dot:
        if head not in sections:
            near = did_you_mean(head, sections) or f"; expected one of {', '.join(sections)}"
            raise ValueError(f"{head}: unknown section{near}")
        return f"{head}.{rest}"
    owners = [section for section, keys in sections.items() if key in keys and key != "name"]
    if key in _PREFERRED and _PREFERRED[key] in owners:
        return f"{_PREFERRED[key]}.{key}"
    if len(owners) > 1:
        options = " or ".join(f"{owner}.{key}" for owner in owners)
        raise ValueError(f"{key}: stands in several sections, write {options}")
    if not owners:
        leaves = {leaf: section for section, keys in sections.items() for leaf in keys}
        near = did_you_mean(key, [*leaves, *sections]) or "; `advtrain schema` shows them all"
        raise ValueError(f"{key}: unknown key{near}")
    return f"{owners[0]}.{key}"


def parse_override(argument: str) -> tuple[tuple[str, ...], Any]:
    """Path and value of `KEY=VALUE`; ValueError with a sentence for the user."""
    key, equals, text = argument.partition("=")
    if not equals or not key.strip():
        raise ValueError("expected KEY=VALUE")
    path = tuple(resolve_key(key.strip()).split("."))
    tree = yaml_tree.parse(text)
    if tree.problems:
        raise ValueError(f"{'.'.join(path)}: {tree.problems[0][1]}")
    return path, tree.value
