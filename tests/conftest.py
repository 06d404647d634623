"""What the tests share: the command line in this process or its own, and small experiments."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side


from advtrain import cli
from tests.helpers import gated_network, normed_network
from tests.helpers.command_line import TINY, Done
from tests.helpers.made_workers import MadeWorkers, Recipe
from tests.helpers.mischief import MISCHIEF
from tests.helpers.slurm_host import slurm as slurm  # fixtures for all
from tests.helpers.slurm_host import slurm_host as slurm_host
from tests.helpers.slurm_said import Say, stand_in

# Tests send Ctrl-C, which a shell's `&` would have this process and all it starts ignore.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """One worker more than cores where some wait for other processes most of the time."""
    waiting = "not slow" not in config.option.markexpr
    return len(os.sched_getaffinity(0)) + 1 if waiting else None


@pytest.fixture(autouse=True)
def forgotten(tmp_path: Path) -> Iterator[None]:
    """Modules that a test wrote are not there for the next one, which may write others so named.

    Nor are the folders of configs, which become importable.
    """
    before = list(sys.path)
    yield
    sys.path[:] = before
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(f"{tmp_path}{os.sep}"):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def no_other_python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another Python takes a second and more to start: what needs one lies in tests/processes."""
    start, alone = subprocess.Popen.__init__, request.node.get_closest_marker("slow") is None

    def guarded(process: Any, words: Any, *rest: Any, **more: Any) -> None:
        program = words if isinstance(words, str) else str(words[0])
        assert program != sys.executable, "a test that starts Python lies in tests/processes"
        start(process, words, *rest, **more)

    if alone and request.path.name != "test_architecture.py":
        monkeypatch.setattr(subprocess.Popen, "__init__", guarded)


@pytest.fixture
def advtrain(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Done]:
    """Run the command line in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["advtrain", *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as exit:
            code = exit.code or 0
        captured = capsys.readouterr()
        assert isinstance(code, int)
        return Done(code, captured.out, captured.err)

    return run


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A config that trains in a fraction of a second."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture
def config(tiny: Path) -> Path:
    """The tiny config, with a module for `import:` beside it."""
    tiny.with_name("normed.py").write_text(normed_network.NET)
    return tiny


@pytest.fixture
def gated(tiny: Path) -> Path:
    """The tiny config, with a network that waits in its folder."""
    tiny.with_name("gated.py").write_text(gated_network.NET)
    return tiny


@pytest.fixture
def mischief(tiny: Path) -> Path:
    """The tiny config with a model that can be told to fail."""
    tiny.with_name("mischief.py").write_text(MISCHIEF)
    tiny.write_text(
        tiny.read_text().replace("{name: mlp, args: {width: 16, depth: 1}}", "import:mischief:Net")
    )
    return tiny


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Let a command of Slurm, named first, print a text and end with a code."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return partial(stand_in, folder)


@pytest.fixture
def made_runs(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """Sweeps of this process write made-up runs, by this recipe, instead of training any."""
    recipe = Recipe()
    monkeypatch.setattr(MadeWorkers, "recipe", recipe)
    monkeypatch.setattr("advtrain.sweep.launch.choose.Workers", MadeWorkers)
    monkeypatch.setattr("advtrain.sweep.launch.machine.count_gpus", lambda: 0)
    return recipe
