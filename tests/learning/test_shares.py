"""Each of several processes trains its share of a batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from advtrain import load_config
from advtrain.errors import SettingError
from advtrain.learning.distributed.group import Group
from advtrain.learning.distributed.sync_norm import synchronised
from advtrain.learning.order import batches_of, check_shares


def test_a_last_batch_of_less_than_two_images_a_process_joins_the_one_before() -> None:
    assert [len(b) for b in batches_of(35, 8, 0, 1)] == [8, 8, 8, 8, 3]
    assert [len(b) for b in batches_of(35, 8, 0, 1, processes=2)] == [8, 8, 8, 11]
    assert [len(b) for b in batches_of(36, 8, 0, 1, processes=2)] == [8, 8, 8, 8, 4]


def test_too_few_images_for_the_processes_are_a_mistake(tiny: Path) -> None:
    config = load_config(tiny, ["batch_size=7"])
    check_shares(config, 180, 3)
    with pytest.raises(SettingError, match=r"^training.batch_size: 7 .* at most 3 of them"):
        check_shares(config, 180, 4)
    with pytest.raises(SettingError, match=r"training.batch_size: 5 .* at most 2 of them"):
        check_shares(config, 5, 3)
    check_shares(load_config(tiny, ["batch_size=1"]), 180, 1)


def test_a_norm_of_ones_own_cannot_be_synchronised() -> None:
    class Own(torch.nn.BatchNorm1d):
        pass

    with pytest.raises(SettingError, match=r"training.batch_norm: Own .* expected local"):
        synchronised(torch.nn.Sequential(Own(3)), Group(0, 2))
