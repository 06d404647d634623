"""What makes a measured robust accuracy doubtful: numbers that contradict each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from advtrain.config.schema import Config
from advtrain.learning.attacks.evaluating import EvaluatingAttack

_POINT = 0.01


def standard_error(accuracy: float, images: int) -> float:
    """Of a share of so many images, sqrt(p (1 - p) / n)."""
    return math.sqrt(accuracy * (1 - accuracy) / images)


@dataclass(frozen=True)
class Measured:
    """Accuracy under each attack by its name, on so many images.

    There are those of `own`, the run's evaluating attack, of `asked`, PGD as it was asked for, and
    of AutoAttack's stages if they ran.
    """

    accuracy: Mapping[str, float]
    images: int
    own: EvaluatingAttack
    asked: EvaluatingAttack


def doubts(measured: Measured, config: Config, signs: Sequence[str]) -> dict[str, list[str]]:
    """For each attack the sentences that its reader has to know; mostly none.

    `signs` are those of `traps`.
    """
    accuracy, images = measured.accuracy, measured.images
    own, strong, steps = measured.own.name, measured.asked.name, measured.asked.steps
    eps = measured.own.ball.eps
    found: dict[str, list[str]] = {name: [] for name in accuracy}
    told = [name for name in dict.fromkeys((own, strong, "autoattack")) if name in accuracy]
    trained = config.attack
    for name in told:
        found[name] += signs
        if config.objective.name != "standard" and eps < trained.eps * (1 - 1e-9):
            found[name].append(f"eps {eps:.6g} is less than the {trained.eps:.6g} of training")
    if config.objective.name != "standard" and steps < trained.steps:
        found[strong].append(
            f"{strong} takes {steps} steps, fewer than the {trained.steps} of the training attack"
        )

    def beyond(more: str, less: str) -> bool:
        """Whether one accuracy exceeds another by more than 2 standard errors of either."""
        errors = [standard_error(accuracy[name], images) for name in (more, less)]
        return accuracy[more] - accuracy[less] > 2 * max(errors)

    def contradiction(weaker: str, stronger: str) -> None:
        if beyond(stronger, weaker):
            found[stronger].append(
                f"{stronger} leaves {accuracy[stronger]:.1%} where {weaker} leaves "
                f"{accuracy[weaker]:.1%}: the stronger attack fails; believe the lower number"
            )

    contradiction(own, strong)
    if "autoattack" in accuracy:
        contradiction(strong, "autoattack")
        drop = accuracy["fab-t"] - accuracy["square"]
        if drop > _POINT and beyond("fab-t", "square"):
            text = (
                f"square, which sees no gradients, breaks {100 * drop:.1f} points that the attacks "
                "by gradient left: gradients are masked, and more queries may break more"
            )
            found["square"].append(text)
            found["autoattack"].append(text)
    return found
