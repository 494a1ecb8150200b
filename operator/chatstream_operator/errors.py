"""What can go wrong, as the operator tells it apart.

OperatorError
├── InvalidSpec          the resource cannot be served as it is written; waits for a change of the spec
├── NameTaken            a child's name belongs to somebody else
│   └── CleaningUp       ... to the ChatStream that had this name before; the garbage collector takes it
├── ApplyFailed          the API server refused a child; the others were applied
└── KubeError            an answer of the API server, or none
    ├── NotFound         404
    ├── Conflict         409
    ├── Gone             410: the watch is too old, list again
    ├── Refused          other 4xx: trying again changes nothing by itself
    └── Unavailable      5xx, 429, no connection, no answer in time: try again
        └── Internal     500: it, or a webhook that it asked, failed at this very request
"""

from __future__ import annotations


class OperatorError(Exception):
    """Anything that the operator knows how to name. `reason` is a stable CamelCase word."""

    reason = "OperatorError"


class InvalidSpec(OperatorError):
    """The message names the field and the remedy."""

    reason = "InvalidSpec"


class NameTaken(OperatorError):
    """The message names the object and its owner."""

    reason = "NameTaken"


class CleaningUp(NameTaken):
    """It passes by itself."""

    reason = "CleaningUp"


class ApplyFailed(OperatorError):
    """The message holds the API server's own words, one line for each child."""

    reason = "ApplyFailed"


class KubeError(OperatorError):
    """status: the HTTP status, 0 where there was no answer."""

    reason = "KubeError"

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class NotFound(KubeError):
    reason = "NotFound"


class Conflict(KubeError):
    reason = "Conflict"


class Gone(KubeError):
    reason = "Gone"


class Refused(KubeError):
    reason = "Refused"


class Unavailable(KubeError):
    """retry_after: seconds that the server asked for, None where it did not."""

    reason = "Unavailable"

    def __init__(self, message: str, *, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class Internal(Unavailable):
    """May pass, or never: so a user has to be told of it."""

    reason = "Internal"
