"""The errors of chatstream.

ChatStreamError
├── EngineError(detail)           code
│   ├── EngineUnavailable         engine_unavailable  no connection, or the engine calls itself unhealthy
│   ├── EngineOverloaded          engine_overloaded   the engine's own concurrency limit is reached
│   ├── EngineRejected            engine_rejected     the request is wrong; `detail` keeps the engine's words
│   ├── EngineFailed              engine_failed       generation failed, the stream was cut, or no protocol
│   └── EngineTimeout             engine_timeout      silence beyond a limit
└── TurnError(detail, retry_after)  code, status
    ├── BodyTooLarge              body_too_large 413
    ├── BodyTimeout               body_timeout 408
    ├── InvalidJSON               invalid_json 400
    ├── InvalidRequest            invalid_request 422
    ├── InputTooLong              input_too_long 422             the last input alone is over the token budget
    ├── TooManyRequests           too_many_requests 429          every slot and every place is taken
    ├── TurnInProgress            turn_in_progress 409           another turn of this session runs
    ├── NothingToRegenerate       nothing_to_regenerate 409
    ├── QueueTimeout              queue_timeout 503              waited as long as one may
    ├── Draining                  draining 503                   new work while the server goes down
    ├── ShuttingDown              shutting_down 503              a running turn at the end of the drain
    ├── SessionStoreUnavailable   session_store_unavailable 503
    ├── NoSession                 no_session 404                 nothing is stored for this browser
    ├── SessionDataInvalid        session_data_invalid 500         the stored conversation cannot be read
    ├── SessionMiddlewareMissing  session_middleware_missing 500
    ├── ReaderStalled             reader_stalled                 the client stopped reading; nobody is told
    ├── TurnTimeout               turn_timeout 504               longer than a turn may take
    └── TurnCancelled             cancelled 503                  the server cancelled the turn's task
"""

from dataclasses import dataclass
from typing import ClassVar


class ChatStreamError(Exception):
    """Root of everything that this package raises on purpose."""


# --- engines ---------------------------------------------------------------------------------------


class EngineError(ChatStreamError):
    """A generation did not come to its natural end. `code` is machine-readable, `detail` is for people."""

    code: ClassVar[str] = "engine_error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class EngineUnavailable(EngineError):
    """The engine cannot be reached, or calls itself unhealthy."""

    code = "engine_unavailable"


class EngineOverloaded(EngineError):
    """The engine's own limit of concurrent requests is reached; another try later may succeed."""

    code = "engine_overloaded"


class EngineRejected(EngineError):
    """The engine refuses the request as it stands; the same request will be refused again."""

    code = "engine_rejected"


class EngineFailed(EngineError):
    """The engine failed while generating, ended without a final event, or sent what is no protocol."""

    code = "engine_failed"


class EngineTimeout(EngineError):
    """The engine stayed silent longer than it may."""

    code = "engine_timeout"


# --- end of engines --------------------------------------------------------------------------------

# --- turns -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    """What a client is told of a failure: an HTTP error before the first byte, an `error` event after it."""

    code: str
    status: int
    detail: str
    retry_after: float | None = None
    """Seconds; None where another try is not known to help."""


class TurnError(ChatStreamError):
    """A turn that was refused or failed for a reason of our own. `code` and `status` reach the client."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500

    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after

    def problem(self) -> Problem:
        return Problem(self.code, self.status, self.detail, self.retry_after)


class BodyTooLarge(TurnError):
    code, status = "body_too_large", 413


class BodyTimeout(TurnError):
    code, status = "body_timeout", 408


class InvalidJSON(TurnError):
    code, status = "invalid_json", 400


class InvalidRequest(TurnError):
    code, status = "invalid_request", 422


class InputTooLong(TurnError):
    code, status = "input_too_long", 422


class TooManyRequests(TurnError):
    code, status = "too_many_requests", 429


class TurnInProgress(TurnError):
    code, status = "turn_in_progress", 409


class NothingToRegenerate(TurnError):
    code, status = "nothing_to_regenerate", 409


class QueueTimeout(TurnError):
    code, status = "queue_timeout", 503


class Draining(TurnError):
    code, status = "draining", 503


class ShuttingDown(TurnError):
    code, status = "shutting_down", 503


class SessionStoreUnavailable(TurnError):
    code, status = "session_store_unavailable", 503


class NoSession(TurnError):
    code, status = "no_session", 404


class SessionDataInvalid(TurnError):
    code, status = "session_data_invalid", 500


class SessionMiddlewareMissing(TurnError):
    code, status = "session_middleware_missing", 500


class ReaderStalled(TurnError):
    code, status = "reader_stalled", 500


class TurnTimeout(TurnError):
    code, status = "turn_timeout", 504


class TurnCancelled(TurnError):
    code, status = "cancelled", 503


ENGINE_STATUS: dict[str, int] = {
    EngineUnavailable.code: 503,
    EngineOverloaded.code: 429,
    EngineRejected.code: 422,
    EngineFailed.code: 502,
    EngineTimeout.code: 504,
}
ENGINE_WORDS: dict[str, str] = {
    EngineUnavailable.code: "The engine cannot be reached.",
    EngineOverloaded.code: "The engine is at its own limit.",
    EngineFailed.code: "The engine failed at this reply.",
    EngineTimeout.code: "The engine was silent for too long.",
}
"""For clients: an engine error's own detail may name hosts. A refusal's is about the request, and shown."""
RETRY_ENGINE = 5.0
"""Seconds until another try where the engine is away or full: nobody knows better."""


def problem_of(error: BaseException) -> Problem:
    """What the client may know of any exception: never more than our own errors' words."""
    if isinstance(error, TurnError):
        return error.problem()
    if isinstance(error, EngineError):
        status = ENGINE_STATUS.get(error.code, 502)
        again = RETRY_ENGINE if status in (429, 503) else None
        return Problem(error.code, status, ENGINE_WORDS.get(error.code, error.detail), again)
    return Problem("internal_error", 500, "An error inside the server ended this turn; its log names it.")
