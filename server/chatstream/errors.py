"""The errors of chatstream.

ChatStreamError
└── EngineError(detail)        code
    ├── EngineUnavailable      engine_unavailable   no connection, or the engine calls itself unhealthy
    ├── EngineOverloaded       engine_overloaded    the engine's own limit of concurrent requests is reached
    ├── EngineRejected         engine_rejected      the request is wrong; `detail` keeps the engine's words
    ├── EngineFailed           engine_failed        generation failed, the stream was cut, or no protocol
    └── EngineTimeout          engine_timeout       silence beyond a limit
"""

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
