"""ASGI's types, and the answers that the middleware gives by itself."""

import json
import logging
import math
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from fastersession.errors import (
    InvalidSessionData,
    LeaseHeld,
    SessionError,
    StoreUnavailable,
    VersionConflict,
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answer:
    """For clients: the cause, which may name hosts or hold users' words, is for the log alone."""

    status: int
    code: str
    detail: str
    retry_after: int | None = None


_ANSWERS: dict[type[SessionError], _Answer] = {
    StoreUnavailable: _Answer(
        503, "session_store_unavailable", "the session store cannot be reached; try again shortly", 2
    ),
    LeaseHeld: _Answer(409, "session_busy", "another request works on this session; try again shortly", 1),
    VersionConflict: _Answer(409, "session_conflict", "another request changed this session; try again", 1),
    InvalidSessionData: _Answer(500, "session_data_invalid", "the session cannot be read or written"),
}
_OTHER = _Answer(500, "session_error", "the session cannot be used")
_CROSS_ORIGIN = _Answer(
    403, "cross_origin_request", "a page of another origin may not do this; allowed_origins lists who may"
)


async def answer(send: Send, error: SessionError) -> None:
    """Send the whole response for an error that no handler took: {"error", "detail"}."""
    given = next((_ANSWERS[kind] for kind in type(error).__mro__ if kind in _ANSWERS), _OTHER)
    level = logging.ERROR if given.status >= 500 else logging.INFO
    logger.log(level, "a request failed for its session: %s: %s", type(error).__name__, error)
    retry_after = max(1, math.ceil(error.retry_after)) if isinstance(error, LeaseHeld) else given.retry_after
    await _send_whole(send, given, retry_after)


async def refuse(send: Send, reason: str) -> None:
    """Send the whole response for a request of another origin. `reason` is for the log."""
    logger.info("refused a request: %s", reason)
    await _send_whole(send, _CROSS_ORIGIN, None)


async def _send_whole(send: Send, given: _Answer, retry_after: int | None) -> None:
    body = json.dumps({"error": given.code, "detail": given.detail}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    await send({"type": "http.response.start", "status": given.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
