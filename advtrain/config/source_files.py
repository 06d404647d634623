"""The source files behind the `import:` names of a config, found without running them.

They are the module itself, the packages around it, and all that these import, as long as it is
local: not installed, not part of Python or of advtrain. Imports no torch.
"""

from __future__ import annotations

import ast
import hashlib
import os
import pkgutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from advtrain.config.module_imports import imports_in
from advtrain.config.names import module_of

_PACKAGE = Path(__file__).parents[1]
_PYC_HEADER = 16  # bytes with the time of the compilation


@dataclass(frozen=True)
class ModuleSource:
    """A module's file, and digests of its bytes and of its code; both empty if unreadable.

    The code's digest leaves out comments, docstrings and layout. An installed package has its
    version instead of the digests.
    """

    file: str
    sha256: str = ""
    code: str = ""
    version: str = ""

    def same(self, other: ModuleSource | None) -> bool:
        """Whether both do the same, as far as can be told."""
        if not (self.sha256 or self.version):
            return True
        if other is None or self.version != other.version:
            return False
        return self.sha256 == other.sha256 or self.code == other.code


Sources = dict[str, ModuleSource]  # by the name of the module; the one that is named comes first
Code = dict[str, Sources]  # by the config's key, such as model.name


def shown(file: str) -> str:
    """The path as one would type it here."""
    near = os.path.relpath(file)
    return file if near.startswith("..") else near


def read_sources(name: str) -> Sources:
    """The sources behind `import:package.module:attribute`, as they are on disk now."""
    named = module_of(name)
    found: Sources = {}
    specs: dict[str, ModuleSpec | None] = {}
    seen, waiting = {named}, [named]
    while waiting:
        module = waiting.pop(0)
        spec = _local_spec(module, specs)
        if spec is None:
            continue
        more = [module.rpartition(".")[0]]
        if spec.has_location:  # else a package without __init__, which has no file
            found[module], tree = _read(str(spec.origin), _content(spec))
            more += _imported(spec, tree) if tree else []
        waiting += [each for each in dict.fromkeys(more) if each and each not in seen]
        seen |= {*waiting}
    if not found and named.partition(".")[0] not in sys.stdlib_module_names:
        found[named] = ModuleSource(named, version=_version(named))
    return found


def source_now(module: str, file: str) -> ModuleSource | None:
    """A module as it is on disk now; at `file` where Python's path does not lead to it."""
    spec = _spec(module, {})
    if spec is not None and spec.has_location:
        if (top := _spec(module.partition(".")[0], {})) and _installed(top):
            return ModuleSource(module, version=_version(module))
        return _read(str(spec.origin), _content(spec))[0]
    return source_at(file)


def source_at(file: str) -> ModuleSource | None:
    """The source in a file; None if there is no such file."""
    try:
        return _read(file, Path(file).read_bytes())[0]
    except OSError:
        return None


def _local_spec(module: str, specs: dict[str, ModuleSpec | None]) -> ModuleSpec | None:
    """Where Python would find a module, if that is local."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return None
    around = _spec(top, specs)
    if around is None or _installed(around):
        return None
    return _spec(module, specs)


def _spec(module: str, specs: dict[str, ModuleSpec | None]) -> ModuleSpec | None:
    """Where Python would find a module, which importlib tells only by importing its packages."""
    if module not in specs:
        specs[module] = _find(module, specs)
    return specs[module]


def _find(module: str, specs: dict[str, ModuleSpec | None]) -> ModuleSpec | None:
    package, _, last = module.rpartition(".")
    path: list[str] | None = None
    if package:
        around = _spec(package, specs)
        if around is None or around.submodule_search_locations is None:
            return None
        path = list(around.submodule_search_locations)
    for finder in sys.meta_path:
        with suppress(Exception):  # import hooks are anyone's
            spec = finder.find_spec(module, path)
            if spec is not None and spec.loader is not None:
                return spec
    # A package without __init__, which Python looks for only in packages that it has imported.
    folders = [Path(place) / last for place in path or sys.path]
    if not any(folder.is_dir() for folder in folders):
        return None
    spec = ModuleSpec(module, None, is_package=True)
    spec.submodule_search_locations = [str(folder) for folder in folders if folder.is_dir()]
    return spec


def _installed(spec: ModuleSpec) -> bool:
    """Whether a top-level module is installed, or part of Python or of advtrain."""
    places = [spec.origin] if spec.origin else [*(spec.submodule_search_locations or [])]
    if not places or (spec.origin and not spec.has_location):
        return True
    file = Path(places[0])
    if {"site-packages", "dist-packages"} & {*file.parts}:
        return True
    roots = [_PACKAGE, *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))]
    return any(file.is_relative_to(root) for root in roots)


def _content(spec: ModuleSpec) -> bytes | None:
    """The bytes of a module's file, source or compiled; None if there are none to read."""
    loader: Any = spec.loader
    try:
        content: bytes = loader.get_data(spec.origin)
        return content
    except Exception:  # a loader of anyone's
        return None


def _read(file: str, content: bytes | None) -> tuple[ModuleSource, ast.Module | None]:
    """The source with this content, and its syntax tree if it has one."""
    if content is None:
        return ModuleSource(file), None
    try:
        tree = ast.parse(content)
        code = _dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # compiled, or nobody's Python
        tree = None
        code = content[_PYC_HEADER:] if file.endswith(".pyc") else content
    return ModuleSource(file, _digest(content), _digest(code)), tree


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _dump(tree: ast.Module) -> bytes:
    """The tree as text; it loses statements that are nothing but text, as docstrings are."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            statements = getattr(node, name, None)
            if isinstance(statements, list):
                setattr(node, name, [each for each in statements if not _is_text(each)])
    return ast.dump(tree).encode(errors="surrogatepass")


def _is_text(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
    return False


def _imported(spec: ModuleSpec, tree: ast.Module) -> Iterator[str]:
    """The names of what a module may import, and of what is no module."""
    for name in imports_in(tree, spec.name, package=spec.submodule_search_locations is not None):
        above, _, last = name.rpartition(".")
        if last != "*":
            yield name
        elif above:
            found = _spec(above, {})
            places = list(found.submodule_search_locations or []) if found else []
            yield from (m.name for m in pkgutil.iter_modules(places, f"{above}."))
        else:  # whatever lies beside the file
            yield from (m.name for m in pkgutil.iter_modules([str(Path(str(spec.origin)).parent)]))


def _version(module: str) -> str:
    """The version of the installed package that a module belongs to; empty if it has none."""
    top = module.partition(".")[0]
    with suppress(PackageNotFoundError):
        return version(top)
    for name in packages_distributions().get(top, []):  # which takes a second
        with suppress(PackageNotFoundError):
            return version(name)
    return ""
