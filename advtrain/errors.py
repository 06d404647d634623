"""The errors a user can cause. Each is shown as it reads, without a traceback."""

from __future__ import annotations


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
    """A key's value that proves wrong only later, beside the files and images it speaks of."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(f"{key}: {text}")
        self.key, self.text = key, text


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
