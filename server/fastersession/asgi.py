"""ASGI's types, and the answers that the middleware gives by itself."""

import json
import math
from collections.abc import Awaitable, Callable, MutableMapping
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

_ANSWERS: dict[type[SessionError], tuple[int, str, float | None]] = {
    StoreUnavailable: (503, "session_store_unavailable", 2),
    LeaseHeld: (409, "session_busy", 1),
    VersionConflict: (409, "session_conflict", 1),
    InvalidSessionData: (500, "session_data_invalid", None),
}


async def answer(send: Send, error: SessionError) -> None:
    """Send the whole response for an error that no handler took: {"error", "detail"}."""
    status, code, retry_after = _ANSWERS.get(type(error), (500, "session_error", None))
    if isinstance(error, LeaseHeld):
        retry_after = max(1, math.ceil(error.retry_after))
    body = json.dumps({"error": code, "detail": str(error)}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if retry_after is not None:
        headers.append((b"retry-after", str(int(retry_after)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
