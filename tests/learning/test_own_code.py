"""A process imports the code that a config means, also where it has imported something before."""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from advtrain import load_config
from advtrain.config.schema import Config
from advtrain.errors import AdvtrainError
from advtrain.learning.own_code import import_code

CONFIG = "model: import:mynet:Net\ndataset: digits\n"
NET = (
    "from torch import nn\nimport blocks\nWIDTH = 8\ndef Net(): return nn.Linear(WIDTH, blocks.N)\n"
)


def project(folder: Path, width: int = 8) -> Path:
    """A config with a network beside it, and a module that this imports."""
    folder.mkdir(exist_ok=True)
    (folder / "mynet.py").write_text(NET.replace("8", str(width)))
    (folder / "blocks.py").write_text("N = 1\n")
    (folder / "config.yaml").write_text(CONFIG)
    return folder / "config.yaml"


def planned(config: Config) -> Config:
    """The config as a sweep that begins now hands it to its workers."""
    code = import_code(config)
    config._origin = replace(config.origin, code=code)
    return config


def test_a_module_changed_since_it_was_imported_is_imported_anew(tmp_path: Path) -> None:
    file = project(tmp_path)
    first = import_code(load_config(file))["model.name"]
    assert first.keys() == {"mynet", "blocks"}
    before = sys.modules["mynet"]
    assert import_code(load_config(file))["model.name"] == first
    assert sys.modules["mynet"] is before, "nothing has changed"
    project(tmp_path, width=4)  # of the same length, and within the same second
    second = import_code(load_config(file))["model.name"]
    assert sys.modules["mynet"].WIDTH == 4 and not first["mynet"].same(second["mynet"])


def test_a_module_is_imported_anew_where_one_that_it_imports_has_changed(tmp_path: Path) -> None:
    file = project(tmp_path)
    import_code(load_config(file))
    (tmp_path / "blocks.py").write_text("N = 3\n")
    import_code(load_config(file))
    assert sys.modules["mynet"].Net().out_features == 3


def test_two_configs_may_have_modules_of_the_same_name(tmp_path: Path) -> None:
    """In one process, as in a notebook, or when runs of two folders are evaluated together."""
    one, other = project(tmp_path / "one"), project(tmp_path / "other", width=16)
    configs = [load_config(file) for file in (one, other)]
    for config, width in zip([*configs, *configs], (8, 16, 8, 16), strict=True):
        source = import_code(config)["model.name"]["mynet"]
        assert Path(source.file).parent == config.origin.folder
        assert width == sys.modules["mynet"].WIDTH


def test_a_module_of_the_users_own_import_stays_as_it_is(tmp_path: Path) -> None:
    config = load_config(project(tmp_path))
    module = importlib.import_module("mynet")
    module.WIDTH = 99  # as scripts do
    import_code(config)
    assert sys.modules["mynet"] is module and module.WIDTH == 99


def test_a_reloaded_module_is_what_it_was_reloaded_from(tmp_path: Path) -> None:
    file = project(tmp_path)
    first = import_code(load_config(file))["model.name"]
    project(tmp_path, width=32)
    module = importlib.reload(sys.modules["mynet"])
    second = import_code(load_config(file))["model.name"]
    assert sys.modules["mynet"] is module and not first["mynet"].same(second["mynet"])


def test_a_sweep_goes_on_with_the_code_that_it_began_with(tmp_path: Path) -> None:
    config = planned(load_config(project(tmp_path)))
    module = sys.modules["mynet"]
    project(tmp_path, width=16)
    assert import_code(config) == config.origin.code and sys.modules["mynet"] is module


@pytest.mark.parametrize("changed", ["mynet", "blocks"])
def test_a_new_worker_of_the_sweep_refuses_other_code(tmp_path: Path, changed: str) -> None:
    config = planned(load_config(project(tmp_path)))
    del sys.modules["mynet"], sys.modules["blocks"]  # another process
    file = tmp_path / f"{changed}.py"
    os.utime(file, (0, 0))
    import_code(config)  # on another host times may differ
    del sys.modules["mynet"], sys.modules["blocks"]
    file.write_text(file.read_text() + "X = 1\n")
    with pytest.raises(AdvtrainError, match=rf"{changed}\.py has changed since this sweep began"):
        import_code(config)


def test_what_a_network_puts_on_the_path_counts(tmp_path: Path) -> None:
    file = project(tmp_path)
    (tmp_path / "lib").mkdir()
    (tmp_path / "blocks.py").rename(tmp_path / "lib/blocks.py")
    there = "import sys, os\nsys.path.append(os.path.join(os.path.dirname(__file__), 'lib'))\n"
    (tmp_path / "mynet.py").write_text(there + NET)
    found = import_code(load_config(file))["model.name"]
    assert found["blocks"].file == str(tmp_path / "lib/blocks.py")


def test_importing_draws_the_same_numbers_whatever_was_drawn_before(tmp_path: Path) -> None:
    file = project(tmp_path)
    (tmp_path / "mynet.py").write_text("import torch\nX = torch.rand(1)\ndef Net(): pass\n")
    config, drawn = load_config(file), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = torch.get_rng_state()
        import_code(config)
        assert torch.equal(torch.get_rng_state(), state)
        drawn.append(sys.modules.pop("mynet").X)
    assert drawn[0] == drawn[1]
