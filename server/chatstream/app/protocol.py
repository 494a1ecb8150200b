"""uvicorn's HTTP protocol with the bounds that it lacks, and eyes that stay open while a response runs."""

from asyncio import TimerHandle, Transport

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from chatstream.turns.reply import ABORT_EXTENSION

MOST_OVERHEAD = 65_536
"""Bytes of a request beside its body: line, headers, trailers; the first read of the socket comes on top."""
CHUNK_OVERHEAD = 8
"""Bytes around a byte of the body where each is a chunk of its own; so much is allowed for each."""
MOST_AHEAD = 262_144
"""Bytes that a client may send ahead of the response that it is still getting."""


class Protocol(HttpToolsProtocol):
    """Offers each request `chatstream.abort`: uvicorn's close waits for a reader that takes nothing.

    A client that sends requests ahead is read on. uvicorn would stop to read, and tell nobody but the newest
    request that the client has gone: the one that is being served would hold its slot to its end. A head is
    limited in size, and to `timeout_keep_alive` in time, as is a connection that says nothing at all.
    """

    _serving: RequestResponseCycle | None = None
    _head_timer: TimerHandle | None = None
    _in_message = False
    _overhead = _ahead = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._limit_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._free_head()
        if (serving := self._serving) is not None and not serving.response_complete:
            serving.disconnected = True
            serving.message_event.set()

    def data_received(self, data: bytes) -> None:
        if self._in_message:
            self._overhead += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._ahead = self._ahead + len(data) if self.pipeline else 0
        if self._overhead > MOST_OVERHEAD or self._ahead > MOST_AHEAD:
            self._refuse()
        elif self.pipeline:
            self.flow.resume_reading()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_message, self._overhead = True, 0
        self._limit_head()
        self.scope["extensions"] = {ABORT_EXTENSION: {"abort": self.transport.abort}}

    def on_headers_complete(self) -> None:
        self._free_head()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._overhead = max(0, self._overhead - CHUNK_OVERHEAD * len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message, self._overhead = False, 0
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._serving = cycle
        super()._start_asgi_task(cycle, app)

    def _limit_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _free_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self) -> None:
        if self._serving is None or self._serving.response_complete:
            self.send_400_response("The request is too long beside its body.")
        else:
            self.transport.abort()
