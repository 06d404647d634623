"""The checksums of a sweep's datasets, from a process that loads them: the sweep imports no torch.

That process reads configs from stdin and writes the checksums to stdout, both as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence

from advtrain.config.load import located
from advtrain.config.schema import Config
from advtrain.errors import AdvtrainError, SettingError
from advtrain.sweep.launch.config_json import config_from_json, config_to_json

_CODE = (
    "import sys; sys.path[:] = {path!r}; from advtrain.sweep.launch.image_sums import main; main()"
)


def image_sums(configs: Sequence[Config]) -> list[str]:
    """The checksum of the images that each config's dataset has now.

    Raises ConfigError where a dataset cannot be loaded.
    """
    if not configs:
        return []
    asked = json.dumps([config_to_json(config) for config in configs])
    command = [sys.executable, "-c", _CODE.format(path=sys.path)]
    done = subprocess.run(command, input=asked, capture_output=True, text=True)
    try:
        answers: list[dict[str, str]] = json.loads(done.stdout)
    except ValueError:
        last = " ".join(done.stderr.splitlines()[-1:])[:300]
        raise AdvtrainError(
            f"the images of {configs[0].dataset.name} could not be loaded, to compare them with "
            f"those of the runs: exit code {done.returncode}: {last}"
        ) from None
    for config, answer in zip(configs, answers, strict=True):
        if answer["error"]:
            with located(config):
                raise SettingError(answer["key"], answer["error"])
    return [answer["sum"] for answer in answers]


def main() -> None:
    """Answer once."""
    from advtrain.tasks.checksums import checksum_of

    answers, asked = os.dup(1), json.load(sys.stdin)
    os.dup2(2, 1)  # what datasets print is no answer
    found = []
    for content in asked:
        try:
            found.append({"sum": checksum_of(config_from_json(content)), "error": ""})
        except SettingError as error:
            text = str(error).removeprefix(f"{error.key}: ")
            found.append({"error": text, "key": error.key})
        except AdvtrainError as error:
            found.append({"error": str(error), "key": "dataset.name"})
    with os.fdopen(answers, "w") as out:
        json.dump(found, out)
