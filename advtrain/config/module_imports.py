"""The names that a module's source imports, read from its syntax tree. Imports no torch."""

from __future__ import annotations

import ast
from collections.abc import Iterator

# Functions that import what their first argument names.
_BY_NAME = ("import_module", "__import__")
# Functions by which a module finds files to run.
_BY_FILE = ("iter_modules", "walk_packages", "spec_from_file_location", "run_path", "run_module",
            "SourceFileLoader")  # fmt: skip


def imports_in(tree: ast.Module, module: str, *, package: bool) -> Iterator[str]:
    """Dotted names that the module may import, in functions as well; some name no module.

    `package.*` stands for all modules of a package and `*` for those beside the file: the source
    makes the name at run time.
    """
    own = module if package else module.rpartition(".")[0]
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(names=names, module=of, level=level):
                base = _absolute("." * level + (of or ""), own)
                if base:
                    yield base
                    yield from (f"{base}.{alias.name}" for alias in names)
            case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=args):
                if called in _BY_NAME and args:
                    text, whole = _text(args[0])
                    yield _absolute(text, own) if whole else _all_of(text, own)
                elif called in _BY_FILE:
                    yield f"{own}.*".lstrip(".")


def _absolute(name: str, own: str) -> str:
    """The name without leading dots, which count from the package `own`."""
    bare = name.lstrip(".")
    level = len(name) - len(bare)
    if not level:
        return name
    parts = own.split(".")[: len(own.split(".")) - level + 1]
    return ".".join([*parts, bare]) if bare else ".".join(parts)


def _all_of(start: str, own: str) -> str:
    """All modules of the package that a name begins with; of `own` if it names none."""
    head = start[: start.rfind(".") + 1]
    package = _absolute(head[:-1] if head.strip(".") else head, own) if head else own
    return f"{package}.*".lstrip(".")


def _text(node: ast.expr) -> tuple[str, bool]:
    """The text that an expression begins with, and whether that is all of it."""
    match node:
        case ast.Constant(value=str(text)):
            return text, True
        case ast.JoinedStr(values=[first, *_]):
            return _text(first)[0], False
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod()):
            return _text(left)[0].partition("%")[0], False
        case ast.Call(func=ast.Attribute(value=value, attr="format")):
            return _text(value)[0].partition("{")[0], False
    return "", False
