"""What `advtrain models`, `datasets` and `schema` print. Imports no torch."""

from __future__ import annotations

import json
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from rich.console import Console
from rich.table import Table

from advtrain.config.names import DATASETS, MODELS


def print_models() -> None:
    """Names, arguments with their defaults, and a line about each."""
    table = plain_table("model", "arguments", "")
    for name, info in MODELS.items():
        args = [f"{key}={value}" for key, value in info.args().model_dump().items()]
        table.add_row(name, ", ".join(args), info.doc)
    table.add_row("torchvision:NAME", "as torchvision's", "any classifier of torchvision.models")
    table.add_row("import:package.module:Class", "its own", "yours: called with in_shape and "
                  "num_classes where it accepts them")  # fmt: skip
    Console().print(table)


def print_datasets() -> None:
    """Names, sizes, and where the images come from."""
    table = plain_table("dataset", "images", "classes", "train", "test", "")
    for name, info in DATASETS.items():
        size = "x".join(map(str, info.shape))
        where = "; downloaded by torchvision" if info.torchvision else ""
        table.add_row(
            name, size, str(info.classes), f"{info.train:,}", f"{info.test:,}", info.doc + where
        )
    blank = [""] * 4
    table.add_row(
        "image_folder",
        *blank,
        "root/train/CLASS/* and root/test/CLASS/*; or root/CLASS/*, a fifth of it for testing",
    )
    table.add_row(
        "import:package.module:function",
        *blank,
        "yours: function(train=True or False) returns images and labels",
    )
    Console().print(table)


def print_schema() -> None:
    """Every key with its default, as YAML with comments."""
    from advtrain.config.schema import Config

    for name, field in Config.model_fields.items():
        if name in Config.CHOICES:
            for cls in Config.CHOICES[name]:
                default = " The default." if isinstance(field.default, cls) else ""
                print(f"\n# {cls.__doc__}{default}")
                _print_section(name, cls)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            print(f"\n# {field.annotation.__doc__}")
            _print_section(name, field.annotation)
        else:
            print(f"{name}: {_default(field)}".ljust(30) + f"  # {field.description}")


def _print_section(name: str, cls: type[BaseModel]) -> None:
    print(f"{name}:")
    fields = sorted(cls.model_fields.items(), key=lambda item: item[0] != "name")
    for key, field in fields:
        choices = [str(c) for c in get_args(field.annotation) if isinstance(c, str)]
        about = field.description or ""
        if len(choices) > 1:
            about = f"{about} ({' | '.join(choices)})"
        print(
            f"  {key}: {_default(field)}".ljust(30) + f"  # {about}"
            if about
            else f"  {key}: {_default(field)}"
        )


def _default(field: FieldInfo) -> str:
    """The default as YAML would have it."""
    if field.default is PydanticUndefined:
        return "(required)"
    return "null" if field.default is None else json.dumps(field.default).strip('"')


def plain_table(*columns: str) -> Table:
    """A table without lines; its first column never wraps."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, no_wrap=i == 0, overflow="fold")
    return table
