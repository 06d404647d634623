"""YAML text to plain values, with the place of every key, by one grammar for files and overrides.

Numbers, `true`/`false` and `null` follow YAML 1.2 (`no` and `1:30` are text). Tags, merge keys,
duplicate keys and aliases that contain themselves are errors.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]

_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_MOST_NODES = 20_000  # aliases can make a small file expand without end
_DEEPEST = 50  # levels; far below what exhausts the stack of whoever walks the values


@dataclass
class Tree:
    """Plain values, `places` (line, column; from 1) of their keys, and what was wrong.

    Where a value could not be read, None stands in its place and its path is in `unread`.
    """

    value: Any = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[tuple[tuple[int, int], str]] = field(default_factory=list)
    unread: list[Path] = field(default_factory=list)
    nodes: int = 0

    def refuse(self, path: Path, place: tuple[int, int], text: str) -> None:
        """Note why the value at this path was not read."""
        self.problems.append((place, text))
        self.unread.append(path)


class _Loader(yaml.SafeLoader):
    """Refuses tags, also those of YAML's own types: values say themselves what they are."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        parser: Any = self  # PyYAML's stubs leave this method untyped
        event = parser.peek_event()
        if tag := getattr(event, "tag", None):
            raise yaml.composer.ComposerError(
                None, None, f"tags are not supported: {tag}", event.start_mark
            )
        return super().compose_node(parent, index)


def parse(text: str) -> Tree:
    """The tree of one YAML document; syntax errors end up in `problems`."""
    tree = Tree()
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        tree.refuse((), place, f"not valid YAML: {error.problem or error.context}")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - (text.rfind("\n", 0, error.position) + 1) + 1
        tree.refuse((), (line, column), "not valid YAML: a control character")
    except RecursionError:
        tree.refuse((), (1, 1), "nested too deeply")
    else:
        if node is not None:
            tree.value = _construct(node, (), tree, ())
    return tree


def _construct(node: yaml.Node, path: Path, tree: Tree, parents: tuple[int, ...]) -> Any:
    place = (node.start_mark.line + 1, node.start_mark.column + 1)
    tree.places.setdefault(path, place)
    tree.nodes += 1
    if id(node) in parents:
        tree.refuse(path, place, "an alias contains itself")
    elif len(path) > _DEEPEST:
        tree.refuse(path, place, "nested too deeply")
    elif tree.nodes == _MOST_NODES:
        tree.refuse((), place, f"more than {_MOST_NODES} values")
    elif tree.nodes < _MOST_NODES:
        match node:
            case yaml.MappingNode():
                return _mapping(node, path, tree, (*parents, id(node)))
            case yaml.SequenceNode():
                inside = (*parents, id(node))
                items = enumerate(node.value)
                return [_construct(item, (*path, i), tree, inside) for i, item in items]
            case yaml.ScalarNode():
                return _scalar(node)
    return None


def _mapping(
    node: yaml.MappingNode, path: Path, tree: Tree, parents: tuple[int, ...]
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        place = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        if key is None:
            tree.problems.append((place, "expected a word as key"))
        elif key_node.tag.endswith(":merge"):
            tree.refuse(path, place, "merge keys (<<) are not supported; use base:")
        elif key in result:
            dotted = ".".join(map(str, (*path, key)))
            line = tree.places[(*path, key)][0]
            tree.problems.append((place, f"{dotted}: duplicate key, first on line {line}"))
        else:
            tree.places[(*path, key)] = place
            result[key] = _construct(value_node, (*path, key), tree, parents)
    return result


def _scalar(node: yaml.ScalarNode) -> Any:
    """The value; what is quoted or a block is text."""
    return node.value if node.style is not None else plain(node.value)


def plain(text: str) -> Any:
    """What unquoted text stands for."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text
