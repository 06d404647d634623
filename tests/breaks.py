"""Deliberate breaks of the package, a line each, and the tests that have to fail.

    python tests/breaks.py [WORD ...] [--jobs N] [--list]

breaks a copy of the package in one place, runs the tests that are to notice it, and goes on with
the next break; with words, only those breaks whose name has one of them. Exit code 1 if the tests
pass in spite of a break, or if its place is no longer there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
COPIED = ("advtrain", "tests", "bench", "configs", "docs", "pyproject.toml", "README.md")


class Break(NamedTuple):
    """`old` stands once in advtrain/`file`; with `new` in its place one of the tests fails."""

    name: str
    file: str
    old: str
    new: str
    tests: str  # below tests/, and what follows, as pytest takes them


ATTACK = "learning/attacks/"
BREAKS = [
    Break("attack: down the gradient", ATTACK + "pgd.py", "alpha=ascent.alpha)",
          "alpha=-ascent.alpha)", "learning/test_attack.py"),
    Break("attack: no projection", ATTACK + "pgd.py", "x + ascent.ball.project(x_adv - x)",
          "x + (x_adv - x)", "learning/test_attack.py"),
    Break("attack: no clamp to the box", ATTACK + "pgd.py",
          "x_adv = torch.clamp(x + ascent.ball.project(x_adv - x), 0, 1)",
          "x_adv = x + ascent.ball.project(x_adv - x)", "learning/test_attack.py"),
    Break("attack: uniform start in half the ball", ATTACK + "ball.py",
          "uniform_(-self.eps, self.eps, generator=source)",
          "uniform_(0, self.eps, generator=source)", "learning/test_attack.py"),
    Break("attack: l2 start too near the image", ATTACK + "ball.py",
          "** (1 / max(1, like[0].numel()))", "** 1.0", "learning/test_attack.py"),
    Break("attack: the model's flags stay changed", ATTACK + "pgd.py",
          "module.training = training", "pass", "learning/test_attack.py"),
    Break("attack: in training mode", ATTACK + "pgd.py", 'model.train(wanted == "train")',
          "model.train(True)", "learning/test_attack.py"),
    Break("evaluation: the weakest restart counts", ATTACK + "evaluating.py",
          "stronger = other_loss > loss", "stronger = other_loss < loss",
          "learning/test_attack.py"),
    Break("evaluation: one resisted start is enough", ATTACK + "evaluating.py",
          "resisted & other_hit", "resisted | other_hit", "learning/test_attack.py"),
    Break("evaluation: all restarts begin alike", ATTACK + "evaluating.py",
          'stream("evaluation", i, restart)', 'stream("evaluation", i, 0)',
          "learning/test_attack.py learning/test_probe.py tasks/test_examples.py"),
    Break("evaluation: all examples begin alike", ATTACK + "evaluating.py",
          'stream("evaluation", i, restart)', 'stream("evaluation", 0, restart)',
          "learning/test_attack.py learning/test_probe.py tasks/test_examples.py"),
    Break("evaluation: standard error", ATTACK + "doubts.py",
          "math.sqrt(accuracy * (1 - accuracy) / images)", "math.sqrt(accuracy / images)",
          "tasks/test_evaluate.py"),
    Break("evaluation: half a step of FGSM", "learning/measuring/score.py",
          "Ascent(ball, ball.eps, 1)", "Ascent(ball, ball.eps / 2, 1)",
          "learning/test_attack.py learning/test_learning.py"),
    Break("evaluation: doubled steps lower the loss", "learning/measuring/score.py",
          'figures["robust_loss"] + figures.pop("rise")',
          'figures["robust_loss"] - figures.pop("rise")', "learning/test_attack.py"),
    Break("evaluation: the last weights' validation is on test", "learning/measuring/measure.py",
          '(("val", data.val), ("test", data.test))', '(("val", data.test), ("test", data.test))',
          "tasks/test_last_row.py"),
    Break("loop: lr one step late", "learning/epoch.py", "self._step + self._replay, steps",
          "self._step + self._replay - 1, steps",
          "learning/test_learning.py learning/test_free.py"),
    Break("loop: one attack's noise for all batches", "learning/epoch.py",
          'self._source("attack", number, whole)', 'self._source("attack", 0, whole)',
          "learning/test_learning.py"),
    Break("loop: batch norm in evaluation mode", "learning/loop.py",
          "session.fast_model.train()", "session.fast_model.eval()",
          "learning/test_fast_paths.py"),
    Break("loop: eps without its warm-up", "learning/objectives/batch.py",
          "self.attack.eps * self.strength", "self.attack.eps",
          "learning/test_objectives.py tasks/test_method_runs.py"),
    Break("loop: clipped at twice the limit", "learning/loop.py",
          "clip_grads_with_norm_(parameters, limit, norm)",
          "clip_grads_with_norm_(parameters, 2 * limit, norm)", "learning/test_learning.py"),
    Break("loop: a loss that is not finite ends nothing", "learning/loop.py",
          'session.progress.stopped = "nonfinite"', 'session.progress.stopped = ""',
          "tasks/test_train.py::test_a_run_that_diverges_is_a_finding"),
    Break("loop: early stopping an epoch late", "learning/measuring/measure.py",
          "record.epoch - since >= patience", "record.epoch - since > patience",
          "tasks/test_examples.py"),
    Break("loop: the best epoch by loss alone", "records.py",
          "(acc, -loss) > (self.best_acc, -self.best_loss)", "-loss > -self.best_loss",
          "learning/test_best_epoch.py"),
    Break("resume: the epoch begins anew", "learning/epoch.py",
          "self._first_step, self.done = start.step, start.done",
          "self._first_step, self.done = start.step, 0", "tasks/test_position.py"),
    Break("resume: what was trained is not counted", "learning/epoch.py",
          "(session.model.parameters()).device, group, start.sums)",
          "(session.model.parameters()).device, group, {})", "tasks/test_position.py"),
    Break("resume: free forgets its perturbation", "learning/epoch.py",
          "None if start.delta is None else start.delta[group.share]", "None",
          "tasks/test_position.py"),
    Break("resume: without momentum", "store/checkpoint.py",
          '_restore_optimizer(optimizer, content["optimizer"])', "pass", "tasks/test_resume.py"),
    Break("resume: without averaged weights", "store/checkpoint.py",
          'average.load_state_dict(content["ema"])', "pass",
          "tasks/test_position.py tasks/test_method_runs.py"),
    Break("resume: rows beyond the checkpoint stay", "store/metrics.py",
          "return rows[:last_epoch]", "return rows", "tasks/test_resume.py"),
    Break("trades: the divergence the other way", "learning/objectives/trades.py",
          "F.kl_div(logits.log_softmax(1), said,", "F.kl_div(said, logits.log_softmax(1),",
          "learning/test_objectives.py"),
    Break("trades: without beta", "learning/objectives/trades.py", "keys.beta * divergence",
          "divergence", "learning/test_objectives.py"),
    Break("trades: begins at the image", "learning/objectives/trades.py", "_NOISE = 0.001",
          "_NOISE = 0.0", "learning/test_objectives.py"),
    Break("mart: sure mistakes weigh no more", "learning/objectives/mart.py",
          "(divergence * unsure)", "divergence", "learning/test_objectives.py"),
    Break("fgsm: from the image alone", "learning/objectives/fgsm.py", "start=keys.start",
          'start="zero"', "learning/test_objectives.py"),
    Break("free: leaves the ball", "learning/objectives/free.py",
          "batch.ball.project(ascended)", "ascended", "learning/test_free.py"),
    Break("awp: the weights stay moved", "learning/objectives/awp.py", "w.copy_(kept)", "pass",
          "learning/test_methods.py"),
    Break("gradalign: descends the alignment", "learning/objectives/gradalign.py",
          "return 1 - cosine.mean()", "return cosine.mean()", "learning/test_methods.py"),
    Break("mixed: the two halves are normed apart", "learning/objectives/cross_entropy.py",
          "model(torch.cat([x_adv, batch.x])).chunk(2)", "(model(x_adv), model(batch.x))",
          "learning/test_objectives.py"),
    Break("schedule: a drop one step late", "learning/schedule.py", "step >= round(",
          "step > round(", "learning/test_schedule.py"),
    Break("schedule: cosine one step ahead", "learning/schedule.py", "math.pi * step / total",
          "math.pi * (step + 1) / total", "learning/test_schedule.py"),
    Break("schedule: eps by its points a step late", "learning/schedule.py",
          "np.interp((step + 1) / total", "np.interp(step / total", "learning/test_schedule.py"),
    Break("verdict: stuck below the entropy", "diagnosis/rules.py",
          "STUCK_ENTROPY, STUCK_EPOCHS = 0.98, 5", "STUCK_ENTROPY, STUCK_EPOCHS = 0.9, 5",
          "diagnosis/test_rules.py"),
    Break("verdict: robust overfitting of 5 points", "diagnosis/rules.py",
          "OVERFIT_EPOCHS = 0.02, 3", "OVERFIT_EPOCHS = 0.05, 3", "diagnosis/test_rules.py"),
    Break("verdict: any rise matters", "diagnosis/trend.py", "if self.low > matters:",
          "if self.low > 0:", "diagnosis/test_rules.py"),
    Break("verdict: intervals of 68%", "diagnosis/rules.py", "CONFIDENCE_Z = 1.645",
          "CONFIDENCE_Z = 1.0", "diagnosis/test_trend.py diagnosis/test_curves.py"),
    Break("verdict: any extra gain is weak", "diagnosis/inner.py",
          "abs(more) > rules.WEAK_SHARE * gain", "abs(more) > 0", "diagnosis/test_rules.py"),
    Break("verdict: Wilson of 90%", "diagnosis/rules.py", "SEEDS_Z = 1.96", "SEEDS_Z = 1.645",
          "diagnosis/test_verdict.py"),
    Break("suggestion: lr falls by 3", "diagnosis/remedies.py", "_CALMER = 10", "_CALMER = 3",
          "diagnosis/test_suggestion.py diagnosis/test_suggestion_works.py"),
    Break("suggestion: eps rises over a quarter", "diagnosis/remedies.py",
          "eps_warmup=epochs // 2, afresh", "eps_warmup=epochs // 4, afresh",
          "diagnosis/test_suggestion.py diagnosis/test_suggestion_works.py"),
    Break("store: files are written in place", "store/files.py",
          "temporary.write_bytes(content)\n        temporary.replace(file)",
          "file.write_bytes(content)", "store/test_files.py tasks/test_resume.py"),
    Break("store: a fresh heartbeat elsewhere counts for nothing", "store/owner.py",
          "return fresh and status.host != self.host and not self._succeeds(status)",
          "return False", "store/test_owner.py store/test_directory.py"),
    Break("store: a run taken over is written to", "store/writer.py",
          "if (current.attempt, current.host, current.pid) != (own.attempt, own.host, own.pid):",
          "if False:", "store/test_directory.py"),
    Break("store: the lock keeps nobody out", "store/writer.py",
          "raise Busy(_busy(path)) from None", "lock = FileLock(path / '.other')",
          "processes/test_owners.py"),
    Break("sweep: a failed run ends the sweep", "sweep/launch/work_off.py",
          "stop.now |= fail_fast and board.of(ended).failed",
          "stop.now |= board.of(ended).failed", "sweep/test_sweep.py"),
    Break("sweep: what failed is trained again", "sweep/run_sweep.py",
          'not board.of(r).finished and board.of(r).state != "failed"',
          "not board.of(r).finished", "sweep/test_sweep.py"),
    Break("sweep: --rerun failed leaves the interrupted", "sweep/run_sweep.py",
          'cut_off = ("interrupted", "stale")', "cut_off = ()",
          "processes/test_sweep_failures.py::test_ctrl_c_saves_every_run_and_names_the_command_that_goes_on"),
    Break("sweep: a dead worker's run waits", "sweep/launch/work_off.py",
          'now = replace(now, state="interrupted", error=event["cause"])', "pass",
          "sweep/test_sweep.py"),
    Break("sweep: a worker's end goes unnoticed", "sweep/launch/pool.py",
          "if worker.process.poll() is not None:", "if False:", "sweep/test_workers.py"),
    Break("sweep: half of the seeds is a majority", "sweep/refine.py",
          "2 * self.converged > self.seeds", "2 * self.converged >= self.seeds",
          "sweep/test_refine.py"),
    Break("sweep: sd of n in cells.csv", "sweep/sweep_tables.py", "statistics.stdev(known)",
          "statistics.pstdev(known)", "sweep/test_sweep.py"),
    Break("slurm: a live run without a job is given up", "sweep/launch/slurm_follow.py",
          "if fresh and job not in queue.jobs and not _may_live(status):",
          "if fresh and job not in queue.jobs:", "sweep/test_follow.py"),
    Break("slurm: a job that is gone is under way", "sweep/launch/slurm_submit.py",
          "return status.job in queue", "return True", "sweep/test_follow.py"),
    Break("report: sd of n", "report/numbers/over_seeds.py", "np.std(known, ddof=1)",
          "np.std(known)", "report/test_report.py report/test_report_command.py"),
    Break("report: the last value is called best", "report/numbers/over_seeds.py",
          "at = np.flatnonzero(known[0] == epoch)", "at = np.array([len(known[0]) - 1])",
          "report/test_report.py report/test_report_command.py"),
    Break("figures: the band begins at the mean", "report/numbers/over_seeds.py",
          "low, high = mean - sd, mean + sd", "low, high = mean, mean + sd",
          "report/test_report.py report/test_figures.py"),
    Break("figures: min-max for many seeds", "report/numbers/over_seeds.py", "FEW = 5",
          "FEW = 50", "report/test_report.py report/test_figures.py"),
    Break("page: names are not escaped", "report/page/render.py", "autoescape=True",
          "autoescape=False", "report/test_page.py"),
    Break("page: words of figures are not escaped", "report/page/inline_svg.py",
          'text = escape(element.text or "")', 'text = element.text or ""',
          "report/test_page.py report/test_drawing.py"),
    Break("command: --check says yes", "cli/diagnose.py", "raise typer.Exit(3)",
          "raise typer.Exit(0)", "tasks/test_diagnose.py"),
    Break("command: a mistake ends with 0", "cli/__init__.py", "_end(error.exit_code)",
          "_end(0)", "cli/test_bad_input.py"),
    Break("command: a failed run ends the sweep with 0", "sweep/run_sweep.py",
          "return int(bool(self.board.failures()))", "return 0", "sweep/test_sweep.py"),
    Break("config: a mistake has the place of its section", "config/places.py",
          "range(len(path), 0, -1)", "range(len(path) - 1, 0, -1)", "cli/test_bad_input.py"),
    Break("config: the seed is no part of a run's identity", "config/identity.py",
          '{"seed": config.seed, "parent": parent}', '{"parent": parent}',
          "config/test_config.py config/test_grid.py learning/test_learning.py"),
    Break("signals: the first stops within the batch", "process/signals.py",
          "if _wish.deferred:", "if False:", "tasks/test_signals.py"),
]  # fmt: skip


def problem(one: Break) -> str:
    """What is wrong: its place is not there, or the tests pass in spite of it."""
    with tempfile.TemporaryDirectory(prefix="broken-") as name:
        folder = Path(name)
        for part in COPIED:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, folder / part,
                                ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
            else:
                shutil.copy(ROOT / part, folder / part)
        file = folder / "advtrain" / one.file
        text = file.read_text()
        if text.count(one.old) != 1:
            return f"{one.file} has {text.count(one.old)} times: {one.old}"
        file.write_text(text.replace(one.old, one.new))
        tests = [f"tests/{test}" for test in one.tests.split()]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *tests], cwd=folder,
            env=os.environ | {"PYTHONPATH": name, "OMP_NUM_THREADS": "1"}, capture_output=True,
            text=True,
        )  # fmt: skip
        if done.returncode == 1:
            return ""
        said = (done.stdout + done.stderr).splitlines()
        return "nobody noticed" if done.returncode == 0 else " ".join(said[-3:])


def main(words: Sequence[str], jobs: int, only_list: bool) -> int:
    """Break one after the other, `jobs` at a time; how many problems there are, at most 1."""
    chosen = [b for b in BREAKS if not words or any(word in b.name for word in words)]
    if only_list:
        print(*(f"{b.name:58} {b.tests}" for b in chosen), sep="\n")
        return 0
    with ThreadPoolExecutor(jobs) as pool:
        found = []
        for one, text in zip(chosen, pool.map(problem, chosen), strict=True):
            print(f"{one.name:58} {text or 'caught'}", flush=True)
            found += [text] if text else []
    print(f"{len(chosen) - len(found)} of {len(chosen)} breaks are caught")
    return int(bool(found))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*", help="parts of the names of some breaks")
    parser.add_argument("--jobs", type=int, default=1, help="breaks at a time")
    parser.add_argument("--list", action="store_true", help="only say what there is")
    options = parser.parse_args()
    sys.exit(main(options.words, options.jobs, options.list))
