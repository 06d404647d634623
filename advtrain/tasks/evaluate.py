"""Strong attacks on the weights of runs: wires learning and store together."""

from __future__ import annotations

import contextlib
import json
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from advtrain.config.load import located
from advtrain.config.names import MODELS
from advtrain.config.schema import Config
from advtrain.errors import AdvtrainError, Busy, RunFailed, described
from advtrain.learning.attacks.ball import Ball
from advtrain.learning.attacks.doubts import Measured, doubts, standard_error
from advtrain.learning.attacks.evaluating import EvaluatingAttack
from advtrain.learning.attacks.strong import (
    AUTOATTACK,
    AttackStage,
    autoattack_class,
    autoattack_stages,
    clean_stage,
    pgd_stage,
    survivors,
)
from advtrain.learning.attacks.traps import traps
from advtrain.learning.data.images import Images
from advtrain.learning.data.splits import load_data
from advtrain.learning.device import choose_device, keep_memory, suit_threads
from advtrain.learning.measuring.measure import make_panel
from advtrain.learning.models import build_model
from advtrain.learning.own_code import import_code
from advtrain.learning.streams import preserved, seed_global, seed_of
from advtrain.store import provenance
from advtrain.store.evaluated import Chosen
from advtrain.store.evaluation_csv import (
    PARTIAL,
    EvaluationResult,
    EvaluationRow,
    Stages,
    StageState,
    drop_partial,
    evaluating,
    merge_evaluations,
    read_partial,
    write_partial,
)
from advtrain.store.reader import run_config
from advtrain.store.same_code import check_networks
from advtrain.store.same_images import other_images
from advtrain.store.weights import checksum, load_evaluated


@dataclass(frozen=True)
class EvaluationRequest:
    """What is asked of every run; `eps` of None is the run's own."""

    attack: Literal["pgd", "autoattack"] = "pgd"
    eps: tuple[float, ...] | None = None
    steps: int = 50
    restarts: int = 10
    images: int | None = None
    ema: bool = False
    device: str = "auto"
    eps_typed: str = ""  # the text of --eps, for errors about it

    def pgd(self, ball: Ball) -> EvaluatingAttack:
        """The PGD that is asked for."""
        return EvaluatingAttack(ball, self.steps, self.restarts)


@dataclass(frozen=True)
class Advance:
    """A batch is done: of which run, eps and stage; and the share of images not yet broken."""

    run: Path
    eps: float
    stage: str
    done: int
    batches: int
    left: float


def evaluate_runs(
    chosen: Sequence[Chosen],
    request: EvaluationRequest,
    *,
    warn: Callable[[str], None],
    progress: Callable[[Advance], None],
) -> list[EvaluationResult]:
    """Attack the weights of each run and put the rows into its evaluation.csv.

    What is done is kept after every batch until all runs are, so that the same call goes on where
    it was cut off. Raises AdvtrainError for what cannot be evaluated.
    """
    device = choose_device(request.device)
    if request.attack == "autoattack":
        autoattack_class()
    results: list[EvaluationResult] = []
    keys: dict[Path, list[str]] = {}
    check_networks({one.run: run_config(one.run) for one in chosen}, warn)
    with preserved():
        keep_memory(device)
        for one in chosen:
            with evaluating(one.run):
                work = _prepare(one, request, device)
                keys[one.run] = [work.key(eps) for eps in work.eps]
                for eps in work.eps:
                    rows = _rows(work, eps, progress)
                    merge_evaluations(one.run, rows)
                    results.append(EvaluationResult(one.run, tuple(rows)))
                    for text in dict.fromkeys(text for row in rows for text in row.warnings):
                        warn(f"{one.run}: {text}")
    for run, done in keys.items():
        with contextlib.suppress(Busy), evaluating(run):  # what stays there does no harm
            drop_partial(run, done)
    return results


@dataclass(frozen=True)
class _Work:
    of: Chosen
    request: EvaluationRequest
    config: Config
    model: nn.Module
    epoch: int | None
    sha: str
    images: Images
    classes: int
    shape: tuple[int, int, int]
    device: torch.device
    eps: tuple[float, ...]

    @property
    def weights(self) -> str:
        return "ema" if self.request.ema else "model"

    def key(self, eps: float) -> str:
        """Equal for evaluations of which one may go on where the other stopped."""
        asked, norm = self.request, self.config.attack.norm
        of = [self.sha, self.weights, norm, eps, asked.attack, len(self.images)]
        return json.dumps([*of, asked.steps, asked.restarts])


def _prepare(of: Chosen, request: EvaluationRequest, device: torch.device) -> _Work:
    """Everything that can fail on a user's mistake, before the first attack."""
    config = run_config(of.run)
    eps = _radii(of.run, config, request)
    with located(config):
        import_code(config, ["model.name", "dataset.name"])
        data = load_data(config.dataset, device)
        model = build_model(
            config.model.name,
            in_shape=data.shape,
            num_classes=data.num_classes,
            **config.model.arguments,
        )
    if other_images(provenance.read(of.run), data.checksum):
        raise AdvtrainError(
            f"{of.run}: the images of {config.dataset.name} are not those that this run was "
            "trained on (checksum in provenance.json)"
        )
    suit_threads(model, data.shape)
    if config.model.normalize:  # for a file of the network's weights alone
        model.normalize.fit(data.mean, data.std)
    try:
        epoch = load_evaluated(of.file, model, ema=request.ema)
    except AdvtrainError as error:
        raise AdvtrainError(f"argument '--checkpoint {of.checkpoint}': {error}") from None
    sha = checksum(model)
    model.to(device)
    if config.model.name in MODELS:  # as in training
        model.to(memory_format=torch.channels_last)
    seed_global(seed_of(config.seed, "evaluation"), device)  # for networks that draw by themselves
    images = data.test if request.images is None else make_panel(data, request.images).test
    return _Work(of, request, config, model, epoch, sha, images, data.num_classes, data.shape,
                 device, eps)  # fmt: skip


def _radii(run: Path, config: Config, request: EvaluationRequest) -> tuple[float, ...]:
    if request.eps is None:
        if not config.attack.eps:
            raise AdvtrainError(f"{run}: its attack.eps is 0; give a radius with --eps")
        return (config.attack.eps,)
    for eps in request.eps:
        if config.attack.norm == "linf" and eps > 1:
            raise AdvtrainError(
                f"argument '--eps {request.eps_typed}': inputs are in [0, 1], so expected at most "
                f"1 for linf, got {eps:g} (did you mean {eps:g}/255?)"
            )
    return tuple(dict.fromkeys(request.eps))


def _stages(work: _Work, eps: float) -> list[AttackStage]:
    """The images as they are, the run's evaluating attack, PGD, and AutoAttack if asked for."""
    own, asked = EvaluatingAttack.of(work.config, eps), work.request
    stages = [
        clean_stage(work.model),
        # On all images, as after each epoch: of the last weights it repeats final.csv.
        pgd_stage(work.model, own),
        pgd_stage(work.model, asked.pgd(own.ball), after="clean"),
    ]
    if stages[1].name == stages[2].name:
        del stages[2]
    if asked.attack == "autoattack":
        stages += autoattack_stages(
            work.model, own.ball, classes=work.classes, shape=work.shape, device=work.device,
        )  # fmt: skip
    return stages


def _rows(work: _Work, eps: float, progress: Callable[[Advance], None]) -> list[EvaluationRow]:
    """Run the stages, or what is left of them, and tell what came out."""
    run, stages = work.of.run, _stages(work, eps)
    states = read_partial(run, work.key(eps))
    left = {"": torch.ones(len(work.images), dtype=torch.bool)}
    name = "looking for traps"
    try:
        signs = traps(work.model, work.images)
        for stage in stages:
            name = stage.name
            left[name] = _run(work, eps, stage, left[stage.after], states, progress)
    except FloatingPointError:
        text = f"{run}: the outputs of its {work.of.checkpoint} weights are not finite"
        raise AdvtrainError(text) from None
    except AdvtrainError:
        raise
    except Exception as error:  # the network may be the user's, the GPU's memory full
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise RunFailed(
            f"{run}: {name}: {described(error)} "
            f"({place.filename}:{place.lineno}); what was measured is kept"
        ) from error
    seconds = {name: state["seconds"] for name, state in states.items()}
    return _judged(work, eps, left, seconds, signs)


def _run(
    work: _Work, eps: float, stage: AttackStage, begin: Tensor, states: Stages,
    progress: Callable[[Advance], None],
) -> Tensor:  # fmt: skip
    """Which images have resisted the stage, (n,); `states` and the disk know after each batch."""
    run, key, began = work.of.run, work.key(eps), time.perf_counter()
    state = states.get(stage.name) or StageState(done=0, flags=_text(begin), seconds=0.0)
    flags, before, batches = _flags(state["flags"]), state["seconds"], len(stage.batches(begin))
    if len(flags) != len(begin):
        raise AdvtrainError(f"{run / PARTIAL}: is of other images; delete it")
    for positions, resisted in survivors(work.model, stage, work.images, begin, state["done"]):
        flags[positions] = resisted
        seconds = before + time.perf_counter() - began
        state = StageState(done=state["done"] + 1, flags=_text(flags), seconds=seconds)
        states[stage.name] = state
        write_partial(run, key, states)
        share = float(flags.double().mean())
        progress(Advance(run, eps, stage.name, state["done"], batches, share))
    return flags


def _judged(
    work: _Work, eps: float, left: dict[str, Tensor], seconds: dict[str, float], signs: list[str]
) -> list[EvaluationRow]:
    """A row for each stage, and for AutoAttack as a whole, with what makes it doubtful."""
    config, count = work.config, len(work.images)
    accuracy = {name: float(flags.double().mean()) for name, flags in left.items() if name}
    if "square" in accuracy:
        accuracy["autoattack"] = accuracy["square"]
        seconds["autoattack"] = sum(seconds.get(name, 0.0) for name in AUTOATTACK)
    own = EvaluatingAttack.of(config, eps)
    measured = Measured(accuracy, count, own, work.request.pgd(own.ball))
    warnings = doubts(measured, config, signs)
    return [
        EvaluationRow(
            work.of.checkpoint, work.epoch, work.weights, config.attack.norm, eps, name, count, p,
            standard_error(p, count), round(seconds.get(name, 0.0), 3), tuple(warnings[name]),
            work.sha,
        )
        for name, p in accuracy.items()
    ]  # fmt: skip


def _text(flags: Tensor) -> str:
    return "".join("1" if flag else "0" for flag in flags.tolist())


def _flags(text: str) -> Tensor:
    return torch.tensor([flag == "1" for flag in text])
