"""The keys of the training objectives: what is descended, and on which examples."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from advtrain.config.expressions import evaluate, number
from advtrain.config.section import Count, Number, Section

Smoothing = Annotated[Number, Field(ge=0, lt=1)]
USUAL_ALPHA = "2.5*eps/steps"  # reaches any point of the ball from any other with steps to spare
_SMOOTHING = "share of the label's probability spread over all classes, in the cross-entropy"


def step_expression(alpha: Any) -> float | str | None:
    """A step size as a number, or an expression in eps and steps; ValueError for others."""
    if alpha is None:  # where a key may be left open, pydantic says so
        return None
    if isinstance(alpha, str):
        if evaluate(alpha, eps=0.5, steps=10.0) <= 0:
            raise ValueError(f"expected a step size > 0, got {alpha!r}")
        try:
            return number(alpha)
        except ValueError:
            return "".join(alpha.split())
    value = number(alpha)
    if value <= 0:
        raise ValueError(f"expected a step size > 0, got {value:g}")
    return value


def resolve_alpha(alpha: float | str, eps: float, steps: int) -> float:
    """The step size that `alpha` stands for at this eps and number of steps."""
    return evaluate(alpha, eps=eps, steps=float(steps)) if isinstance(alpha, str) else alpha


class _Adversarial(Section):
    """What every objective with an adversary takes."""

    awp: Annotated[Number, Field(ge=0, lt=1)] = Field(
        0.0, description="adversarial weight perturbation: its size relative to each layer's norm; "
        "0 is none (Wu et al. 2020)",
    )  # fmt: skip
    awp_warmup: Annotated[Number, Field(ge=0)] = Field(
        0.0, description="epochs before the weights are perturbed"
    )


class _Aligned(_Adversarial):
    gradalign: Annotated[Number, Field(ge=0)] = Field(
        0.0, description="weight of 1 - cos of the input gradients at x and at a random point of "
        "the ball (Andriushchenko & Flammarion 2020)",
    )  # fmt: skip
    label_smoothing: Smoothing = Field(0.0, description=_SMOOTHING)


class Pgd(_Aligned):
    """Cross-entropy on adversarial examples alone (Madry et al. 2018)."""

    name: Literal["pgd"] = "pgd"


class Mixed(_Adversarial):
    """Cross-entropy on adversarial and real examples (Goodfellow et al. 2015, eq. 7)."""

    name: Literal["mixed"] = "mixed"
    weight: Annotated[Number, Field(gt=0, lt=1)] = Field(
        0.5, description="weight of the adversarial part; the real part has the rest"
    )
    label_smoothing: Smoothing = Field(0.0, description=_SMOOTHING)


class Trades(_Adversarial):
    """Cross-entropy on real examples, beta times KL to adversarial ones (Zhang et al. 2019)."""

    name: Literal["trades"] = "trades"
    beta: Annotated[Number, Field(ge=0)] = Field(6.0, description="weight of the KL divergence")
    label_smoothing: Smoothing = Field(0.0, description=_SMOOTHING)


class Mart(_Adversarial):
    """Boosted cross-entropy, and KL weighted by misclassification (Wang et al. 2020)."""

    name: Literal["mart"] = "mart"
    beta: Annotated[Number, Field(ge=0)] = Field(
        5.0, description="weight of the KL divergence; lambda in the paper"
    )


class Fgsm(_Aligned):
    """Cross-entropy after one step from a zero, uniform or noise start: FGSM, FGSM-RS, N-FGSM."""

    name: Literal["fgsm"] = "fgsm"
    start: Literal["zero", "uniform", "noise"] = Field(
        "uniform", description="zero (Goodfellow et al. 2015), uniform in the ball: FGSM-RS (Wong "
        "et al. 2020), noise in a larger ball without projection: N-FGSM (de Jorge et al. 2022)",
    )  # fmt: skip
    alpha: float | str | None = Field(
        None, description="size of the step: a number or an expression in eps; 1.25*eps from a "
        "uniform start and eps from the others unless given",
    )  # fmt: skip
    noise: Annotated[Number, Field(gt=0)] = Field(
        2.0, description="radius of the noise start, in units of eps"
    )

    _step = field_validator("alpha", mode="before")(step_expression)

    @property
    def step(self) -> float | str:
        """The size of the step, given or not."""
        if self.alpha is not None:
            return self.alpha
        return "1.25*eps" if self.start == "uniform" else "eps"


class Free(_Adversarial):
    """Each batch replayed, its perturbation growing beside the weights (Shafahi et al. 2019)."""

    name: Literal["free"] = "free"
    replays: Annotated[Count, Field(ge=1)] = Field(
        8, description="steps on each batch, m in the paper; an epoch takes 1/m of the images, "
        "m times, so that it has as many steps as any other's",
    )  # fmt: skip
    alpha: float | str = Field(
        "eps", description="step size of the perturbation: a number or an expression in eps"
    )
    label_smoothing: Smoothing = Field(0.0, description=_SMOOTHING)

    _step = field_validator("alpha", mode="before")(step_expression)


class Standard(Section):
    """Cross-entropy on real examples alone; the attack then only evaluates."""

    name: Literal["standard"] = "standard"
    label_smoothing: Smoothing = Field(0.0, description=_SMOOTHING)


Objective = Annotated[
    Pgd | Mixed | Trades | Mart | Fgsm | Free | Standard, Field(discriminator="name")
]
OBJECTIVES: tuple[type[Section], ...] = (Pgd, Mixed, Trades, Mart, Fgsm, Free, Standard)
