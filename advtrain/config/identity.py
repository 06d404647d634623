"""What makes two configs the same experiment, and a config as text."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from advtrain.config import yaml_tree
from advtrain.config.names import MODELS
from advtrain.config.schema import Config
from advtrain.errors import SettingError


def identity(config: Config, parent: str | None = None) -> str:
    """Eight hex digits of a hash over the keys that differ from the schema's defaults.

    `parent` names the run that this one goes on from. The seed always counts; name, paths and
    `slurm` never do (of `model.weights` the content does), so a folder may move and a new key
    with a default leaves every identity as it was.
    """
    keys = config.model_dump(exclude_defaults=True, exclude={"name", "seed", "slurm"})
    for section in Config.CHOICES:  # exclude_defaults drops each choice's own name
        chosen = getattr(config, section)
        if chosen.name != Config.model_fields[section].default.name:
            keys.setdefault(section, {})["name"] = chosen.name
    keys["dataset"].pop("root", None)
    if weights := config.model.weights_file:
        keys["model"]["weights"] = _digest(weights)
    if config.model.name in MODELS:
        defaults = MODELS[config.model.name].args().model_dump()
        args = {k: v for k, v in config.model.args.items() if v != defaults[k]}
        keys["model"] = {k: v for k, v in keys["model"].items() if k != "args"}
        keys["model"] |= {"args": args} if args else {}
    keys |= {"seed": config.seed, "parent": parent}
    canonical = json.dumps(keys, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def recipe(config: Config) -> dict[str, Any]:
    """The keys that tell one experiment from another, as JSON has them: no name, seed or `slurm`.

    Nor `dataset.root`: a folder may move.
    """
    return config.model_dump(
        mode="json", exclude={"name": True, "seed": True, "slurm": True, "dataset": {"root"}}
    )


def _digest(weights: Path) -> str:
    try:
        file = weights.absolute()
        stat = file.stat()
        return _sha256(file, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    except OSError as error:
        raise SettingError("model.weights", f"{weights}: {error.strerror}") from None


@cache
def _sha256(file: Path, *_: int) -> str:
    """Of a file as it was at these times; a sweep asks for each of its runs."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


_LINE_ENDS = "\n\r\x85\u2028\u2029"  # YAML's


class _Dumper(yaml.SafeDumper):
    """Quotes text that the reader would not take for this text.

    The reader's YAML is 1.2; line ends, which it makes all alike, are written as escapes.
    """


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    quotes = None if yaml_tree.plain(text) == text else "'"
    if any(end in text for end in _LINE_ENDS):
        quotes = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=quotes)


_Dumper.add_representer(str, _text)


def to_yaml(config: Config, header: str = "") -> str:
    """The whole config, defaults included; loading it gives an equal config."""
    data: dict[str, Any] = config.model_dump(mode="json")
    comment = "".join(f"# {line}\n" for line in header.splitlines())
    return comment + yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
