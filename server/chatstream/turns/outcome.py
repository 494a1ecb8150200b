"""How a turn ended."""

from dataclasses import dataclass
from typing import Literal

from chatstream.errors import TurnError, problem_of

Outcome = Literal[
    "success",
    "client_disconnected_while_streaming",
    "client_disconnected_before_streaming",
    "unknown_error_occurred",
]
Phase = Literal["queued", "prefill", "streaming"]


@dataclass(frozen=True, slots=True)
class Ending:
    """`cause` is a short machine-readable word, None of a success; `error` is what the client is told."""

    outcome: Outcome
    cause: str | None = None
    error: BaseException | None = None

    @property
    def left(self) -> bool:
        """Whether the client went."""
        return self.outcome.startswith("client_disconnected")


SUCCESS = Ending("success")


def failed(error: BaseException) -> Ending:
    return Ending("unknown_error_occurred", problem_of(error).code, error)


def disconnected(phase: Phase) -> Ending:
    if phase == "streaming":
        return Ending("client_disconnected_while_streaming", "client_disconnected")
    return Ending("client_disconnected_before_streaming", "client_disconnected")


class ClientGone(TurnError):
    """`send` says that nobody listens any more."""

    code = "client_gone"
