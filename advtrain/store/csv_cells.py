"""The cells of a CSV, whatever wrote it. Imports no torch.

Comma, semicolon or tab, quotes, any line ends, blank lines. What is no UTF-8 text or has rows of
different lengths is refused, with the line.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from advtrain.errors import AdvtrainError

STDIN = Path("-")
_LARGEST = 200_000_000  # bytes


@dataclass(frozen=True)
class Cells:
    """A header and rows as long as it; `lines` are where the rows stand in the file."""

    file: Path
    separator: str
    header: list[str]
    rows: list[list[str]]
    lines: list[int]

    def error(self, row: int, at: int, text: str) -> AdvtrainError:
        """What is wrong with a cell, to be raised."""
        name, cell = self.header[at][:80], self.rows[row][at][:40]
        return AdvtrainError(f"{self.file}:{self.lines[row]}: {name}: {text}; got {cell!r}")

    def filled(self, columns: list[int]) -> Cells:
        """Without the rows where all these are empty; AdvtrainError if none is left."""
        kept = [i for i, row in enumerate(self.rows) if any(row[at] for at in columns)]
        if not kept:
            raise _no_epochs(self.file)
        return replace(self, rows=[self.rows[i] for i in kept], lines=[self.lines[i] for i in kept])


def read_cells(file: Path) -> Cells:
    """A file's cells without the spaces around them; AdvtrainError for what is no CSV."""
    text = _text(file)
    separator = _separator(text)
    lines = io.StringIO(text, newline="")  # str.splitlines would cut cells at U+2028 and the like
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    found = []
    try:
        for row in reader:
            cells = [" ".join(cell.split()) for cell in row]
            if any(cells):
                found.append((reader.line_num, cells))
    except csv.Error as error:
        line = reader.line_num
        raise AdvtrainError(f"{file}:{line}: cannot be read as CSV: {error}") from None
    if len(found) < 2:
        raise _no_epochs(file)
    (_, header), *body = found
    for line, row in body:
        if len(row) != len(header):
            raise AdvtrainError(
                f"{file}:{line}: {len(row)} cells where the header has {len(header)}"
            )
    return Cells(file, separator, header, [row for _, row in body], [line for line, _ in body])


def _no_epochs(file: Path) -> AdvtrainError:
    return AdvtrainError(f"{file}: no epochs in it yet: expected a header and a row an epoch")


def _text(file: Path) -> str:
    try:
        data = standard_input() if file == STDIN else _start_of(file)
    except FileNotFoundError:
        raise AdvtrainError(f"{file}: no such file or folder") from None
    except OSError as error:
        raise AdvtrainError(f"{file}: cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise AdvtrainError(f"{file}: more than {_LARGEST:,} bytes: not a CSV of epochs")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise AdvtrainError(f"{file}: UTF-16 text: save it as UTF-8")
    if (at := data.find(b"\0")) >= 0:
        raise AdvtrainError(f"{file}:{_line(data, at)}: a NUL byte: not a text file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = _line(error.object, error.start)
        raise AdvtrainError(f"{file}:{line}: not UTF-8 text: save it as UTF-8") from None


def _start_of(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(_LARGEST + 1)


@cache
def standard_input() -> bytes:
    """What was piped in; kept, since a file may be read more than once."""
    return sys.stdin.buffer.read(_LARGEST + 1)


def _line(data: bytes, at: int) -> int:
    return 1 + data.count(b"\n", 0, at)


def _separator(text: str) -> str:
    """The most frequent one outside the quotes of the header, the first line not blank."""
    lines = io.StringIO(text, newline="")
    header = next((line for line in lines if line.strip(',;\t\r\n "')), "")
    return max(",;\t", key=re.sub(r'"[^"]*("|$)', "", header).count)
