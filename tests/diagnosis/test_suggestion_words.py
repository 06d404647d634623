"""A suggestion says in words what each of its overrides changes, and why.

That nothing else changes is tested where every suggestion is followed: test_suggestion_works.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from advtrain.config.overrides import parse_override
from advtrain.diagnosis.case import Case
from advtrain.diagnosis.remedies import REMEDIES
from tests.diagnosis.test_suggestion_works import CHECKS
from tests.helpers.suggested import Made, axes, config_of, follow, runs
from tests.helpers.suggested_words import unsaid


@pytest.mark.parametrize("cause", REMEDIES)
def test_every_override_comes_with_words_and_a_reason(cause: str) -> None:
    for made in runs(cause if cause in CHECKS else "weak"):
        remedy = REMEDIES[cause](Case(axes(made.best, made.needed), made.phase, made.table))
        for change in remedy.changes if remedy else []:
            assert change.what and (change.why or not change.overrides)
            assert "; " not in change.text, "it parts one change from the next"


@pytest.mark.parametrize("name", ["fgsm", "free"])
def test_another_objective_keeps_what_both_take(name: str, tmp_path: Path) -> None:
    objective = {"name": name, "awp": 0.01, "awp_warmup": 3, "label_smoothing": 0.1}
    for steps in (1, 10):
        made = Made(config_of(objective=objective, attack={"steps": steps}), 60)
        found = made.suggested("broken")
        assert found is not None
        assert unsaid(made, found, follow(made, str(found.command), tmp_path)) == []
        assert parse_override(found.overrides[0])[1] == objective | {"name": "pgd"}


def test_words_follow_the_order_of_importance() -> None:
    """As filed: "let eps rise from 0" alone stood for ten times the lr and twice the epochs."""
    made = Made(config_of(optimizer={"lr": 0.005}, schedule={"eps_warmup": 20}), 60)
    found = made.suggested("stuck")
    assert found is not None and found.text == (
        "let eps rise from 0 over the first 60 epochs instead of 20, because at full eps from the "
        "start a constant guess is where training comes to rest; train 120 epochs instead of 60, "
        "so that half of them have eps at its full size; raise the learning rate from 0.005 to "
        "0.05, because a low one hardly leaves chance"
    )
