"""Runs of several processes that are stopped within epochs, and the same never stopped.

    torchrun --nproc-per-node N -m tests.helpers.stopped_together FOLDER

trains every case of CASES, by the config CASE.yaml in FOLDER: into FOLDER/quiet in one go, and into
FOLDER/stopped with Ctrl-C at each of PLACES. N.json in FOLDER then holds the files of the last case
that process N decoded to end the epoch that the last of these cut short.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from advtrain import load_config, train
from advtrain.learning import loop as learning
from advtrain.learning.data import splits
from advtrain.learning.data.decoding import Decoder
from advtrain.learning.distributed import group
from advtrain.records import EpochRecord
from tests.helpers.stopped_runs import NORMED, Stop

PLACES = [(0, 1), (1, 2), (1, 3)]  # epochs and batches done
CASES = {
    "normed": [*NORMED, "optimizer=adam", "ema=0.9", "augment=crop+flip"],
    "local": [*NORMED, "batch_norm=local", "schedule=cyclic"],
    "free": [*NORMED, "objective={name: free, replays: 2}"],
    "streamed": ["augment=crop+flip", "train_size=35", "batch_size=7"],
}


def main() -> None:
    """What this process does of it."""
    folder, decode, epoch = Path(sys.argv[1]), Decoder.__call__, learning.train_epoch
    decoded, trained_on = list[str](), list[list[str]]()

    def noted(decoder: Decoder, file: Path) -> torch.Tensor:
        decoded.append(str(file))
        return decode(decoder, file)

    def epoch_of(*arguments: Any) -> EpochRecord:
        decoded.clear()
        record = epoch(*arguments)
        trained_on.append(list(decoded))
        return record

    # In which order it adds three numbers, its first step would decide. This keeps it from that.
    wrap = partial(group.DistributedDataParallel, find_unused_parameters=True)
    with pytest.MonkeyPatch.context() as patch, group.joined() as processes:
        patch.setattr(group, "DistributedDataParallel", wrap)
        patch.setattr(learning, "train_epoch", epoch_of)
        patch.setattr(splits, "RESIDENT_BYTES", 0)
        patch.setattr(Decoder, "__call__", noted)
        for case, keys in CASES.items():
            config = load_config(folder / f"{case}.yaml", keys)
            train(config, folder / "quiet", device="cpu")
            for place in PLACES:
                try:
                    train(config, folder / "stopped", device="cpu", observer=Stop(*place))
                except KeyboardInterrupt:
                    trained_on.clear()
                else:
                    raise AssertionError(f"{case} was not stopped at {place}")
            train(config, folder / "stopped", device="cpu")
        (folder / f"{processes.rank}.json").write_text(json.dumps(trained_on[0]))


if __name__ == "__main__":
    main()
