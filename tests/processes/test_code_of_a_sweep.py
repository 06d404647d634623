"""A network is edited while a sweep trains it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.helpers.command_line import Done
from tests.helpers.own_network import change, write_own
from tests.tasks.test_changed_code import refused

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
