"""What can go wrong, each with words that a user can act on.

DevclusterError
├── CommandFailed      a program ended with an error; its last output is kept
├── ProcessDied        a daemon ended, or never became healthy; its log's tail is kept
└── CannotContinue     something about this machine that only its user can change
"""

from __future__ import annotations


class DevclusterError(Exception):
    """Any failure of this tool; str() is what the user reads."""


class CommandFailed(DevclusterError):
    """A program that was run to its end returned an error."""

    def __init__(self, command: str, code: int, output: str) -> None:
        super().__init__(f"`{command}` ended with {code}:\n{output.strip()}")
        self.code = code
        self.output = output


class ProcessDied(DevclusterError):
    """A daemon does not run as it should."""


class CannotContinue(DevclusterError):
    """The user must change something first; the message says what."""
