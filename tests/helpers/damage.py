"""What files of a run may come to hold instead of what they should."""

from __future__ import annotations

from pathlib import Path

import torch


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def text(file: Path) -> None:
    file.write_text("not what you think it is\n")


def broken_pickle(file: Path) -> None:
    file.write_bytes(b"\x80\x02}.")  # torch.load: IndexError, struct.error and others


def other_tensors(file: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, file)


def other_network(file: Path) -> None:
    content = torch.load(file, weights_only=True)
    content["model"] = {name + "x": value for name, value in content["model"].items()}
    torch.save(content, file)


def no_optimizer(file: Path) -> None:
    torch.save(torch.load(file, weights_only=True) | {"optimizer": torch.zeros(3)}, file)


def without_a_row(file: Path) -> None:
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:1] + lines[2:]))


def with_a_word(file: Path) -> None:
    file.write_text(file.read_text().replace("\n2,", "\n2,many"))
