"""The checksums of datasets' images, for runs that train no more."""

from __future__ import annotations

from advtrain.config.schema import Config
from advtrain.learning.data.sources import load_source
from advtrain.learning.own_code import import_code


def checksum_of(config: Config) -> str:
    """That of the images that the config's dataset has now; as `load_data` gives it."""
    import_code(config, ["dataset.name"])
    return load_source(config.dataset).checksum
