"""Lists of values as one types them: `0.1,0.2`, `[20,30],[40]`, `logspace(1e-3, 1, 7)`, `0-4`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from advtrain.config import yaml_tree
from advtrain.config.expressions import number

_LOGSPACE = re.compile(r"logspace\(([^,()]+),([^,()]+),([^,()]+)\)")
_MOST = 100_000  # values of one list, or seeds
_SEEDS = "expected seeds such as 0-4 or 0,2,5-7"
_OPEN, _CLOSE = "[{(", "]})"


@dataclass(frozen=True)
class Value:
    """One value of a key: as one types it, as YAML reads it, and where an error points."""

    text: str
    value: Any
    place: str


def typed(text: str, place: str, problems: list[str]) -> Value:
    """A value of an argument."""
    text = text.strip()
    tree = yaml_tree.parse(text)
    problems += [f"{place}: {problem}" for _, problem in tree.problems]
    if not text:
        problems.append(f"{place}: a value is missing")
    number = isinstance(tree.value, int | float) and not isinstance(tree.value, bool)
    return Value(written(tree.value) if number else text, tree.value, place)


def spelled_out(
    raw: list[Value], key: str, problems: list[str], distinct: bool = True
) -> list[Value]:
    """The values with `logspace` spelled out, each once."""
    values: list[Value] = []
    for one in raw:
        if one.text.startswith("logspace("):
            values += _logspace(one, key, problems)
        else:
            values.append(one)
    seen: set[str] = set()
    for one in values if distinct else []:
        if (same := canonical((one,))) in seen:
            problems.append(f"{one.place}: {key}: {one.text} stands there twice")
        seen.add(same)
    return values


def _logspace(text: Value, key: str, problems: list[str]) -> list[Value]:
    """`logspace(LOW, HIGH, COUNT)`: equal ratios, rounded so that the values can be typed."""
    match = _LOGSPACE.fullmatch("".join(text.text.split()))
    expected = f"expected logspace(LOW, HIGH, COUNT) with 0 < LOW < HIGH and 2 to {_MOST} values"
    try:
        if not match:
            raise ValueError
        low, high, count = (number(part) for part in match.groups())
        if not (0 < low < high and count == int(count) and 2 <= count <= _MOST):
            raise ValueError
    except ValueError:
        hint = "" if match else "; within braces it needs quotes"
        problems.append(f"{text.place}: {key}: {expected}, got {text.text!r}{hint}")
        return []
    exponents = (i / (int(count) - 1) for i in range(int(count)))
    span = math.log(high) - math.log(low)
    exact = [math.exp(math.log(low) + exponent * span) for exponent in exponents]
    return [Value(written(value), value, text.place) for value in rounded(exact)]


def rounded(values: Sequence[float]) -> list[float]:
    """To three significant digits, or to as many as keep different values apart."""
    for digits in range(3, 17):
        short = [float(f"{value:.{digits}g}") for value in values]
        if len(set(short)) == len(set(values)):
            return short
    return list(values)


def parse_seeds(text: str, place: str, problems: list[str]) -> tuple[int, ...] | None:
    """The seeds of `0-4` or `0,2,5-7`, or None after a problem."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})\s*(?:-\s*(\d{1,10}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < 2**31 or last - first >= _MOST:
            problems.append(f"{place}: {_SEEDS}, got {text!r}")
            return None
        found += range(first, last + 1)
    if len(set(found)) < len(found):
        problems.append(f"{place}: a seed stands there twice: {text}")
    return tuple(found)


def canonical(point: Sequence[Value]) -> str:
    """Equal for points that differ in spelling only."""
    return repr([_canonical(value.value) for value in point])


def _canonical(value: Any) -> Any:
    """The value, numbers as floats: 0.1 and .1 are equal, and 8/255 and its decimal."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    try:
        return number(value)
    except ValueError:
        return value


def split(text: str) -> list[str]:
    """The parts between commas that no bracket, brace, parenthesis or quotes enclose."""
    parts, depth, quote, begins, balanced = [""], 0, "", True, True
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"" and begins:
            quote = character
        elif character in _OPEN:
            depth += 1
        elif character in _CLOSE:
            depth -= 1
            balanced = balanced and depth >= 0
        if character == "," and depth <= 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
        begins = character in _OPEN + ",:" or (begins and character.isspace())
    return parts if balanced and depth == 0 and not quote else [text]


def written(value: Any) -> str:
    """A plain value as one would type it after `KEY=`."""
    if isinstance(value, float) and math.isfinite(value):
        return repr(value).removesuffix(".0")
    if isinstance(value, str) and yaml_tree.parse(value).value == value:
        return value
    text: str = yaml.safe_dump(value, default_flow_style=True, width=math.inf, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
