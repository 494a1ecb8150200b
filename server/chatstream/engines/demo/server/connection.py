"""One HTTP connection: requests in, in order; a client that goes cancels what runs for it."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final, cast

import httptools

from chatstream.engines.demo.server import answers
from chatstream.engines.demo.server.app import App, HttpRequest
from chatstream.engines.demo.server.batcher import Job

KEEP_ALIVE_SECONDS: Final = 15.0
_MOST_PIPELINED = 32


@dataclass(slots=True)
class Connections:
    """All open connections of a server, for its draining."""

    all: set["Connection"] = field(default_factory=set)
    draining: bool = False
    empty: asyncio.Event = field(default_factory=asyncio.Event)

    def drain(self) -> None:
        """Let what runs come to its end, and close what is idle."""
        self.draining = True
        for connection in tuple(self.all):
            connection.close_if_idle()
        self._check()

    def abort(self) -> None:
        for connection in tuple(self.all):
            connection.abort()

    def remove(self, connection: "Connection") -> None:
        self.all.discard(connection)
        self._check()

    def _check(self) -> None:
        if self.draining and not self.all:
            self.empty.set()


class Connection(asyncio.Protocol):
    """Also the Exchange of the request that is being answered."""

    def __init__(self, app: App, connections: Connections, payload_limit: int, keep_alive: float) -> None:
        self.job: Job | None = None
        self._app = app
        self._connections = connections
        self._payload_limit = payload_limit
        self._keep_alive = keep_alive
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[HttpRequest, bool]] = deque()
        self._busy = False
        self._is_last = False
        self._wrote_at = 0.0
        self._comment: asyncio.TimerHandle | None = None
        self.on_message_begin()

    # --- asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = cast(asyncio.Transport, transport)
        self._write = self._transport.write
        self._connections.all.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse()

    def eof_received(self) -> bool:
        # A client that has closed its half counts as gone.
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._stop_comments()
        self._waiting.clear()
        job, self.job = self.job, None
        if job is not None:
            self._app.cancel(job)
        self._connections.remove(self)

    # --- httptools ---

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self._write(answers.CONTINUE)

    def on_body(self, body: bytes) -> None:
        # What is over the limit is read and thrown away: closing at once would lose the refusal on its way.
        self._size += len(body)
        if self._size <= self._payload_limit:
            self._body.append(body)

    def on_message_complete(self) -> None:
        request = HttpRequest(
            method=self._parser.get_method().decode(),
            path=self._target.partition(b"?")[0].decode("latin-1"),
            headers=self._headers,
            body=b"".join(self._body),
            too_large=self._size > self._payload_limit,
        )
        self._waiting.append((request, not self._parser.should_keep_alive()))
        if len(self._waiting) > _MOST_PIPELINED:
            self._refuse()
        self._next()

    # --- the exchange ---

    def send(self, data: bytes) -> None:
        """A part of a stream; comments fill its silences from here on."""
        self._write(data)
        self._wrote_at = self._loop.time()
        if self._comment is None:
            self._comment = self._loop.call_at(self._wrote_at + self._keep_alive, self._fill_silence)

    def finish(self, data: bytes) -> None:
        self._stop_comments()
        self.job = None
        self._write(data)
        self._busy = False
        if self._is_last or self._connections.draining:
            self._transport.close()
        elif self._waiting:
            # Not by recursion: a client may have sent many requests at once.
            self._loop.call_soon(self._next)

    def close_if_idle(self) -> None:
        if not self._busy:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def _next(self) -> None:
        if self._busy or not self._waiting or self._transport.is_closing():
            return
        self._busy = True
        request, self._is_last = self._waiting.popleft()
        self._app.handle(request, self)

    def _refuse(self) -> None:
        if not self._busy:
            self._write(answers.BAD_REQUEST % answers.http_date().encode())
        self._transport.close()

    def _fill_silence(self) -> None:
        """One timer a stream, not one a token: it looks at when something was written last."""
        due = self._wrote_at + self._keep_alive
        if due <= self._loop.time():
            self._comment = None
            self.send(answers.KEEP_ALIVE)
        else:
            self._comment = self._loop.call_at(due, self._fill_silence)

    def _stop_comments(self) -> None:
        if self._comment is not None:
            self._comment.cancel()
            self._comment = None
