"""A table of users' mistakes, with what must be said about each; test_bad_input.py goes by it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers.command_line import Done

GOOD = "model: small_cnn\ndataset: digits\n"
PARENT = '{"state": "finished", "attempt": 1, "host": "h", "pid": 1, "heartbeat": 0, "epoch": 5}'

BOMB = [f"&a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]


@dataclass
class Bad:
    """`train bad.yaml *arguments` must fail with as many lines as `says`, which begin like them."""

    id: str
    text: str | bytes
    says: list[str]
    arguments: list[str] = field(default_factory=list)
    files: dict[str, str | bytes] = field(default_factory=dict)

    def write(self, folder: Path) -> list[str]:
        """Make the files in this folder; gives the command's arguments."""
        for name, content in {"bad.yaml": self.text, **self.files}.items():
            data = content if isinstance(content, bytes) else content.encode()
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return ["train", "bad.yaml", *self.arguments]


def bad(id: str, text: str | bytes, *says: str, **files: str | bytes) -> Bad:
    """A config that is wrong; `files` lie beside it."""
    return Bad(id, text, list(says), files={f"{k}.yaml": v for k, v in files.items()})


def more(id: str, lines: str, *says: str, **files: str | bytes) -> Bad:
    """A config that is wrong from its third line on."""
    return bad(id, GOOD + lines, *says, **files)


def argument(argument: str, text: str, id: str = "") -> Bad:
    """A good config with an override that is wrong."""
    return Bad(id or argument, GOOD, [f"argument '{argument}': {text}"], [argument])


FILES = [
    more("unknown-key", "attack:\n  stepz: 3\n",
         "bad.yaml:4:3: attack.stepz: unknown key, did you mean attack.steps?"),
    more("unknown-section", "atack: {eps: 0.1}\n",
         "bad.yaml:3:1: atack: unknown key, did you mean attack?"),
    more("key-of-another-section", "attack: {lr: 0.1}\n",
         "bad.yaml:3:10: attack.lr: unknown key, did you mean optimizer.lr?"),
    more("key-of-another-choice", "optimizer: {name: adam, momentum: 0.9}\n",
         "bad.yaml:3:25: optimizer.momentum: unknown key of adam; expected"),
    more("wrong-type", "training: {epochs: many}\n",
         "bad.yaml:3:12: training.epochs: expected a number, got 'many'"),
    more("list-for-mapping", "attack: [eps, 0.1]\n",
         "bad.yaml:3:1: attack: expected a mapping, got a list"),
    more("number-for-mapping", "training: 3\n",
         "bad.yaml:3:1: training: expected a mapping, got 3"),
    more("empty-section", "optimizer:\n",
         "bad.yaml:3:1: optimizer: expected a name or a mapping, got nothing (null)"),
    more("duplicate-key", "attack:\n  eps: 0.1\n  eps: 0.2\n",
         "bad.yaml:5:3: attack.eps: duplicate key, first on line 4"),
    more("duplicate-section", "seed: 1\nmodel: mlp\n",
         "bad.yaml:4:1: model: duplicate key, first on line 1"),
    bad("no-model", "dataset: digits\n", "bad.yaml:1:1: model: missing"),
    bad("empty-file", "", "bad.yaml:1:1: the file is empty; expected at least model: and dataset:"),
    bad("only-comments", "# nothing\n", "bad.yaml:1:1: the file is empty"),
    bad("list-file", "- model\n", "bad.yaml:1:1: the file is not a mapping"),
    bad("binary-file", b"\x89PNG\r\n\x1a\n\0", "bad.yaml:1:1: not UTF-8 text"),
    bad("latin-1", GOOD.encode() + b"name: caf\xe9\n", "bad.yaml:3:10: not UTF-8 text"),
    bad("control-character", "model: small\0cnn\n", "bad.yaml:1:13: not valid YAML: a control"),
    bad("huge-file", b"#" * 1_000_001, "bad.yaml:1:1: 1000001 bytes: not a config"),
    bad("tab", "model: small_cnn\ndataset:\n\tname: digits\n",
        "bad.yaml:3:1: not valid YAML: found character '\\t'"),
    bad("unclosed", GOOD + "attack: {eps: 0.1\n", "bad.yaml:4:1: not valid YAML: expected ','"),
    more("own-tag", "attack: !attack {eps: 0.1}\n",
         "bad.yaml:3:9: not valid YAML: tags are not supported: !attack"),
    more("python-tag", "seed: !!python/object/apply:os.getpid []\n",
         "bad.yaml:3:7: not valid YAML: tags are not supported: tag:yaml.org,2002:python/object"),
    more("standard-tag", "seed: !!str 1\n",
         "bad.yaml:3:7: not valid YAML: tags are not supported: tag:yaml.org,2002:str"),
    more("merge-key", "attack: {<<: {eps: 0.1}}\n",
         "bad.yaml:3:10: merge keys (<<) are not supported; use base:"),
    more("two-documents", "---\nmodel: mlp\n", "bad.yaml:3:1: not valid YAML: but found another"),
    more("alias-of-itself", "attack: &a {eps: *a}\n", "bad.yaml:3:9: an alias contains itself"),
    more("alias-bomb", f"attack: [&a0 [x, x], {', '.join(BOMB)}]\n",
         "bad.yaml:3:15: more than 20000 values",
         "bad.yaml:3:1: attack: expected a mapping, got a list"),
    bad("nested-deeply", "dataset: digits\nmodel:\n  name: import:json:loads\n"
        f"  args: {{a: {'[' * 60}{']' * 60}}}\n", "bad.yaml:4:61: nested too deeply"),
    more("nested-very-deeply", f"attack: {'[' * 2000}{']' * 2000}\n",
         "bad.yaml:1:1: nested too deeply"),
    more("windows-lines", "attack:\r\n  stepz: 3\r\n", "bad.yaml:4:3: attack.stepz: unknown key"),
    bad("byte-order-mark", b"\xef\xbb\xbfsedd: 1\n" + GOOD.encode(),
        "bad.yaml:1:1: sedd: unknown key, did you mean seed?"),
    more("number-as-key", "1: 2\n", "bad.yaml:3:1: 1: unknown key; expected name, seed, model"),
    more("list-as-key", "? [a]\n: 2\n", "bad.yaml:3:3: expected a word as key"),
    more("emoji-key", "attack: {ep😀: 0.1}\n", "bad.yaml:3:10: attack.ep😀: unknown key"),
    more("base-cycle", "base: b.yaml\n", "b.yaml:1:1: base: bad.yaml leads back to itself",
         b="base: bad.yaml\n"),
    more("base-of-itself", "base: bad.yaml\n", "bad.yaml:3:1: base: bad.yaml leads back to itself"),
    more("base-missing", "base: c.yaml\n",
         "bad.yaml:3:1: base: c.yaml: no such file, did you mean"),
    more("base-folder", "base: .\n", "bad.yaml:3:1: base: .: Is a directory"),
    more("base-long", f"base: {'x' * 300}\n", "bad.yaml:3:1: base: xxx"),
    more("base-nul", 'base: "a\\0b"\n', "bad.yaml:3:1: base: expected the path of a config"),
    more("base-list", "base: [a]\n", "bad.yaml:3:1: base: expected the path of a config"),
    more("base-chain", "base: b0.yaml\n", "b19.yaml:1:1: base: more than 20 configs",
         **{f"b{i}": f"base: b{i + 1}.yaml\n" for i in range(22)}),
    more("base-broken", "base: b.yaml\n", "b.yaml:2:1: not valid YAML", b="model: [\n"),
    bad("model-argument-unknown", "model: {name: mlp, args: {widht: 3}}\ndataset: digits\n",
        "bad.yaml:1:27: model.args.widht: unknown key, did you mean model.args.width?"),
    bad("model-argument-type", "model: {name: mlp, args: {width: 1.5}}\ndataset: digits\n",
        "bad.yaml:1:27: model.args.width: expected a whole number, got 1.5"),
    bad("model-arguments-list", "model: {name: mlp, args: [3]}\ndataset: digits\n",
        "bad.yaml:1:20: model.args: expected a mapping, got a list"),
    bad("model-depth", "model: {name: wide_resnet, args: {depth: 15}}\ndataset: digits\n",
        "bad.yaml:1:35: model.args.depth: expected 6n + 4 layers"),
    bad("model-argument-taken", "model: {name: 'import:json:loads', args: {num_classes: 3}}\n"
        "dataset: digits\n", "bad.yaml:1:36: model.args: num_classes: set by advtrain"),
    bad("weights-missing", "model: {name: mlp, weights: w.pt}\ndataset: digits\n",
        "bad.yaml:1:20: model.weights: w.pt: No such file or directory"),
    bad("root-nul", 'model: mlp\ndataset: {name: digits, root: "a\\0b"}\n',
        "bad.yaml:2:25: dataset.root: expected text without NUL characters"),
]  # fmt: skip

ARGUMENTS = [
    argument("eps=-0.1", "attack.eps: expected >= 0, got -0.1"),
    argument("eps=nan", "attack.eps: expected a number, got 'nan'"),
    argument("eps=.inf", "attack.eps: expected a number, got '.inf'"),
    argument("eps=1e400", "attack.eps: expected a finite number, got '1e400'"),
    argument("eps=8", "attack.eps: inputs are in [0, 1], so expected at most 1, got 8 (did you"),
    argument("eps=8/0", "attack.eps: '8/0' divides by zero"),
    argument("eps=", "attack.eps: expected a number, got nothing (null)"),
    argument("eps=__import__('os')", "attack.eps: expected a number, got \"__import__('os')\""),
    argument("eps=!!float 0.1", "attack.eps: not valid YAML: tags are not supported"),
    argument("eps=[0.1", "attack.eps: not valid YAML: expected"),
    argument("attack.eps.x=1", "attack.eps: expected a number, got a mapping"),
    argument("alpha=0", "attack.alpha: expected a step size > 0, got 0"),
    argument("alpha=eps*epz", "attack.alpha: expected a number or an expression in eps and steps"),
    argument("alpha=eps-0.3", "attack.alpha: expected a step size > 0, but eps-0.3 is -0.2"),
    argument("alpha=1/(eps-0.1)", "attack.alpha: '1/(eps-0.1)' divides by zero"),
    argument("steps=50", "attack.steps: evaluation.steps (20) must be at least attack.steps (50)"),
    argument("evaluation.steps=5", "evaluation.steps: evaluation.steps (5) must be at least"),
    argument("norm=linff", "attack.norm: expected one of linf, l2, got 'linff', did you"),
    argument("batch_size=1e99", "training.batch_size: expected <= 1000000, got 1e+99"),
    argument("epochs=1.5", "training.epochs: expected a whole number, got 1.5"),
    argument("seed=4294967296", "seed: expected < 2147483648, got 4294967296"),
    argument("seed=1e999", "seed: expected a finite number, got '1e999'"),
    argument("seed=" + "9" * 99, "seed: expected < 2147483648, got 1e+99", id="seed=999..."),
    argument("val_size=2", "dataset.val_size: expected < 1, got 2"),
    argument("train_size=1.5", "dataset.train_size: expected a count or a fraction below 1"),
    argument("early_stopping=0", "training.early_stopping: expected >= 1, got 0"),
    argument("lr=0", "optimizer.lr: expected > 0, got 0"),
    argument("nesterov=yes", "optimizer.nesterov: expected true or false, got 'yes'"),
    argument("optimizer={name: adam, betas: [0.9]}", "optimizer.betas: expected 2 values, got 1"),
    argument("optimizer=sdg", "optimizer.name: expected one of sgd, adam, adamw, got 'sdg'"),
    argument("milestones=[3,2]", "schedule.milestones: expected ascending milestones"),
    argument("milestones=[0.5,10]", "schedule.milestones: expected either all epochs or all frac"),
    argument("milestones=[x]", "schedule.milestones.0: expected a number, got 'x'"),
    argument("milestones=0.5", "schedule.milestones: expected a list, got 0.5"),
    argument("warmup=1000", "schedule.warmup: expected at most the schedule's 60 epochs"),
    argument("eps_warmup=1e9", "schedule.eps_warmup: expected at most the schedule's 60 epochs"),
    argument("objective={name: trades, beta: -1}", "objective.beta: expected >= 0, got -1"),
    argument("objective={name: free, replays: 0}", "objective.replays: expected >= 1, got 0"),
    argument("objective={name: pgd, awp: 1.5}", "objective.awp: expected < 1, got 1.5"),
    argument("objective={name: fgsm, noise: 0}", "objective.noise: expected > 0, got 0"),
    argument("objective={name: fgsm, start: nois}", "objective.start: expected one of zero, unif"),
    argument("objective={name: fgsm, alpha: eps-0.3}", "objective.alpha: expected a step size > 0"),
    argument("objective={name: free, alpha: 1/(eps-0.1)}", "objective.alpha: '1/(eps-0.1)' divid"),
    argument("objective={name: mart, label_smoothing: 0.1}",
             "objective.label_smoothing: unknown key of mart; expected"),
    argument("objective={name: trades, label_smoothing: 1}",
             "objective.label_smoothing: expected < 1, got 1"),
    argument("objective={name: standard, awp: 0.1}", "objective.awp: unknown key of standard"),
    argument("objective=tradez", "objective.name: expected one of pgd, mixed, trades, mart, fgsm"),
    argument("beta=3", "objective.beta: unknown key of pgd; expected"),
    argument("start=noise", "attack.start: expected one of zero, uniform, got 'noise'"),
    argument("ema=2", "training.ema: expected < 1, got 2"),
    argument("ema=0", "training.ema: expected > 0, got 0"),
    argument("stop_on=[stuk]", "training.stop_on.0: expected one of catastrophic_overfitting, ro"),
    argument("stop_on=stuck", "training.stop_on: expected a list, got 'stuck'"),
    argument("eps_points=[[0,1],[0,2]]", "schedule.eps_points: expected ascending times"),
    argument("eps_points=[[0,1],[2,2]]", "schedule.eps_points: expected times as fractions of"),
    argument("eps_points=[[0.5,1,2]]", "schedule.eps_points.0: expected 2 values, got 3"),
    argument("alpha_points=[[0,-1]]", "schedule.alpha_points.0.1: expected >= 0, got -1"),
    argument("alpha_points=0.5", "schedule.alpha_points: expected a list, got 0.5"),
    argument("evaluation.eps=[0.1,2]", "evaluation.eps.1: expected at most 1, got 2"),
    argument("name=../x", "name: expected letters, digits, '.', '_' and '-', at most 64"),
    argument("model=small_cn", "model.name: 'small_cn' is not known, did you mean small_cnn?"),
    argument("model.name.x=3", "model.name: expected text, got a mapping"),
    argument("model.args.x=3", "model.args.x: unknown key; expected none"),
    argument("dataset=digit", "dataset.name: 'digit' is not known, did you mean digits?"),
    argument("dataset.args={a: 1}", "dataset.args: only a dataset of the form import:... takes"),
    argument("image_size=8", "dataset.image_size: only image_folder can be resized"),
    argument("model=import:nowhere:Net", "model.name: no module 'nowhere'"),
    argument("model=import:no.where:Net", "model.name: cannot import 'no.where'"),
    argument("model=import:nowhere", "model.name: expected import:package.module:attribute"),
    argument("epz=0.1", "epz: unknown key, did you mean eps?"),
    argument("zzz=0.1", "zzz: unknown key; `advtrain schema` shows them all"),
    argument("atack.eps=0.1", "atack: unknown section, did you mean attack?"),
    argument("args={}", "args: stands in several sections, write model.args or dataset.args"),
    argument("base=x.yaml", "base: only a file can name its base"),
    argument("eps", "expected KEY=VALUE"),
    argument("=3", "expected KEY=VALUE"),
    Bad("gradalign-compiled", GOOD, ["argument 'objective={name: pgd, gradalign: 0.2}': objective."
        "gradalign: needs second derivatives, which compiled networks do not have"],
        ["compile=true", "objective={name: pgd, gradalign: 0.2}"]),
    Bad("device-nonsense", GOOD, ["argument '--device gpu': expected auto, cpu, cuda, cuda:N or"],
        ["--device", "gpu"]),
    Bad("device-negative", GOOD, ["argument '--device cuda:-1': expected"],
        ["--device", "cuda:-1"]),
    Bad("device-absent", GOOD, ["argument '--device cuda:99': this machine has"],
        ["--device", "cuda:99"]),
    Bad("from-nowhere", GOOD, ["argument '--from "], ["--from", "nowhere"]),
    Bad("from-nothing", GOOD, ["argument '--from "], ["--from", "run"],
        {"run/status.json": PARENT}),
]  # fmt: skip

BAD = FILES + ARGUMENTS


def check(case: Bad, done: Done, folder: Path) -> None:
    """The mistake is reported as the table says, and nothing else happened."""
    assert done.code == 2, done
    assert "Traceback" not in done.err
    assert done.out == ""
    lines = done.err.splitlines()
    for expected in case.says:
        assert any(line.startswith(expected) for line in lines), done.err
    assert len(lines) == len(case.says), done.err
    assert not [*(folder / "runs").rglob("*")]
