"""What there is to choose from: `advtrain models`, `datasets` and `schema`."""

from __future__ import annotations


def models() -> None:
    """List the models that a config can name."""
    from advtrain.terminal.listings import print_models

    print_models()


def datasets() -> None:
    """List the datasets that a config can name."""
    from advtrain.terminal.listings import print_datasets

    print_datasets()


def schema() -> None:
    """Show every key of a config with its default and meaning."""
    from advtrain.terminal.listings import print_schema

    print_schema()
