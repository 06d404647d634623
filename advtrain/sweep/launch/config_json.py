"""A config on its way to another process of the sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from advtrain.config.named_files import Origin
from advtrain.config.names import make_importable
from advtrain.config.places import Places
from advtrain.config.schema import Config
from advtrain.config.validation import problems_of
from advtrain.errors import AdvtrainError
from advtrain.store.same_code import code_in, code_to_json


def config_to_json(config: Config) -> dict[str, Any]:
    """The config and where it came from."""
    origin = config.origin
    return {
        "config": config.model_dump(mode="json"),
        "folder": str(origin.folder),
        "overrides": origin.overrides,
        "file": str(origin.places.file) if origin.places else "",
        "places": list(origin.places.known.items()) if origin.places else [],
        "sources": code_to_json(origin.code or {}),
    }


def config_from_json(content: dict[str, Any]) -> Config:
    """The same config, whose folder is importable; AdvtrainError where it is not valid here."""
    folder = Path(content["folder"])
    make_importable(folder)
    config, problems = problems_of(content["config"])
    if config is None or problems:
        raise AdvtrainError("; ".join(problem.text for problem in problems))
    places = Places(Path(content["file"]), {tuple(key): at for key, at in content["places"]})
    config.come_from(Origin(folder, tuple(content["overrides"]), places, code_in(content)))
    return config
