"""How the page words what `content` holds: numbers, outcomes, groups of seeds."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from advtrain.report.numbers.outcome import OUTCOMES, listed
from advtrain.report.numbers.strengths import by_place, headline, rank
from advtrain.terminal.duration import duration

_SAID = {"inner": "attack", "train": "training"}  # axes whose names are no words for a reader


def seeds(cell: Mapping[str, Any]) -> list[dict[str, str]]:
    """A glyph for each run of a cell, with the words."""
    found = []
    for run in cell["runs"]:
        kind = run["outcome"]
        glyph, words, _ = OUTCOMES[kind]
        said = words if run["seed"] is None else f"seed {run['seed']}: {words}"
        found.append({"kind": kind, "glyph": glyph, "said": said})
    return found


def tooltip(cell: Mapping[str, Any]) -> str:
    """A cell in a line: label, verdicts, accuracy; in full what the label shortens."""
    one = cell["last"]["test_robust_acc"]
    text = f"{cell['label']}: {cell['headline']}"
    spread = "" if one["sd"] is None else f" ± {points(one['sd'])}"
    said = f"{percent(one['mean'])}%{spread} (n = {one['seeds']})"
    text += f"; robust accuracy {'not measured' if one['mean'] is None else said}"
    return text if cell["full"] == cell["label"] else f"{text}; {cell['full']}"


def grouped(cell: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    """A cell's runs, those of the same verdict on every axis together."""
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for run in cell["runs"]:
        verdict = run["verdict"]
        states = tuple(axis["state"] for axis in verdict["axes"].values())
        advice = (verdict["suggestion"] or {}).get("text")
        key = (run["outcome"], verdict["headline"], states, advice, run["error"])
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def whose(runs: Sequence[Mapping[str, Any]]) -> str:
    """Which seeds these runs have."""
    known = [str(run["seed"]) for run in runs if run["seed"] is not None]
    if not known:
        return f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}"
    return f"{'seed' if len(known) == 1 else 'seeds'} {', '.join(known)}"


def rules(runs: Sequence[Mapping[str, Any]], axis: str) -> list[dict[str, str]]:
    """What an axis was judged by, with the seeds where they were not judged alike."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for run in runs:
        one = run["verdict"]["axes"][axis]
        found.setdefault((one["rule"], epochs(one["epochs"])), []).append(run)
    return [{"seeds": whose(of) if len(found) > 1 else "", "rule": rule, "epochs": at}
            for (rule, at), of in found.items()]  # fmt: skip


def made(content: Mapping[str, Any]) -> dict[str, Any]:
    """How it was made: the keys that all cells share, and a row for each run."""
    cells = content["cells"]
    configs = [cell["config"] for cell in cells if cell["config"]]
    shared = {key: value for key, value in (configs[0] if configs else {}).items()
              if all(config.get(key) == value for config in configs)}  # fmt: skip
    rows = [_row(cell, run) for cell in cells for run in cell["runs"]]
    return {
        "shared": shared,
        "configured": len(configs) == len(cells),
        "rows": rows,
        "software": _distinct(row["software"] for row in rows),
        "checksums": _distinct(run["dataset_checksum"] for cell in cells for run in cell["runs"]),
        "commands": _distinct(row["command"] for row in rows),
    }


def evaluated(content: Mapping[str, Any]) -> dict[str, Any]:
    """The cells under the attacks that most are told by: columns, and a row a cell and ball."""
    told = [cell["evaluations"] for cell in content["cells"]]
    known = {one["attack"] for of in told for one in of}
    attacks = sorted(filter(headline, known), key=rank)
    rows = []
    for cell in content["cells"]:
        for by in by_place(cell["evaluations"]):
            shown = [one for name, one in by.items() if name in attacks]
            if shown:
                counts = sorted({one["seeds"] for one in shown})
                rows.append({"cell": cell, "of": shown[0], "by": by,
                             "seeds": ", ".join(map(str, counts))})  # fmt: skip
    return {
        "attacks": attacks,
        "rows": rows,
        "warned": any(one["warnings"] for of in told for one in of),
        "common_eps": set.intersection(*({one["eps"] for one in of} for of in told)),
    }


def averaged(cell: Mapping[str, Any]) -> bool:
    """Whether averaged weights were measured, too."""
    return any(cell["last"][f"ema_test_{kind}_acc"]["seeds"] for kind in ("clean", "robust"))


def interval(rows: Sequence[Mapping[str, Any]]) -> str:
    """The title of a column of intervals: how they were made."""
    over = "mean ± t sd/√n over seeds"
    single = {one["seeds"] == 1 for one in rows}
    if single == {True}:
        return "95% interval (Wilson, over images)"
    if single == {False}:
        return f"95% interval ({over})"
    return f"95% interval (n = 1: Wilson, over images; else {over})"


def _row(cell: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    last: Mapping[str, Any] = run["sessions"][-1] if run["sessions"] else {}
    versions, argv = last.get("versions"), last.get("argv")
    commit = str(last.get("commit") or "")[:10]
    return {
        "cell": cell,
        "run": run,
        "sessions": len(run["sessions"]),
        "began": str(last.get("began") or ""),
        "on": ", ".join(_device(last)),
        "commit": f"{commit} + changes" if commit and last.get("dirty") else commit,
        "software": ", ".join(f"{name} {version}" for name, version in versions.items())
        if isinstance(versions, Mapping) else "",
        "command": _command(argv) if isinstance(argv, list) else "",
    }  # fmt: skip


def _device(session: Mapping[str, Any]) -> list[str]:
    found = [str(session[key]) for key in ("device", "device_name") if session.get(key)]
    threads = session.get("threads")
    found += [f"{threads} {'thread' if threads == 1 else 'threads'}"] if threads else []
    return found + [str(session[key]) for key in ("precision", "host") if session.get(key)]


def _command(argv: Sequence[Any]) -> str:
    """A recorded command line as one types it."""
    first = str(argv[0]) if argv else ""
    program = ["advtrain"] if first.endswith(("__main__.py", "/advtrain")) else [first]
    return shlex.join([*program, *(str(word) for word in argv[1:])])


def _distinct(values: Any) -> list[str]:
    return list(dict.fromkeys(str(value) for value in values if value))


def percent(value: float | None) -> str:
    """A fraction in per cent with a decimal; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.1f}"


def points(value: float | None) -> str:
    """A difference of fractions in points."""
    return percent(value)


def signed(value: float | None) -> str:
    """A difference of fractions in points, with its sign."""
    return "–" if value is None else f"{100 * value:+.1f}".replace("-", "−")


def figure(value: Any) -> str:
    """A number of a verdict in four digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None else str(value)


def typed(suggestion: Mapping[str, Any]) -> str:
    """What a suggestion says to type; empty where it is words alone."""
    return suggestion["command"] or shlex.join(suggestion["overrides"])


def epochs(pair: Sequence[int] | None) -> str:
    """The epochs that an axis was judged on."""
    return "" if not pair else f"epochs {pair[0]} to {pair[1]}"


def axis(name: str) -> str:
    """An axis of the verdict in words."""
    return _SAID.get(name, name.replace("_", "-"))


def words(name: str) -> str:
    """A state or a column as text."""
    return name.replace("_", " ")


FILTERS: dict[str, Callable[..., Any]] = {
    "percent": percent, "points": points, "signed": signed, "figure": figure,
    "listed": listed, "typed": typed, "axis": axis, "words": words,
    "duration": lambda seconds: "–" if seconds is None else duration(seconds),
    "whose": lambda run: whose([run]),
}  # fmt: skip
