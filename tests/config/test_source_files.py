"""Which source files stand behind an `import:` name, and when two of them are the same."""

from __future__ import annotations

import py_compile
import sys
from pathlib import Path

import pytest

from advtrain.config.source_files import ModuleSource, read_sources, source_at, source_now


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules of the test's folder can be imported."""
    monkeypatch.syspath_prepend(tmp_path)


def write(folder: Path, **modules: str) -> None:
    """Files by dotted name; `__` stands for the dot."""
    for name, text in modules.items():
        file = folder / (name.replace("__", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def names(name: str) -> set[str]:
    return {*read_sources(name)}


def test_a_module_stands_for_itself_and_all_it_imports(tmp_path: Path) -> None:
    write(
        tmp_path,
        net="import torch\nimport blocks\ndef Net():\n    from lazily import layer",
        blocks="from deeper import *\ntry:\n    import missing\nexcept ImportError: pass",
        deeper="import net",
        lazily="",
        unused="",
    )
    assert names("import:net:Net") == {"net", "blocks", "deeper", "lazily"}
    assert next(iter(read_sources("import:net:Net"))) == "net"
    assert not {"net", "blocks", "deeper"} & sys.modules.keys(), "nothing was executed"


def test_packages_around_a_module_count_and_relative_imports_are_followed(tmp_path: Path) -> None:
    (tmp_path / "lib/sub").mkdir(parents=True)
    for name, text in {
        "lib/__init__.py": "from . import shared",
        "lib/shared.py": "",
        "lib/other.py": "",
        "lib/sub/__init__.py": "",
        "lib/sub/net.py": "from ..layers import wide\nfrom . import near",
        "lib/sub/near.py": "",
        "lib/layers.py": "",
    }.items():
        (tmp_path / name).write_text(text)
    expected = {"lib", "lib.shared", "lib.sub", "lib.sub.net", "lib.sub.near", "lib.layers"}
    assert names("import:lib.sub.net:Net") == expected


def test_folders_without_an_init_are_packages_too(tmp_path: Path) -> None:
    write(tmp_path, nets__small__mine="from nets.other import thing\nimport nets.small.help")
    write(tmp_path, nets__other="", nets__small__help="")
    expected = {"nets.small.mine", "nets.other", "nets.small.help"}
    assert names("import:nets.small.mine:Net") == expected


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ('importlib.import_module("zoo.cat")', {"zoo", "zoo.cat"}),
        ('importlib.import_module(f"zoo.{name}")', {"zoo", "zoo.cat", "zoo.dog"}),
        ('import_module("zoo." + name)', {"zoo", "zoo.cat", "zoo.dog"}),
        ('__import__("zoo.%s" % name)', {"zoo", "zoo.cat", "zoo.dog"}),
        ("import_module(name)", {"beside", "zoo"}),
        ('spec_from_file_location("x", folder / "beside.py")', {"beside", "zoo"}),
    ],
)
def test_modules_imported_by_a_name_made_at_run_time_count(
    tmp_path: Path, call: str, expected: set[str]
) -> None:
    write(tmp_path, net=f"def Net(name):\n    {call}", beside="")
    write(tmp_path, zoo____init____="", zoo__cat="", zoo__dog="")
    (tmp_path / "zoo/__init__.py").write_text("")
    assert names("import:net:Net") - {"net"} == expected


def test_a_package_that_imports_all_its_modules_has_them_all(tmp_path: Path) -> None:
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo/__init__.py").write_text("for m in iter_modules(__path__): load(m)")
    write(tmp_path, zoo__cat='import_module(f".{name}", __package__)', zoo__dog="")
    assert names("import:zoo:Net") == {"zoo", "zoo.cat", "zoo.dog"}


def test_what_is_installed_counts_by_its_version_and_python_itself_not_at_all() -> None:
    (source,) = read_sources("import:torchvision.models:resnet18").values()
    assert source.version and not source.sha256
    assert source.same(source_now("torchvision.models", source.file))
    assert not source.same(ModuleSource(source.file, version="0.1"))
    assert read_sources("import:json:loads") == {}


def same(folder: Path, one: str, other: str) -> bool:
    file = folder / "compared.py"
    found = []
    for text in (one, other):
        file.write_text(text)
        source = source_at(str(file))
        assert source
        found.append(source)
    return found[0].same(found[1])


CODE = 'WIDTH = 8\ndef Net(n):\n    """A network."""\n    return WIDTH * n\n'


@pytest.mark.parametrize(
    "edited",
    [
        "# a comment\n" + CODE,
        CODE.replace('    """A network."""\n', ""),
        CODE.replace("WIDTH * n", "(WIDTH  *  n)  # units"),
        CODE.replace("\n", "\r\n"),
    ],
)
def test_comments_docstrings_and_layout_change_no_code(tmp_path: Path, edited: str) -> None:
    assert same(tmp_path, CODE, edited)


@pytest.mark.parametrize(
    "edited",
    [CODE.replace("8", "9"), CODE.replace("*", "+"), CODE + "Net.x = 1\n", CODE + "def ("],
)
def test_anything_else_does(tmp_path: Path, edited: str) -> None:
    assert not same(tmp_path, CODE, edited)


def test_compiled_files_are_compared_by_their_bytes(tmp_path: Path) -> None:
    write(tmp_path, hidden="X = 1")
    file, compiled = tmp_path / "hidden.py", tmp_path / "hidden.pyc"
    py_compile.compile(str(file), cfile=str(compiled))
    file.unlink()
    (before,) = read_sources("import:hidden:X").values()
    assert before.file == str(compiled) and before.sha256
    write(tmp_path, again="X = 1")  # the same code, compiled at another time
    (tmp_path / "again.py").rename(file)
    py_compile.compile(str(file), cfile=str(compiled))
    write(tmp_path, hidden="X = 2")
    after = source_at(str(compiled))
    assert after and before.same(after)
    py_compile.compile(str(file), cfile=str(compiled))
    file.unlink()
    assert not before.same(source_now("hidden", before.file))


def test_a_module_that_python_finds_no_more_is_looked_for_where_it_was(tmp_path: Path) -> None:
    write(tmp_path, lib__blocks="X = 1")
    file = tmp_path / "lib/blocks.py"  # its folder was put on the path by the network's code
    before = source_at(str(file))
    assert before and before.same(source_now("blocks", str(file)))
    file.unlink()
    assert source_now("blocks", str(file)) is None


def test_a_module_in_an_encoding_of_its_own_or_that_is_no_python_is_read(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nX = '\xe9'\nimport other\n")
    (tmp_path / "other.py").write_bytes(b"\0not python")
    assert names("import:latin:X") == {"latin", "other"}
