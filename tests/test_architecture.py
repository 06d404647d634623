"""The house: who may import whom, names and lengths of files, what stays free of torch."""

from __future__ import annotations

import ast
import graphlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from advtrain import load_config, train
from tests.helpers.bad_input import BAD
from tests.helpers.command_line import TINY
from tests.helpers.synthetic import learning, write_csv

PACKAGE = Path(__file__).parent.parent / "advtrain"
FILES = sorted(PACKAGE.rglob("*.py"))
LOOSE = {"errors", "records", "__init__", "__main__"}  # modules that lie in no room

# Each room with the rooms that its modules may import, besides itself.
BOTTOM = {"errors", "records", "config"}
MAY_IMPORT = {
    "errors": set(),
    "records": set(),
    "config": {"errors"},
    "process": BOTTOM,
    "diagnosis": BOTTOM,
    "learning": BOTTOM | {"process"},
    "store": BOTTOM | {"process"},
    "tasks": BOTTOM | {"process", "diagnosis", "learning", "store"},
    "terminal": BOTTOM | {"process", "store"},
    "sweep": BOTTOM | {"process", "diagnosis", "store", "tasks", "terminal"},
    "report": BOTTOM | {"process", "diagnosis", "store", "tasks", "terminal"},
    "cli": BOTTOM | {"process", "store", "tasks", "terminal", "sweep", "report"},
    "__init__": BOTTOM | {"tasks"},
    "__main__": {"cli"},
}
# Within a room: each folder with the folders of the room that its modules may import.
FOLDERS = {
    "learning.attacks": {"learning", "learning.data"},
    "learning.data": {"learning"},
    "learning.models": {"learning", "learning.attacks"},
    "learning.distributed": set(),
    "learning.objectives": {"learning", "learning.attacks", "learning.distributed"},
    "learning.measuring": {
        *(
            "learning",
            "learning.attacks",
            "learning.data",
            "learning.distributed",
            "learning.objectives",
        )
    },
    "report.input": set(),
    "report.numbers": {"report.input"},
    "report.figures": {"report.input", "report.numbers"},
    "report.page": {"report.figures", "report.numbers"},
}
# The few modules of rooms without torch that compute tensors.
WITH_TORCH = {
    *("store.checkpoint", "store.weights"),
    *("tasks.train", "tasks.prepare", "tasks.mid_epoch", "tasks.keep", "tasks.evaluate"),
    *("tasks.rehearsal", "tasks.checksums"),
}


def name(file: Path) -> str:
    """`learning.attacks.pgd`; a package by its folder's name."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {name(file): file for file in FILES}


def imports(file: Path) -> Iterator[str]:
    """Names of the modules of the package that a file imports, at any depth."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            whole = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        elif isinstance(node, ast.Import):
            whole = [alias.name for alias in node.names]
        else:
            assert not isinstance(node, ast.ImportFrom), f"{file}: a relative import"
            continue
        known = (each.removeprefix("advtrain.") for each in whole if each.startswith("advtrain."))
        yield from (each for each in known if each in MODULES)


def folder(module: str) -> str:
    return module if MODULES[module].stem == "__init__" else module.rpartition(".")[0]


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str) -> None:
    room, found = module.partition(".")[0], {*imports(MODULES[module])}
    assert {each.partition(".")[0] for each in found} <= MAY_IMPORT[room] | {room}
    if folder(module) in FOLDERS:
        of_room = {folder(each) for each in found if each.startswith(f"{room}.")}
        assert of_room <= FOLDERS[folder(module)] | {folder(module)}


def test_no_import_goes_in_a_circle() -> None:
    needs = {module: {*imports(file)} - {module} for module, file in MODULES.items()}
    list(graphlib.TopologicalSorter(needs).static_order())


def test_only_what_belongs_everywhere_lies_loose() -> None:
    assert {file.stem for file in PACKAGE.glob("*.py")} == LOOSE


def test_no_two_modules_share_a_name() -> None:
    stems = [
        file.stem for file in FILES if not file.stem.startswith("__") and file.parent.name != "cli"
    ]
    assert [stem for stem, count in Counter(stems).items() if count > 1] == []
    shared = {f.stem for f in (PACKAGE / "cli").glob("*.py")} & {*stems}
    assert shared == {"train", "evaluate", "diagnose"}  # a command and its task


def test_no_two_classes_share_a_name() -> None:
    classes = Counter(
        node.name
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in classes.items() if count > 1] == []


@pytest.mark.parametrize("module", MODULES)
def test_files_and_functions_are_short(module: str) -> None:
    text = MODULES[module].read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 65, f"{node.name} is too long"


def test_no_test_file_imports_another() -> None:
    """What several need lies in tests/helpers."""
    for file in Path(__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests."):
                assert (node.module or "").startswith("tests.helpers"), file


def test_what_does_not_train_imports_no_torch() -> None:
    """The worker of a sweep, too: it imports torch only when it works."""
    light = [
        f"advtrain.{module}"
        for module in MODULES
        if module.partition(".")[0] != "learning"
        and module not in WITH_TORCH
        and not module.startswith("__")
    ]
    assert {"advtrain.sweep.launch.worker", "advtrain.report.figures.curves"} <= {*light}
    code = (
        f"import sys, advtrain, {', '.join(light)}; "
        "print('torch' in sys.modules or 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_importing_what_trains_and_evaluates_costs_little_more_than_torch() -> None:
    """PyTorch imports its compiler where an optimizer is built; nothing before needs it."""
    code = "import sys, advtrain.tasks.train, advtrain.tasks.evaluate; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    slow = {
        "torch._dynamo",
        "torch._inductor",
        "triton",
        "sympy",
        "torchvision",
        "sklearn",
        "pandas",
    }
    assert not slow & {*done.stdout.split()}


@pytest.mark.parametrize(
    "command", ["evaluate runs --steps 2 --restarts 1", "train c.yaml --dry-run"]
)
def test_what_builds_no_optimizer_never_loads_the_compiler(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.yaml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    train(load_config("c.yaml", ["epochs=1"]))
    done = run_and_list(command.split())
    assert done.returncode == 0 and "torch._dynamo" not in done.stderr.split()


# Runs commands one after the other, and says which modules they had imported after each.
COMMANDS = """
import contextlib, io, json, os, sys
from advtrain.cli import main
from advtrain.sweep.launch import choose
from tests.helpers.made_workers import MadeWorkers
choose.Workers = MadeWorkers
for words in json.load(sys.stdin):
    sys.argv, code = ["advtrain", *words], 0
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    print(json.dumps([code, sorted({"torch", "pandas", "scipy"} & set(sys.modules))]))
"""


def test_commands_that_do_not_train_import_no_torch(tmp_path: Path) -> None:
    """All that list, judge, plan or draw, a sweep's own process, and who refuses a mistake."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    write_csv(tmp_path / "log.csv", learning(20))
    bad = [(f"bad{i}", case) for i, case in enumerate(BAD[::8])]
    for folder, case in bad:
        case.write(tmp_path / folder)
    listings = [[word] for word in ("--help", "models", "datasets", "schema")]
    sound = [
        *listings,
        ["sweep", "tiny.yaml", "lr=0.1,0.5", "--json"],
        ["status", "runs"],
        ["diagnose", "runs"],
        ["diagnose", "log.csv", "--classes", "10"],
        ["train", "tiny.yaml", "--print-config"],
        ["train", "tiny.yaml", "--dry-run"],
    ]
    report = ["report", "log.csv"]
    wrong = [["train", f"{folder}/bad.yaml", *case.arguments] for folder, case in bad]
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS], input=json.dumps([*sound, *wrong, report]),
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)}, capture_output=True,
        text=True,
    )  # fmt: skip
    found = [json.loads(line) for line in done.stdout.splitlines()]
    expected = [*([0, []] for _ in sound), *([2, []] for _ in wrong)]
    assert found[:-1] == expected, done.stderr
    code, modules = found[-1]
    assert code == 0 and "torch" not in modules


def test_help_imports_only_the_command_line() -> None:
    """Each command imports what it needs when it runs."""
    done = run_and_list(["--help"])
    loaded = {name for name in done.stderr.split() if name.startswith("advtrain.")}
    commands = {f"advtrain.cli.{file.stem}" for file in (PACKAGE / "cli").glob("[!_]*.py")}
    small = {"errors", "process", "process.signals", "process.ranks"}
    assert loaded == commands | {"advtrain.cli"} | {f"advtrain.{name}" for name in small}
    assert not {"pydantic", "yaml", "numpy", "pandas"} & set(done.stderr.split())


def run_and_list(command: list[str]) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, which lists the modules that it loaded on stderr."""
    code = (
        "import sys\nfrom advtrain.cli import main\n"
        f"sys.argv = ['advtrain', *{command!r}]\n"
        "code = 0\n"
        "try: main()\nexcept SystemExit as end: code = end.code or 0\n"
        "print(*sys.modules, file=sys.stderr)\n"
        "sys.exit(code)"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
