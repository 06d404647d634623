"""Made-up curves of known nature, and how often the verdict tells it.

    python -m tests.helpers.made_curves [COUNT] [--seed N]

makes COUNT curves of each scenario, with noise at the scale of published curves (test accuracy of
a flat phase: sd .75 points on 10,000 images; train loss: .003 nats; lag-1 autocorrelation 0 to .5;
test sets of 360 to 10,000 images), judges them, and prints sensitivity and specificity of each
state, how often the answer is `unresolved`, and the coverage of the trends' 90% intervals.

An effect is clear if it is twice the resolvable size: the half-width of the 90% interval and as
much again for the error of the estimate itself, beyond what counts as no change.
"""

from __future__ import annotations

import argparse
import collections
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from advtrain.diagnosis import rules
from advtrain.diagnosis.table import Labels, Table
from advtrain.diagnosis.trend import trend
from advtrain.diagnosis.verdict import diagnose

Draw = np.random.Generator
LOSS_NOISE, ACC_NOISE, TEST_LOSS_NOISE = 0.003, 0.0075, 0.008


@dataclass
class Setting:
    """What is the same for all curves of one made-up training."""

    draw: Draw
    rho: float
    images: int
    calm: float  # factor of the published noise: it shrinks with the learning rate
    labels: Labels

    @classmethod
    def drawn(cls, draw: Draw) -> Setting:
        classes = int(draw.choice([10, 10, 10, 100]))
        skew = draw.dirichlet(np.full(classes, 50.0))  # SVHN's labels are unequal, too
        entropy = float(-(skew * np.log(skew)).sum())
        labels = Labels(classes, entropy, float(skew.max()))
        images = int(draw.choice([360, 1000, 10_000]))
        return cls(draw, float(draw.uniform(0, 0.5)), images, float(draw.uniform(0.2, 1)), labels)

    def noise(self, n: int, sd: float) -> np.ndarray:
        """AR(1) of this standard deviation."""
        steps = self.draw.normal(size=n + 30) * math.sqrt(1 - self.rho**2)
        for t in range(1, len(steps)):
            steps[t] += self.rho * steps[t - 1]
        return sd * steps[30:]

    def acc_sd(self, level: float = 0.5) -> float:
        """Of one epoch's accuracy: the weights' wandering, and the images that change sides."""
        flips = level * (1 - level) * (1 - rules.PAIRED_CORRELATION) / self.images
        return math.sqrt((self.calm * ACC_NOISE) ** 2 + flips)

    def half_width(self, sd: float, points: int) -> float:
        """Of the 90% interval of the change over so many epochs."""
        spread = 12 * (1 + self.rho) / (1 - self.rho) / points
        return rules.CONFIDENCE_Z * sd * math.sqrt(spread)

    def accuracy(self, curve: np.ndarray, level: float = 0.5) -> np.ndarray:
        noisy = curve + self.noise(len(curve), self.acc_sd(level))
        return np.clip(np.round(noisy * self.images) / self.images, 0, 1)


def window_of(segment: int) -> int:
    """How many epochs of a segment a trend is judged on."""
    return int(np.clip(round(segment * (1 - rules.TRANSIENT)), 8, 50))


def learning(epochs: int, start: float, end: float, pace: float) -> np.ndarray:
    return end + (start - end) * np.exp(-np.arange(epochs) / pace)


def table(s: Setting, train: np.ndarray, test: np.ndarray, acc: np.ndarray, **more) -> Table:
    """A training that is in order but for what the arguments say."""
    n = len(train)
    columns = {
        "lr": np.full(n, 0.1),
        "train_robust_loss": train,
        "train_robust_acc": np.clip(1 - train / 3, 0.1, 0.99),
        "test_robust_loss": test,
        "test_robust_acc": acc,
        "test_fgsm_acc": np.clip(acc + 0.07, 0, 1),
        "test_clean_loss": test - 0.8,
        "test_robust_loss_2x": test + 0.01,
        **more,
    }
    return Table(np.arange(1, n + 1), columns, labels=s.labels, images=s.images)


def rest(s: Setting, n: int, *, train_change=0.0, acc_change=0.0, loss_change=0.0) -> Table:
    """One segment that ends in straight lines of these changes over its window."""
    window = window_of(n)
    ramp = np.clip(np.arange(n) - (n - window), 0, None) / (window - 1)
    train = learning(n, 2.2, 1.0, n / 25) + train_change * ramp
    test = learning(n, 2.2, 1.3, n / 25) + loss_change * ramp
    acc = learning(n, 0.15, 0.5, n / 25) + acc_change * ramp
    return table(
        s,
        train + s.noise(n, s.calm * LOSS_NOISE),
        test + s.noise(n, s.calm * TEST_LOSS_NOISE),
        s.accuracy(acc),
    )


def flat(s: Setting) -> Table | None:
    """All at rest; None where the noise would hide it."""
    n = int(s.draw.integers(30, 120))
    test_matters = rules.TEST_LOSS_SHARE * 1.3
    clear = test_matters >= 4 * s.half_width(s.calm * TEST_LOSS_NOISE, window_of(n))
    return rest(s, n) if clear else None


def noisy_flat(s: Setting) -> Table:
    """All at rest, whether or not the noise hides it."""
    return rest(s, int(s.draw.integers(12, 120)))


def _clear(s: Setting, matters: float, sd: float, window: int) -> float:
    """A change that is clear, drawn."""
    return matters + float(s.draw.uniform(4, 8)) * s.half_width(sd, window)


def descending(s: Setting) -> Table:
    n = int(s.draw.integers(12, 120))
    change = _clear(s, rules.TRAIN_LOSS_NATS, s.calm * LOSS_NOISE, window_of(n))
    return rest(s, n, train_change=-change)


def rising(s: Setting) -> Table:
    n = int(s.draw.integers(12, 120))
    change = _clear(s, rules.TRAIN_LOSS_NATS, s.calm * LOSS_NOISE, window_of(n))
    return rest(s, n, train_change=min(change, 0.15))  # beyond it, it has diverged


def barely_descending(s: Setting) -> Table:
    """By more than counts as none, though not by so much that it is always told."""
    change = float(s.draw.uniform(1.2, 2)) * rules.TRAIN_LOSS_NATS
    return rest(s, int(s.draw.integers(12, 120)), train_change=-change)


def weak(s: Setting) -> Table:
    """Twice the steps add a fifth or more of what the attack gains (.8 nats here)."""
    base = rest(s, int(s.draw.integers(30, 120)))
    test = base.get("test_robust_loss")
    doubled = test + 0.8 * 2 * rules.WEAK_SHARE * s.draw.uniform(1, 3)
    return table(s, base.get("train_robust_loss"), test, base.get("test_robust_acc"),
                 test_robust_loss_2x=doubled)  # fmt: skip


def improving(s: Setting, sign: int = 1) -> Table:
    n = int(s.draw.integers(20, 120))
    window = window_of(n)
    change = _clear(s, max(rules.ACCURACY_POINTS, 2 * s.acc_sd()), s.acc_sd(), window)
    return rest(s, n, acc_change=sign * min(change, 0.3), loss_change=-sign * 0.03)


def worsening(s: Setting) -> Table:
    """Accuracy falls while the training is at rest: no overfitting in the sense of Rice et al."""
    return improving(s, -1)


def stuck(s: Setting) -> Table:
    n, h = int(s.draw.integers(8, 120)), s.labels.entropy
    loss = h + 0.002 + np.abs(s.noise(n, LOSS_NOISE))
    guess = s.labels.majority
    acc = s.accuracy(np.full(n, guess), guess)
    train_acc = guess + s.noise(n, math.sqrt(guess / 5000))  # of 5,000 training images
    return table(s, loss, h + s.noise(n, LOSS_NOISE), acc, train_robust_acc=train_acc,
                 test_fgsm_acc=acc, test_clean_loss=np.full(n, h),
                 test_robust_loss_2x=np.full(n, h + 0.001))  # fmt: skip


def diverged(s: Setting) -> Table:
    n = int(s.draw.integers(20, 120))
    onset = int(s.draw.integers(n // 2, n - 4))
    up = (np.arange(n) >= onset) * s.draw.uniform(0.4, 0.8)
    base = rest(s, n)
    train = base.get("train_robust_loss") + up
    return table(s, train, base.get("test_robust_loss") + up / 2,
                 np.clip(base.get("test_robust_acc") - up / 5, 0, 1))  # fmt: skip


def oscillating(s: Setting) -> Table:
    n = int(s.draw.integers(15, 120))
    descent = max(2.2, s.labels.entropy) - 1.0
    # The mean step of white noise is 1.13 sd; less where neighbours are alike.
    swing = 2 * rules.SWING_SHARE * descent * s.draw.uniform(1, 1.5)
    base = rest(s, n)
    train = base.get("train_robust_loss") + s.noise(n, swing / 1.13 / math.sqrt(1 - s.rho))
    return table(s, np.abs(train), base.get("test_robust_loss"), base.get("test_robust_acc"))


def robust_overfitting(s: Setting) -> Table:
    """A drop of lr, a peak, then a slow decline while training goes on (Rice et al. 2020)."""
    before, after = int(s.draw.integers(20, 60)), int(s.draw.integers(25, 60))
    n = before + after
    spread = math.sqrt((1 + s.rho) / (1 - s.rho) / rules.MEAN_OVER)
    limit = max(rules.OVERFIT_POINTS, rules.OVERFIT_SD * s.acc_sd() * spread)
    drop = 2 * limit * s.draw.uniform(1, 1.5)
    late = np.clip(np.arange(n) - before - 3, 0, None) / (after - 3)
    decline = np.minimum(1, late * 1.6)  # steep first, then it levels off
    acc = learning(n, 0.15, 0.47, 5) + 0.05 * (np.arange(n) >= before) - drop * decline
    train = learning(n, 2.2, 1.3, 5) - 0.25 * (np.arange(n) >= before) - 0.5 * late
    test = learning(n, 2.2, 1.4, 5) - 0.1 * (np.arange(n) >= before) + 0.3 * decline
    return table(
        s,
        train + s.noise(n, LOSS_NOISE),
        test + s.noise(n, s.calm * TEST_LOSS_NOISE),
        s.accuracy(acc),
        lr=np.where(np.arange(n) < before, 0.1, 0.01),
    )


def catastrophic(s: Setting) -> Table:
    """FGSM training whose multi-step accuracy goes to zero within an epoch (Wong et al. 2020)."""
    n = int(s.draw.integers(12, 60))
    onset = int(s.draw.integers(8, n - 1))
    broke = np.arange(n) >= onset
    base = rest(s, n)
    acc = np.where(broke, s.draw.uniform(0, 0.08), base.get("test_robust_acc"))
    single = np.where(broke, s.draw.uniform(0.6, 0.9), base.get("test_robust_acc") + 0.07)
    train = np.where(broke, 0.4, base.get("train_robust_loss"))
    loss = base.get("test_robust_loss") + 3 * broke
    return table(s, train, loss, acc, test_fgsm_acc=single)


def collapsed(s: Setting) -> Table:
    n = int(s.draw.integers(20, 60))
    onset = int(s.draw.integers(12, n - 4))
    down = np.arange(n) >= onset
    base, chance = rest(s, n), s.labels.majority
    at_chance = s.accuracy(np.full(n, chance), chance)
    acc = np.where(down, at_chance, base.get("test_robust_acc"))
    h = s.labels.entropy
    train = np.where(down, h + 0.01, base.get("train_robust_loss"))
    return table(
        s,
        train,
        np.where(down, h, base.get("test_robust_loss")),
        acc,
        train_robust_acc=np.where(down, at_chance, 0.6),
        test_fgsm_acc=acc + 0.0,
    )


def too_short(s: Setting) -> Table:
    base = rest(s, 40)
    n = int(s.draw.integers(1, 8))
    return Table(base.epoch[:n], {k: v[:n] for k, v in base.columns.items()},
                 labels=s.labels, images=s.images)  # fmt: skip


def nonfinite(s: Setting) -> Table:
    base = too_short(s)
    return Table(base.epoch, base.columns, labels=s.labels, images=s.images,
                 bad_epoch=int(base.epoch[-1]))  # fmt: skip


IN_ORDER = {"inner": "solved", "train": "flat", "held_out": "settled", "level": "above_chance"}


@dataclass(frozen=True)
class Scenario:
    """A maker of curves, the states that it is an example of, and whether it converged.

    On other axes the training is in order, but for what the trouble `also` brings with it.
    """

    make: Callable[[Setting], Table | None]
    states: dict[str, str]
    converged: bool | None
    also: dict[str, set[str]] = field(default_factory=dict)

    def may_be(self, axis: str) -> set[str]:
        """The states that are no mistake on this axis."""
        return {self.states.get(axis, IN_ORDER[axis])} | self.also.get(axis, set())


SCENARIOS = {
    "flat": Scenario(flat, dict(IN_ORDER), True),
    "descending": Scenario(descending, {"train": "descending"}, None),
    "rising": Scenario(rising, {"train": "rising"}, None),
    "barely_descending": Scenario(barely_descending, {}, None, {"train": {"descending"}}),
    "weak": Scenario(weak, {"inner": "weak"}, None),
    "improving": Scenario(improving, {"held_out": "improving"}, None),
    "worsening": Scenario(worsening, {"held_out": "worsening"}, None),
    "stuck": Scenario(stuck, {"train": "stuck", "level": "at_chance"}, False),
    "diverged": Scenario(diverged, {"train": "diverged"}, False, {"held_out": {"worsening"}}),
    "oscillating": Scenario(oscillating, {"train": "oscillating"}, None),
    "robust_overfitting": Scenario(robust_overfitting, {"held_out": "robust_overfitting"}, None,
                                   {"train": {"descending"}}),
    "catastrophic": Scenario(catastrophic, {"held_out": "catastrophic_overfitting",
                                            "inner": "broken"}, False,
                             {"train": {"descending"}, "level": {"at_chance"}}),
    "collapsed": Scenario(collapsed, {"held_out": "collapsed"}, False,
                          {"train": {"stuck", "diverged"}, "level": {"at_chance"}}),
    "too_short": Scenario(too_short, {"train": "too_short"}, None,
                          {"held_out": {"improving"}, "level": {"at_chance"}}),
    "nonfinite": Scenario(nonfinite, {"train": "nonfinite"}, False,
                          {"held_out": {"improving"}, "level": {"at_chance"}}),
}  # fmt: skip
NOT_CONVERGED = [n for n in SCENARIOS if n not in ("flat", "weak", "robust_overfitting")]


@dataclass
class Found:
    """Counts over all curves: of each scenario and axis the states, the converged ones."""

    states: dict[tuple[str, str], collections.Counter[str]]
    converged: dict[str, collections.Counter[bool | None]]
    overfitting_on_noise: float  # of flat curves, whether or not noise hides that

    def rate(self, name: str, axis: str, state: str) -> float:
        """The share of a scenario's curves that are found in a state."""
        counts = self.states[name, axis]
        return counts[state] / counts.total()

    def specificity(self, axis: str, state: str) -> float:
        """The share of curves that are in another state on this axis and not called so."""
        others = [n for n, s in SCENARIOS.items() if state not in s.may_be(axis)]
        wrong = sum(self.states[name, axis][state] for name in others)
        return 1 - wrong / sum(self.states[name, axis].total() for name in others)

    @property
    def false_converged(self) -> float:
        """The share of `converged: true` among curves that have not."""
        counts = [self.converged[name] for name in NOT_CONVERGED]
        return sum(c[True] for c in counts) / sum(c.total() for c in counts)


def judge(count: int, seed: int) -> Found:
    """Make and judge `count` curves of each scenario."""
    found = Found(collections.defaultdict(collections.Counter),
                  collections.defaultdict(collections.Counter), 0.0)  # fmt: skip
    for name, scenario in SCENARIOS.items():
        draw = np.random.default_rng([seed, *name.encode()])
        while found.converged[name].total() < count:
            made = scenario.make(Setting.drawn(draw))
            if made is None:
                continue
            verdict = diagnose(made)
            found.converged[name][verdict.converged] += 1
            for axis, state in verdict.axes.items():
                found.states[name, axis][state.state] += 1
    draw = np.random.default_rng([seed, 1])
    noisy = [diagnose(noisy_flat(Setting.drawn(draw))) for _ in range(count)]
    wrong = sum(v.axes["held_out"].state == "robust_overfitting" for v in noisy)
    found.overfitting_on_noise = wrong / count
    return found


def coverage(count: int, seed: int) -> dict[float, float]:
    """For each autocorrelation, how often the 90% interval contains the true change."""
    draw = np.random.default_rng(seed)
    result = {}
    for rho in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5):
        s = Setting(draw, rho, 1000, 1.0, Labels.balanced(10))
        hits = 0
        for _ in range(count):
            n, change = int(draw.integers(8, 51)), float(draw.normal())
            found = trend(np.arange(n) * 1.0, change * np.arange(n) / (n - 1) + s.noise(n, 1.0))
            assert found is not None
            hits += found.low <= change <= found.high
        result[rho] = hits / count
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=2000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    found = judge(arguments.count, arguments.seed)
    print(f"{'axis':9} {'state':25} {'sensitivity':>11} {'specificity':>11} {'unresolved':>10}")
    for name, scenario in SCENARIOS.items():
        for axis, state in scenario.states.items():
            print(f"{axis:9} {state:25} {found.rate(name, axis, state):11.2%} "
                  f"{found.specificity(axis, state):11.2%} "
                  f"{found.rate(name, axis, 'unresolved'):10.2%}")  # fmt: skip
    print(f"converged on curves that are not: {found.false_converged:.2%}")
    for name in SCENARIOS:
        print(f"  {name:20} {dict(found.converged[name])}")
    print(f"robust overfitting on flat curves: {found.overfitting_on_noise:.2%}")
    shares = coverage(arguments.count, arguments.seed)
    print("coverage of 90% intervals:", ", ".join(f"{r:g}: {c:.1%}" for r, c in shares.items()))


if __name__ == "__main__":
    main()
