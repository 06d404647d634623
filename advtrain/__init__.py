"""advtrain: does my adversarial training converge, and if not, why?

`load_config(path, overrides)` and `train(config, runs_dir=..., device=...)` do what the command
line does. Importing advtrain imports no torch; the first use of `train` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from advtrain.config.load import load_config as load_config
    from advtrain.tasks.train import train as train

__all__ = ["__version__", "load_config", "train"]


def __getattr__(name: str) -> Any:
    if name == "load_config":
        from advtrain.config.load import load_config

        return load_config
    if name == "train":
        from advtrain.tasks.train import train

        return train
    raise AttributeError(f"module 'advtrain' has no attribute {name!r}")
