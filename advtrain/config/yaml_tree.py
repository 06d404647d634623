"""YAML text to plain values, with the place of every key, by one grammar for files and overrides.

Numbers, `true`/`false` and `null` follow YAML 1.2 (`no` and `1:30` are text). Tags, merge keys,
duplicate keys and aliases that contain themselves are errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]

_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_MOST_NODES = 20_000  # aliases can make a small file expand without end


@dataclass
class Tree:
    """Plain values, `places` (line, column; from 1) of their keys, and what was wrong."""

    value: Any = None
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[tuple[tuple[int, int], str]] = field(default_factory=list)
    nodes: int = 0


def parse(text: str) -> Tree:
    """The tree of one YAML document; syntax errors end up in `problems`."""
    tree = Tree()
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        tree.problems.append((place, f"not valid YAML: {error.problem or error.context}"))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - (text.rfind("\n", 0, error.position) + 1) + 1
        tree.problems.append(((line, column), "not valid YAML: a control character"))
    except RecursionError:
        tree.problems.append(((1, 1), "nested too deeply"))
    else:
        if node is not None:
            tree.value = _construct(node, (), tree, ())
    return tree


def _construct(node: yaml.Node, path: Path, tree: Tree, parents: tuple[int, ...]) -> Any:
    place = (node.start_mark.line + 1, node.start_mark.column + 1)
    tree.places.setdefault(path, place)
    tree.nodes += 1
    standard = node.tag.startswith("tag:yaml.org,2002:") and "python/" not in node.tag
    if not standard:
        tree.problems.append((place, f"YAML tags are not supported: {node.tag}"))
    elif id(node) in parents:
        tree.problems.append((place, "an alias contains itself"))
    elif tree.nodes == _MOST_NODES:
        tree.problems.append((place, f"more than {_MOST_NODES} values"))
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
            tree.problems.append((place, "merge keys (<<) are not supported; use base:"))
        elif key in result:
            dotted = ".".join(map(str, (*path, key)))
            line = tree.places[(*path, key)][0]
            tree.problems.append((place, f"{dotted}: duplicate key, first on line {line}"))
        else:
            tree.places[(*path, key)] = place
            result[key] = _construct(value_node, (*path, key), tree, parents)
    return result


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.style is not None:  # quoted or block text is text
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
