"""A sweep's code is edited while it trains; its images are loaded by another process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from advtrain import load_config
from advtrain.errors import AdvtrainError
from advtrain.sweep.launch.image_sums import image_sums
from advtrain.tasks.checksums import checksum_of
from tests.helpers.command_line import Done
from tests.helpers.own_arrays import LOAD, write_function
from tests.helpers.own_network import change, refused, write_own

EDIT = """\
def Net(num_classes):
    file = Path(__file__).with_name("blocks.py")
    file.write_text(file.read_text().replace("ReLU", "Sigmoid"))
"""


def test_a_sweep_ends_with_the_code_that_it_began_with(
    advtrain: Callable[..., Done], tmp_path: Path
) -> None:
    own = write_own(tmp_path)
    change(tmp_path / "mynet.py", "def Net(num_classes):\n", EDIT)
    change(tmp_path / "mynet.py", "import blocks", "from pathlib import Path\n\nimport blocks")
    done = advtrain("sweep", own, "--seeds", "0-1", "--jobs", "1")
    assert done.code == 0, done.err
    records = [json.loads(f.read_text()) for f in tmp_path.glob("runs/own/*/provenance.json")]
    assert len(records) == 2 and records[0]["sources"] == records[1]["sources"]
    done = advtrain("sweep", own, "--seeds", "0-2", "--jobs", "1")
    refused(done, "(and 1 more): blocks.py has changed since this run began")


def test_another_process_loads_the_images(tiny: Path, tmp_path: Path) -> None:
    """One for all datasets; what they print, and why one cannot be loaded, is told apart."""
    write_function(tiny)
    tiny.with_name("mine.py").write_text(LOAD.replace("    with", "    print('!')\n    with"))
    config = load_config(tiny)
    assert image_sums([config]) == [checksum_of(config)] and image_sums([]) == []
    tiny.with_name("mine.npz").unlink()
    with pytest.raises(AdvtrainError) as error:
        image_sums([config])
    assert str(error.value).startswith(f"{tiny}:3:1: dataset.name: import:mine:load: File")
    tiny.with_name("mine.py").write_text("import os\ndef load(train): os._exit(7)\n")
    with pytest.raises(AdvtrainError, match="exit code 7"):
        image_sums([load_config(tiny)])
