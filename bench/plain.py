"""Networks of torch's own layers, as the papers write them: for peers, floor and the tests."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from advtrain.learning.models.classifier import Classifier
from advtrain.learning.models.stem import Stem


def plain(name: str, model: Classifier) -> Classifier:
    """The same function and weights, NCHW, without what we changed for speed; changes `model`.

    madry_cnn has its ReLU before the max-pool; small_cnn is defined with it behind, for all.
    """
    model.to(memory_format=torch.contiguous_format)
    layers = model.network
    assert isinstance(layers, nn.Sequential)
    for i, layer in enumerate(layers):
        if isinstance(layer, Stem):
            inside, outside, (size, _) = layer.in_channels, layer.out_channels, layer.kernel_size
            own = nn.Conv2d(inside, outside, size, padding=size // 2, bias=layer.bias is not None)
            own.load_state_dict(layer.state_dict())
            layers[i] = own
    if name == "madry_cnn":
        for i, (first, second) in enumerate(pairwise(layers)):
            if isinstance(first, nn.MaxPool2d) and isinstance(second, nn.ReLU):
                layers[i], layers[i + 1] = second, first
    return model
