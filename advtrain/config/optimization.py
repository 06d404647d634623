"""The keys of the optimizers and of the learning-rate schedules."""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from advtrain.config.places import ContradictionError
from advtrain.config.section import Count, Number, Section


class _Optimizer(Section):
    clip_norm: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="scale the gradient down to this l2 norm"
    )


class Sgd(_Optimizer):
    """Stochastic gradient descent with momentum."""

    name: Literal["sgd"] = "sgd"
    lr: Annotated[Number, Field(gt=0)] = Field(0.05, description="peak learning rate")
    momentum: Annotated[Number, Field(ge=0, lt=1)] = Field(0.9, description="momentum")
    nesterov: bool = Field(False, description="Nesterov's momentum")
    weight_decay: Annotated[Number, Field(ge=0)] = Field(5e-4, description="l2 penalty / 2")

    @field_validator("nesterov")
    @classmethod
    def _needs_momentum(cls, nesterov: bool, info: Any) -> bool:
        if nesterov and info.data.get("momentum") == 0:
            raise ContradictionError("Nesterov's momentum needs momentum > 0", "momentum")
        return nesterov


Beta = Annotated[Number, Field(ge=0, lt=1)]


class _Adaptive(_Optimizer):
    lr: Annotated[Number, Field(gt=0)] = Field(1e-3, description="peak learning rate")
    betas: Annotated[list[Beta], Field(min_length=2, max_length=2)] = Field(
        [0.9, 0.999], description="decay of the two moments"
    )


class Adam(_Adaptive):
    """Adam (Kingma & Ba 2015)."""

    name: Literal["adam"] = "adam"
    weight_decay: Annotated[Number, Field(ge=0)] = Field(0.0, description="l2 penalty / 2")


class AdamW(_Adaptive):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    name: Literal["adamw"] = "adamw"
    weight_decay: Annotated[Number, Field(ge=0)] = Field(0.01, description="decoupled decay")


Point = Annotated[list[Annotated[Number, Field(ge=0)]], Field(min_length=2, max_length=2)]


class _Schedule(Section):
    warmup: Annotated[Number, Field(ge=0)] = Field(
        0.0, description="epochs over which lr rises linearly from 0"
    )
    eps_warmup: Annotated[Number, Field(ge=0)] = Field(
        0.0, description="epochs over which the training attack's eps rises linearly from 0"
    )
    eps_points: list[Point] = Field(
        [], description="[[time, factor], ...]: factor of the training attack's eps, linear "
        "between these times, which are fractions of the horizon; alpha scales with it",
    )  # fmt: skip
    alpha_points: list[Point] = Field(
        [], description="[[time, factor], ...]: factor of the training attack's step size, beside "
        "that of eps",
    )  # fmt: skip
    horizon: Annotated[Count, Field(ge=1)] | None = Field(
        None, description="epochs that the schedule spans, its last lr after them; "
        "training.epochs unless given",
    )  # fmt: skip

    @field_validator("eps_points", "alpha_points")
    @classmethod
    def _in_time(cls, points: list[Point]) -> list[Point]:
        times = [time for time, _ in points]
        if any(time > 1 for time in times):
            raise ValueError("expected times as fractions of the horizon, in [0, 1]")
        if times != sorted(set(times)):
            raise ValueError("expected ascending times")
        return points

    def settled(self, horizon: int) -> float:
        """Epochs after which eps no longer changes."""
        last = 0.0
        for (_, before), (time, factor) in itertools.pairwise(self.eps_points):
            last = time * horizon if factor != before else last
        return max(self.eps_warmup, last)


class Constant(_Schedule):
    """One learning rate throughout."""

    name: Literal["constant"] = "constant"


class Piecewise(_Schedule):
    """The learning rate drops by `gamma` at each milestone."""

    name: Literal["piecewise"] = "piecewise"
    milestones: list[Annotated[Number, Field(gt=0)]] = Field(
        [0.5, 0.75], description="epochs, or fractions (below 1) of the horizon, ascending"
    )
    gamma: Annotated[Number, Field(gt=0, le=1)] = Field(0.1, description="factor of each drop")

    @field_validator("milestones")
    @classmethod
    def _ordered(cls, milestones: list[float]) -> list[float]:
        if any(m > 1 and m != int(m) for m in milestones):
            raise ValueError("expected whole epochs or fractions below 1")
        if len({m < 1 for m in milestones}) > 1:
            raise ValueError("expected either all epochs or all fractions")
        if milestones != sorted(set(milestones)):
            raise ValueError("expected ascending milestones")
        return milestones


class Cosine(_Schedule):
    """Half a cosine from the peak to 0 (Loshchilov & Hutter 2017, no restarts)."""

    name: Literal["cosine"] = "cosine"


class Cyclic(_Schedule):
    """One cycle: linear from 0 to the peak, then linear to 0 (Smith 2017; Wong et al. 2020)."""

    name: Literal["cyclic"] = "cyclic"
    peak: Annotated[Number, Field(gt=0, lt=1)] = Field(
        0.4, description="where the peak is, as a fraction of the horizon"
    )


Optimizer = Annotated[Sgd | Adam | AdamW, Field(discriminator="name")]
Schedule = Annotated[Constant | Piecewise | Cosine | Cyclic, Field(discriminator="name")]
