"""The level axis: do the last epochs do better than guessing?"""

from __future__ import annotations

import math

import numpy as np

from advtrain.diagnosis import rules
from advtrain.diagnosis.table import Axis, Labels, Numbers, Table


def split_of(table: Table) -> str:
    """The split that is judged: test, or val where test was measured too seldom."""
    test, val = (
        max(int(np.isfinite(table.get(f"{split}_{table.kind}_{what}")).sum())
            for what in ("acc", "loss"))
        for split in ("test", "val")
    )  # fmt: skip
    return "val" if test < rules.SHORTEST_SINCE_JUMP and val > test else "test"


def missing(table: Table) -> str:
    """What would have to be measured for an answer."""
    return f"neither test_{table.kind}_acc nor val_{table.kind}_acc was measured"


def level_axis(table: Table) -> Axis:
    """Whether the last epochs do better than guessing, and by how much."""
    prefix = f"{split_of(table)}_{table.kind}_acc"
    accuracies = table.get(prefix)
    rows = np.flatnonzero(np.isfinite(accuracies))[-rules.RECENT :]
    if not len(rows):
        return Axis("not_measured", missing(table))
    accuracy = float(accuracies[rows].mean())
    # Two balanced classes are the easiest guess there is.
    labels = table.labels or Labels.balanced(2)
    limit = labels.chance
    se = math.sqrt(accuracy * (1 - accuracy) / table.images) if table.images else 0.0
    numbers: Numbers = {
        "accuracy": accuracy, "chance": labels.majority, "limit": limit,
        "distance": accuracy - labels.majority, "standard_error": se or None,
    }  # fmt: skip
    span = (int(table.epoch[rows[0]]), int(table.epoch[rows[-1]]))
    rule = f"mean accuracy of the last {len(rows)} measured epochs against {limit:.3g}"
    if labels.assumed and limit < accuracy <= labels.learned:
        what = f"{accuracy:.1%} may be guessing, were the classes not equally frequent"
        return Axis("not_measured", what, numbers, span)
    if accuracy - rules.CONFIDENCE_Z * se > limit:
        return Axis("above_chance", rule, numbers, span)
    if table.labels is None:
        what = "chance is not known without the number of classes"
        return Axis("not_measured", what, numbers, span)
    if accuracy + rules.CONFIDENCE_Z * se > limit and accuracy > limit:
        needed = accuracy * (1 - accuracy) * (rules.CONFIDENCE_Z / (accuracy - limit)) ** 2
        numbers["images_needed"] = math.ceil(needed)
        return Axis("unresolved", rule + ": within its sampling error", numbers, span)
    return Axis("at_chance", rule, numbers, span)
