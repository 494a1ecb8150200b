"""The client's side of a turn: one writer at a time, headers before the first byte, and the times of both."""

import asyncio
import json
import math
from collections.abc import Callable, Iterable, MutableMapping
from contextlib import suppress
from typing import Any

from starlette.types import Scope, Send

from chatstream.errors import Problem
from chatstream.framing import CONTENT_TYPE, KEEP_ALIVE, encode_event
from chatstream.turns.outcome import ClientGone

Header = tuple[bytes, bytes]
ABORT_EXTENSION = "chatstream.abort"
"""ASGI extension of our own server; its "abort" drops the connection with all that is unsent."""
STREAM_HEADERS: tuple[Header, ...] = (
    (b"content-type", CONTENT_TYPE.encode()),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class Reply:
    """`blocked_since` is when a send began that has not returned yet; None while there is none."""

    def __init__(
        self, scope: Scope, send: Send, headers: Iterable[Header], clock: Callable[[], float]
    ) -> None:
        self._send = send
        self._clock = clock
        self._headers = list(headers)
        extension = (scope.get("extensions") or {}).get(ABORT_EXTENSION) or {}
        self._abort: Callable[[], None] | None = extension.get("abort")
        self._warnings: list[str] = []
        self._prelude = b""
        self._ping: asyncio.Task[None] | None = None
        self.started = False
        self.ended = False
        self.blocked_since: float | None = None
        self.last_write = clock()

    def warn(self, code: str, detail: str) -> None:
        """Tell of something: by an event in front of the next one, and by a header unless they have gone."""
        self._warnings.append(code.replace("_", "-"))
        self._prelude += encode_event("warning", {"code": code, "detail": detail})

    def add_header(self, name: bytes, value: bytes) -> None:
        """Only before the first byte."""
        self._headers.append((name, value))

    async def write(self, data: bytes) -> None:
        """Send a part of the stream; the first one takes the headers with it. Raises ClientGone."""
        if self._ping is not None:
            await self.settled()
        await self._write(data)

    def ping(self) -> None:
        """Send a comment, in a task: nobody waits for it but the next write."""
        if self._ping is None or self._ping.done():
            self._ping = asyncio.create_task(self._comment())

    async def settled(self) -> None:
        """Wait for a comment that is on its way."""
        ping, self._ping = self._ping, None
        if ping is not None:
            await asyncio.wait((ping,))

    async def fail(self, problem: Problem) -> None:
        """Tell the client why there is no (further) reply: by status before the first byte, else by event."""
        await self.settled()
        if self.started:
            shown = {"code": problem.code, "detail": problem.detail, "status": problem.status}
            await self._write(encode_event("error", shown))
            await self.end()
            return
        body = json.dumps({"error": problem.code, "detail": problem.detail}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        if problem.retry_after is not None:
            headers.append((b"retry-after", str(math.ceil(problem.retry_after)).encode()))
        await self._start(problem.status, headers)
        await self._put({"type": "http.response.body", "body": body})
        self.ended = True

    async def end(self) -> None:
        """Close the stream in order. Idempotent."""
        await self.settled()
        if not self.ended:
            self.ended = True
            await self._put({"type": "http.response.body", "body": b"", "more_body": False})

    def abort(self) -> None:
        """Drop the connection where the server can, so that a reader who takes nothing holds nothing."""
        if self._ping is not None:
            self._ping.cancel()
        self.ended = True
        if self._abort is not None:
            self._abort()

    async def _comment(self) -> None:
        with suppress(ClientGone):  # the next write, or the turn's watch, learns of it too
            await self._write(KEEP_ALIVE)

    async def _write(self, data: bytes) -> None:
        if not self.started:
            await self._start(200, STREAM_HEADERS)
        data, self._prelude = self._prelude + data, b""
        await self._put({"type": "http.response.body", "body": data, "more_body": True})

    async def _start(self, status: int, headers: Iterable[Header]) -> None:
        self.started = True
        sent = [*headers, *self._headers]
        if self._warnings:
            sent.append((b"x-chatstream-warning", ", ".join(self._warnings).encode()))
        await self._put({"type": "http.response.start", "status": status, "headers": sent})

    async def _put(self, message: MutableMapping[str, Any]) -> None:
        self.blocked_since = self.last_write = self._clock()
        try:
            await self._send(message)
        except OSError as error:
            raise ClientGone("the client has gone") from error
        finally:
            self.blocked_since = None
