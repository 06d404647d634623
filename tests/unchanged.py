"""What a change of the code must not change: record it from two trees, and compare the records.

    python tests/unchanged.py record OUT [--tree PATH] [--only WORD]
    python tests/unchanged.py compare OUT_A OUT_B

`record` does what users do with the advtrain of a tree, by default of this checkout. The new folder
OUT gets a JSON file a case: exit codes, places of mistakes, names of files, numbers of tables and
JSON, hashes of tensors and of what figures draw. unchanged.yaml has the cases. `compare` prints
each difference, and ends with exit code 1 if there is one. Record both trees on the same machine.

Wording may change: a sentence is `<text>`, and there must be as many of them. Times and hosts are
`<any>`. Only the command line is used, so that trees may differ in all else. As imports take long,
`python -m advtrain` is a fork of a process that has imported all but advtrain, and in which
torchvision's datasets are made up.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import re
import runpy
import shlex
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import yaml

PLAN = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
LEFT_OUT = re.compile(r"[^/]*|data/.*|(.*/)?[._].*|.*\.(log|txt|tex|png|pdf)")  # there, and no more


def write_inputs(folder: Path) -> None:
    """Configs, and made-up curves of sixty epochs."""
    folder.mkdir()
    for name, text in PLAN["files"].items():
        (folder / name).write_text(text)
    t = np.arange(60) / 59
    table = pd.DataFrame({"epoch": 59 * t + 1, "t": t, "late": np.maximum(t - 0.5, 0)})
    table["broke"] = 1.0 * (t > 0.7)
    table[["noise0", "noise1", "noise2", "noise3"]] = np.random.RandomState(0).normal(size=(60, 4))
    for name, more in PLAN["curves"].items():
        for column, formula in PLAN["columns"].items():
            table[column] = table.eval(f"{formula} + {more.get(column, 0)}")
        table.to_csv(folder / f"curve_{name}.csv", index=False, na_rep="nan")


def made_up(size: list[int], root: Path, download: bool, **part: Any) -> argparse.Namespace:
    """A dataset of noise, as torchvision's are in memory."""
    test, classes, shape = part in ({"train": False}, {"split": "test"}), size[2], size[3:]
    some = np.random.RandomState(0).randint(0, 256, (classes, *shape)).astype(np.uint8)
    images = np.resize(some, (size[test], *shape))
    return argparse.Namespace(data=images, targets=np.arange(len(images)) % classes)


def become(words: list[str], tree: Path, work: Path) -> NoReturn:
    """Be `python -m advtrain WORDS`, or `python WORDS`, in the work folder; for a fork."""
    code: object = 0
    try:
        os.chdir(work)
        for number, name in enumerate((os.devnull, f"{work}.out", f"{work}.err")):
            os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
        os.environ["PYTHONPATH"] = str(tree)
        sys.path[:1] = [str(work), str(tree)]  # in place of this script's folder
        sys.argv = words[1:] if words[0] == "-m" else ["advtrain", *words]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


class Scene:
    """A case in its work folder, and what is to be said of it."""

    def __init__(self, tree: Path, work: Path) -> None:
        self.tree, self.work, self.surprises = tree, work, list[str]()
        shutil.copytree(work.parent / "inputs", work)

    def record(self, steps: list[str]) -> dict[str, Any]:
        """Do the steps; what came of them, and the files that there are then."""
        said = {f"{number} {self.plain(step)}": self.do(step) for number, step in enumerate(steps)}
        files = {str(f.relative_to(self.work)): f for f in self.work.rglob("*") if f.is_file()}
        told = {name: self.content(f) for name, f in files.items() if not LEFT_OUT.fullmatch(name)}
        return {"steps": said, "files": told, "others": sorted(files.keys() - told.keys())}

    def do(self, step: str) -> dict[str, Any]:
        """Exit code, how lines on stderr begin (`warning:`, `a.yaml:3:3: lr:`), and stdout."""
        code, *words = shlex.split(step if step[0].isdigit() else f"0 {step}")
        globbed = [sorted(self.work.glob(w)) if "*" in w else [w] for w in words]
        words = [str(w).removeprefix(f"{self.work}/") for found in globbed for w in found]
        ended, out, err = self.run(words)
        lines = self.plain(err).splitlines()
        if ended != int(code):
            self.surprises.append(f"{self.work.name}: {step}: exit code {ended}: {lines[-1:]}")
        heads = re.findall(r"^(?:(?:argument '.*?'|\S+):(?: |$))+", "\n".join(lines), re.MULTILINE)
        return {"exit": ended, "heads": heads, "out": self.out(words, out)}

    def run(self, words: list[str]) -> tuple[int, str, str]:
        """Exit code, stdout and stderr; of `stopped ...` after Ctrl-C when an epoch is done."""
        stopped = words[0] == "stopped"
        if not (pid := os.fork()):
            become(words[stopped:], self.tree, self.work)
        while stopped and not list(self.work.glob("runs/*/*/metrics.csv")):
            time.sleep(0.01)
        if stopped:
            os.kill(pid, signal.SIGINT)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return code, *(Path(f"{self.work}.{end}").read_text() for end in ("out", "err"))

    def out(self, words: list[str], text: str) -> Any:
        """What programs read; of plans and listings the names, defaults and paths."""
        if "--json" in words:
            return self.facts(json.loads(text or "null"))
        if "--print-config" in words:
            return self.facts(yaml.safe_load(text))
        listed = r"^ *[\w.:]+(?:(?<=:) \S.*?(?= +#|$))?|\b\w+=\w[\w.]*|runs/\S+"
        plan = "--dry-run" in words or len(words) == 1
        return re.findall(listed, text, re.MULTILINE) if plan else None

    def content(self, file: Path) -> Any:
        """What a file says that may not change."""
        match file.suffix:
            case ".pt":
                return self.facts(sys.modules["torch"].load(file, weights_only=True))
            case ".npz":
                return self.facts(dict(np.load(file)))
            case ".json" | ".yaml":  # JSON is YAML
                return self.facts(yaml.load(file.read_text(), yaml.CSafeLoader))
            case ".csv":
                columns = zip(*csv.reader(file.read_text().splitlines()), strict=True)
                return self.facts({name: cells for name, *cells in columns})
        drawn = re.findall(r' d="[^"]*"|<use [^>]* x=[^>]*|"data:[^"]*"', file.read_text())
        return f"{len(drawn)} shapes {sha256(''.join(drawn).encode()).hexdigest()[:16]}"

    def facts(self, value: Any) -> Any:
        """Numbers, states, names; tensors and arrays as hashes; neither sentences nor times."""
        if isinstance(value, dict):
            return {
                str(k): "<any>" if k in PLAN["any"] else self.facts(v) for k, v in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.facts(each) for each in value]
        if hasattr(value, "dtype"):
            array = np.asarray(value)
            return f"{array.dtype} {array.shape} {sha256(array.tobytes()).hexdigest()[:16]}"
        if isinstance(value, str):
            data = value.startswith(("[", "{", "advtrain ")) or " " not in value
            return self.plain(value) if data else "<text>"
        return value

    def plain(self, text: str) -> str:
        """Without the names of folders that differ between two records."""
        return text.replace(str(self.work), "WORK").replace(str(self.tree), "TREE")


def steps_of(config: Path) -> str:
    """What is done with a config that ships: as it is, and cut down."""
    cut = PLAN["cuts"].get(config.stem, PLAN["cuts"][config.parent.name])
    if "\nsweep:" in config.read_text():
        return f"sweep {config} --dry-run --json\nsweep {config} --jobs 1 --json {cut}"
    trained = f"train {config} epochs=2 attack.steps=2 {cut} --json"
    return f"train {config} --dry-run\ntrain {config} --print-config\n{trained}"


def one_case(name: str, steps: str, tree: Path, work: Path, out: Path) -> list[str]:
    """Record a case into its file; which commands did not end as they should."""
    scene = Scene(tree, work / name)
    full = re.sub(r"\$(\w+)", lambda word: PLAN["words"][word[1]], steps)
    (out / f"{name}.json").write_text(json.dumps(scene.record(full.splitlines()), indent=1))
    shutil.rmtree(scene.work)
    return scene.surprises


def record(out: Path, tree: Path, only: str) -> int:
    """Record the cases with a word in their name."""
    out.mkdir(parents=True)
    fork = multiprocessing.get_context("fork")
    os.environ |= {"OMP_NUM_THREADS": "1", "COLUMNS": "300"}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` would have it ignored
    modules = {name: import_module(name) for name in PLAN["imported"]}
    for name, size in PLAN["datasets"].items():
        setattr(modules["torchvision.datasets"], name, partial(made_up, size))
    cases = dict(PLAN["cases"])
    for keys in PLAN["features"].splitlines():
        cases[re.sub(r"\W+", "_", keys)] = f"train tiny.yaml {keys} --json\ndiagnose runs --json"
    for config in sorted(tree.glob("configs/**/*.yaml")):
        cases[f"{config.parent.name}_{config.stem}"] = steps_of(config)
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(2, fork) as pool:
        write_inputs((work := Path(folder).resolve()) / "inputs")
        chosen = [case for case in cases.items() if only in case[0]]
        ended = [pool.submit(one_case, *case, tree, work, out) for case in chosen]
        surprises = [line for case in as_completed(ended) for line in case.result()]
    print(*surprises, f"{len(ended)} cases, {len(read(out))} items", sep="\n")
    return min(len(surprises), 1)


def items(value: Any, at: str) -> dict[str, str]:
    """Every single value inside, by where it stands."""
    if not isinstance(value, dict | list) or not value:
        return {at: json.dumps(value)}
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    return {k: v for key, each in inside for k, v in items(each, f"{at} > {key}").items()}


def read(record: Path) -> dict[str, str]:
    """All items of a record."""
    files = sorted(record.glob("*.json"))
    return {k: v for f in files for k, v in items(json.loads(f.read_text()), f.stem).items()}


def compare(one: Path, two: Path) -> int:
    """Print what differs between two records."""
    a, b = read(one), read(two)
    different = [at for at in a | b if a.get(at) != b.get(at)]
    print("".join(f"{at}: {a.get(at)} -> {b.get(at)}\n" for at in different), end="")
    print(f"{len(a | b)} items, {len(different) or 'no'} difference{'s' * (len(different) > 1)}")
    return 1 if different or not a else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Two trees do the same, or they do not.")
    commands = parser.add_subparsers(dest="command", required=True)
    recording, comparing = commands.add_parser("record"), commands.add_parser("compare")
    recording.add_argument("out", type=Path)
    recording.add_argument("--tree", type=Path, default=Path(__file__).parent.parent)
    recording.add_argument("--only", default="", metavar="WORD", help="in the names of cases")
    comparing.add_argument("records", type=Path, nargs=2)
    asked = parser.parse_args()
    if asked.command == "compare":
        sys.exit(compare(*asked.records))
    sys.exit(record(asked.out, asked.tree.resolve(), asked.only))
