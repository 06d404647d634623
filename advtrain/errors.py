"""The errors a user can cause. Each is shown as it reads, without a traceback."""

from __future__ import annotations

import re
import textwrap

_CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # colours and the like, as a terminal reads them
_LONGEST = 300  # characters


class AdvtrainError(Exception):
    """Something the user can mend. `exit_code` is what the command line ends with."""

    exit_code = 2


class ConfigError(AdvtrainError):
    """Everything that is wrong with a config and its overrides, one line a problem.

    Each line starts with where it is: `file:line:column:` or `argument 'key=value':`.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SettingError(AdvtrainError):
    """A key's value that proves wrong only later, beside the files and images it speaks of.

    `others` are keys that may be the ones to mend; the place shown is that of the one set last.
    """

    def __init__(self, key: str, text: str, *others: str) -> None:
        super().__init__(f"{key}: {text}")
        self.key, self.text, self.others = key, text, others


class Busy(AdvtrainError):
    """Another process is working on the run."""


class RunFailed(AdvtrainError):
    """A run began and could not go on; its directory keeps what was done until then."""

    exit_code = 1


class Superseded(RunFailed):
    """A later attempt has taken the run over."""


class Lost(RunFailed):
    """Another process of the run ended; whose own mistake it was says the rest."""


class Interrupted(AdvtrainError):
    """The user stopped a command; a run that it began can go on later."""

    exit_code = 130


def in_one_line(error: BaseException) -> str:
    """What another library's exception says, in one line; a long text ends after a whole word."""
    text = _CODES.sub("", str(error))
    plain = "".join(c if c.isprintable() else " " for c in text)
    short = textwrap.shorten(plain, _LONGEST, placeholder=" ...")
    if short == "...":  # its first word is longer
        short = plain.strip()[:_LONGEST]
    return short or type(error).__name__


def described(error: BaseException) -> str:
    """The same after the exception's type, for code of the user's that may raise anything."""
    name, text = type(error).__name__, in_one_line(error)
    return name if text == name else f"{name}: {text}"
