"""What training descends: for each objective of the config its examples and its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor, nn

from advtrain.learning.objectives.batch import Batch, LossAndLogits
from advtrain.learning.objectives.cross_entropy import clean, mixed, multi_step, robust, standard
from advtrain.learning.objectives.fgsm import fgsm
from advtrain.learning.objectives.free import replayed
from advtrain.learning.objectives.mart import mart
from advtrain.learning.objectives.trades import divergent, trades


class Objective(NamedTuple):
    """How the examples of a batch are found, and the loss to descend on each of them.

    Of `examples` only `free` gives more than one: it goes on after the loss at one has been
    descended.
    """

    examples: Callable[[nn.Module, Batch], Iterator[Tensor]]
    loss: Callable[[nn.Module, Batch, Tensor], LossAndLogits]


OBJECTIVES = {
    "pgd": Objective(multi_step, robust),
    "mixed": Objective(multi_step, mixed),
    "trades": Objective(divergent, trades),
    "mart": Objective(multi_step, mart),
    "fgsm": Objective(fgsm, robust),
    "free": Objective(replayed, robust),
    "standard": Objective(clean, standard),
}
