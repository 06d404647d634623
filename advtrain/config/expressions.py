"""Numbers as people write them in a config: `0.03`, `8/255`, `1e-4`, `2.5*eps/steps`."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_LONGEST = 200  # characters; beyond it, nesting could exhaust the parser's stack


def evaluate(text: str, **names: float) -> float:
    """Value of an arithmetic expression of numbers, `+ - * / ( )` and the given names.

    Raises ValueError, with a sentence for the user, for anything else and for results
    that are not finite. The text is parsed, never executed.
    """
    allowed = f"a number or an expression in {' and '.join(names)}" if names else "a number"
    if len(text) > _LONGEST:
        raise ValueError(f"expected {allowed}, got {len(text)} characters")
    try:
        value = _value(ast.parse(text.strip(), mode="eval").body, names)
    except ZeroDivisionError:
        raise ValueError(f"{text!r} divides by zero") from None
    except (SyntaxError, ValueError, OverflowError, RecursionError):
        raise ValueError(f"expected {allowed}, got {text!r}") from None
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {text!r}")
    return value


def _value(node: ast.expr, names: dict[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number)
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, names)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, names)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, names), _value(right, names))
    raise ValueError


def number(value: object) -> float:
    """A finite float from a YAML scalar; raises ValueError with a sentence for the user."""
    if isinstance(value, str):
        return evaluate(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {shown(value)}")
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {value}")
    return float(value)


def integer(value: object) -> int:
    """A whole number from a YAML scalar (`1e3` is 1000); raises ValueError likewise."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    result = number(value)
    if result != int(result):
        raise ValueError(f"expected a whole number, got {shown(value)}")
    return int(result)


def shown(value: object) -> str:
    """The value as an error message quotes it: short, on one line."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
