"""What can be wrong with data and model of the user's own, looked for without training."""

from __future__ import annotations

from pathlib import Path

import torch

from advtrain.config.names import DATASETS
from advtrain.config.schema import Config
from advtrain.learning.data.splits import load_data
from advtrain.learning.models import build_model
from advtrain.learning.models.contract import model_doubts
from advtrain.learning.own_code import import_code
from advtrain.learning.streams import preserved
from advtrain.store import checkpoint
from advtrain.store.parent import Parent
from advtrain.store.same_images import check_images


def rehearse(config: Config, path: Path, parent: Parent | None) -> tuple[list[str], list[str]]:
    """Notes on the data, and warnings about data and model of the run that would be at `path`.

    Nothing is left on the disk. Loads a dataset of the user's own, builds the network and passes
    made-up images through it, on the CPU. Raises AdvtrainError for all that `train` would refuse
    before it begins.
    """
    notes, warnings = list[str](), list[str]()
    with preserved():
        import_code(config)
        if info := DATASETS.get(config.dataset.name):
            shape, classes, images = info.shape, info.classes, info.train
        else:
            data = load_data(config.dataset, torch.device("cpu"))
            shape, classes, images = data.shape, data.num_classes, len(data.train)
            check_images(config, path, parent, data.checksum)
            notes, warnings = [*data.notes], [*data.warnings]
        keys = config.model
        model = build_model(keys.name, in_shape=shape, num_classes=classes, **keys.arguments)
        if weights := keys.weights_file:
            checkpoint.load_weights(weights, model)
        return notes, [*warnings, *model_doubts(model, config, shape, classes, images)]
