"""Plain values to a `Config`, or to sentences that say what was expected where."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from advtrain.config.expressions import shown
from advtrain.config.names import MODELS, did_you_mean
from advtrain.config.overrides import keys_of_sections
from advtrain.config.places import ContradictionError, Problem
from advtrain.config.schema import Config


def problems_of(
    values: dict[str, Any], *, check_imports: bool = True
) -> tuple[Config | None, list[Problem]]:
    """The config, if the values make one, and all problems found; `values` is not changed."""
    values = {key: _section(key, value) for key, value in values.items()}
    problems: list[Problem] = []
    model = values.get("model")
    if isinstance(model, dict) and isinstance(model.get("name"), str) and model["name"] in MODELS:
        args = model.get("args", {})
        if isinstance(args, dict):
            info = MODELS[model["name"]]
            try:
                model["args"] = info.args(**args).model_dump()
            except ValidationError as error:
                problems += _sentences(error, ("model", "args"), list(info.args.model_fields))
                model["args"] = {}
    try:
        context = {"check_imports": check_imports}
        return Config.model_validate(values, context=context), problems
    except ValidationError as error:
        return None, _sentences(error, (), list(Config.model_fields)) + problems


def _section(key: str, value: Any) -> Any:
    """A word stands for the section's `name`; a choice without one keeps the default's name."""
    fields = Config.model_fields
    if _named(key) and isinstance(value, str):
        return {"name": value}
    if key in Config.CHOICES and isinstance(value, dict) and "name" not in value:
        return {"name": fields[key].default.name, **value}
    return dict(value) if isinstance(value, dict) else value


def _named(key: str | int) -> bool:
    """Whether the section has a `name`, which alone may stand for it."""
    return key in Config.CHOICES or key in ("model", "dataset")


def _sentences(
    error: ValidationError, prefix: tuple[str | int, ...], top: list[str]
) -> list[Problem]:
    result = []
    for item in error.errors(include_url=False):
        loc = prefix + item["loc"]
        chosen = ""
        if item["type"] == "union_tag_invalid":
            loc = (*loc, "name")
        elif len(loc) > 1 and loc[0] in Config.CHOICES:  # pydantic puts the choice's tag second
            chosen = str(loc[1])
            loc = (loc[0], *loc[2:])
        text = _sentence(dict(item), loc, chosen, top if prefix else None)
        cause = item.get("ctx", {}).get("error")
        others = cause.others if isinstance(cause, ContradictionError) else ()
        result.append(Problem(loc, text, tuple((*loc[:-1], other) for other in others)))
    return result


def _sentence(
    item: dict[str, Any], loc: tuple[str | int, ...], chosen: str, args: list[str] | None
) -> str:
    """What was expected, in the user's words."""
    context = item.get("ctx", {})
    got = f"got {shown(item.get('input'))}"
    match item["type"]:
        case "extra_forbidden":
            return _unknown_key(loc, chosen, args)
        case "missing":
            return "missing"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            sign, limit = {
                "greater_than": (">", "gt"), "greater_than_equal": (">=", "ge"),
                "less_than": ("<", "lt"), "less_than_equal": ("<=", "le"),
            }[item["type"]]  # fmt: skip
            bound = context[limit]
            return (
                f"expected {sign} {bound if isinstance(bound, int) else format(bound, 'g')}, {got}"
            )
        case "literal_error" | "union_tag_invalid":
            expected = str(context.get("expected") or context.get("expected_tags"))
            given = item["input"]
            if item["type"] == "union_tag_invalid":  # of the whole section
                given = given["name"]
            names = expected.replace("'", "").replace(" or ", ", ").split(", ")
            near = did_you_mean(given, names) if isinstance(given, str) else ""
            return f"expected one of {', '.join(names)}, got {shown(given)}{near}"
        case "value_error":
            return str(context["error"])
        case "model_type" | "model_attributes_type" | "dict_type":
            word = "a name or " if len(loc) == 1 and _named(loc[0]) else ""
            return f"expected {word}a mapping, {got}"
        case "string_type":
            return f"expected text, {got}"
        case "string_too_short":
            return "expected text, got nothing"
        case "string_too_long":
            return f"expected at most {context['max_length']} characters"
        case "bool_type":
            return f"expected true or false, {got}"
        case "list_type":
            return f"expected a list, {got}"
        case "too_short" | "too_long":
            count = context.get("min_length", context.get("max_length"))
            return f"expected {count} values, got {context['actual_length']}"
        case "string_pattern_mismatch":
            return f"expected letters, digits, '.', '_' and '-', at most 64, {got}"
    return f"{item['msg'][0].lower()}{item['msg'][1:]}, {got}"


def _unknown_key(loc: tuple[str | int, ...], chosen: str, args: list[str] | None) -> str:
    """`unknown key`, with the nearest key there is: in the section, then anywhere."""
    *parents, key = map(str, loc)
    prefix = "".join(f"{parent}." for parent in parents)
    sections = keys_of_sections()
    if args is not None:
        here = args
    elif not parents:
        here = list(sections)
    elif chosen:
        here = next(list(c.model_fields) for c in Config.CHOICES[parents[0]] if _tag(c) == chosen)
    else:
        here = list(sections.get(parents[0], {}))
    of = f" of {chosen}" if chosen else ""
    if near := did_you_mean(key, here, prefix):
        return f"unknown key{of}{near}"
    elsewhere = [f"{s}.{key}" for s, keys in sections.items() if key in keys and [s] != parents]
    if elsewhere:
        return f"unknown key{of}, did you mean {' or '.join(elsewhere)}?"
    return f"unknown key{of}; expected {', '.join(here) or 'none'}"


def _tag(cls: type[BaseModel]) -> str:
    return str(cls.model_fields["name"].default)
