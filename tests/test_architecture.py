"""The house: who may import whom, how long a file may be, what stays free of torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "advtrain"
FILES = sorted(PACKAGE.rglob("*.py"))

# Each layer with the layers that its modules may import, besides itself.
BOTTOM = {"errors", "records", "config"}
MAY_IMPORT = {
    "errors": set(),
    "records": set(),
    "config": {"errors"},
    "learning": BOTTOM | {"interrupt"},
    "diagnosis": BOTTOM,
    "store": BOTTOM | {"interrupt"},
    "diagnose": BOTTOM | {"diagnosis", "store"},
    "observer": BOTTOM,
    "work": BOTTOM | {"learning", "store", "observer"},
    "part": BOTTOM | {"learning", "store", "observer", "work", "interrupt"},
    "experiment": BOTTOM
    | {"learning", "diagnose", "store", "observer", "work", "part", "interrupt"},
    "evaluation": BOTTOM | {"learning", "store"},
    "charts": set(),
    "answer": set(),
    "listings": BOTTOM,
    "jobs": BOTTOM | {"store"},
    "console": BOTTOM | {"store", "observer", "charts", "answer"},
    "overview": BOTTOM | {"store", "console", "listings", "jobs"},
    "sweep": BOTTOM
    | {"diagnosis", "diagnose", "store", "observer", "answer", "console", "experiment", "jobs"}
    | {"interrupt"},
    "report": BOTTOM | {"diagnosis", "diagnose", "store", "answer", "interrupt"},
    "interrupt": {"errors", "config"},
    "cli": BOTTOM
    | {"store", "diagnose", "answer", "console", "listings", "overview", "interrupt", "sweep"}
    | {"report", "experiment", "evaluation"},
    "__init__": BOTTOM | {"experiment"},
    "__main__": {"cli"},
}
NO_TORCH = ["config", "records", "errors", "observer", "diagnose", "answer", "listings", "jobs",
            "overview", "console", "cli"]  # fmt: skip


def layer(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def imports(file: Path) -> set[str]:
    """Modules of the package that a file imports, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: relative import"
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name == "advtrain" or name.startswith("advtrain.")}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_imports_point_one_way(file: Path) -> None:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    own = parts[0]
    allowed = MAY_IMPORT[own] | {own}
    assert {layer(name) for name in imports(file)} <= allowed


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(PACKAGE)))
def test_files_and_functions_are_short(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 65, f"{node.name} is too long"


def test_what_does_not_train_imports_no_torch() -> None:
    modules = [f"advtrain.{name}" for name in NO_TORCH]
    stored = ("rundir", "metrics", "run", "naming", "parent", "examples", "evaluations",
              "evaluated")  # fmt: skip
    modules += [f"advtrain.store.{name}" for name in stored]
    folders = ("sweep", "launch", "report", "figures", "page")
    whole = [f for f in FILES if f.parent.name in folders and f.stem != "__init__"]
    modules += [
        ".".join(f.relative_to(PACKAGE.parent).with_suffix("").parts) for f in whole
    ]  # the worker, too: it imports torch only when it works
    assert {"advtrain.sweep.launch.local", "advtrain.report.figures.curves"} <= {*modules}
    code = (
        f"import sys, advtrain, {', '.join(modules)}; "
        "print('torch' in sys.modules or 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    "command", [["--help"], ["models"], ["datasets"], ["schema"], ["status", "."]]
)
def test_listings_import_no_torch(command: list[str]) -> None:
    code = (
        "import sys\nfrom advtrain.cli import main\n"
        f"sys.argv = ['advtrain', *{command!r}]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "sys.exit(3 if 'torch' in sys.modules else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_help_imports_only_the_command_line() -> None:
    """Each command imports what it needs when it runs."""
    code = (
        "import sys\nfrom advtrain.cli import main\n"
        "sys.argv = ['advtrain', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = {name for name in done.stderr.split() if name.startswith("advtrain.")}
    commands = {f"advtrain.cli.{file.stem}" for file in (PACKAGE / "cli").glob("[!_]*.py")}
    small = {"errors", "interrupt", "config", "config.ranks"}
    assert loaded == commands | {"advtrain.cli"} | {f"advtrain.{name}" for name in small}
    assert not {"pydantic", "yaml", "numpy", "pandas"} & set(done.stderr.split())
