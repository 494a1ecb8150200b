"""A real uvicorn on a free port, in the test's own loop, and clients with real sockets."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from starlette.types import ASGIApp

from chatstream.app.web import KEEP_ALIVE, build_server, listen
from tests.server.support.events import Event, names_of, parse_events, text_of

PATIENCE = 25.0


async def until(condition: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    """Poll until it holds; a failed test after PATIENCE seconds."""
    deadline = time.monotonic() + PATIENCE
    while True:
        held = condition()
        if isinstance(held, Awaitable):
            held = await held
        if held:
            return
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(
    app: ASGIApp, *, trusted_proxies: tuple[str, ...] = (), keep_alive: int = KEEP_ALIVE
) -> AsyncIterator[str]:
    """The base URL under which `app` answers."""
    listener = listen("127.0.0.1", 0)
    server = build_server(app, lifespan=True, trusted_proxies=trusted_proxies, keep_alive=keep_alive)
    task = asyncio.create_task(server.serve([listener]))
    await until(lambda: server.started or task.done(), "the server's start")
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


class Chat:
    """One POST /chat_stream that is being read."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._raw = b""
        self.status = response.status
        self.headers = response.headers

    @property
    def events(self) -> list[Event]:
        whole, _, _ = self._raw.rpartition(b"\n\n")
        return parse_events(whole.decode())

    @property
    def text(self) -> str:
        return text_of(self.events)

    @property
    def names(self) -> list[str]:
        return names_of(self.events)

    async def read(self) -> bool:
        """Read what is there; False at the end."""
        chunk = await self._response.content.readany()
        self._raw += chunk
        return bool(chunk)

    async def read_until(self, name: str) -> Event:
        """Read on until an event of that name is there."""
        while name not in [event.name for event in self.events]:
            assert await self.read(), f"the stream ended without {name}: {self._raw!r}"
        return next(event for event in self.events if event.name == name)

    async def whole(self) -> "Chat":
        while await self.read():
            pass
        return self

    async def json(self) -> dict[str, Any]:
        answer = json.loads((await self.whole())._raw)
        assert isinstance(answer, dict)
        return answer

    def leave(self) -> None:
        """Close the connection, as a browser does whose tab goes."""
        self._response.close()


@dataclass(frozen=True)
class Answer:
    """A response that was read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        answer = json.loads(self.body)
        assert isinstance(answer, dict)
        return answer


class Browser:
    """One browser: a cookie jar of its own, unless it shares one."""

    def __init__(self, base: str, jar: aiohttp.CookieJar | None = None) -> None:
        self._base = base
        self.jar = aiohttp.CookieJar(unsafe=True) if jar is None else jar
        self._session = aiohttp.ClientSession(cookie_jar=self.jar)

    async def __aenter__(self) -> "Browser":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._session.close()

    async def send(
        self,
        user_input: str | None = "hi",
        *,
        regenerate: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> Chat:
        """Send a turn; returns when the response has begun."""
        body = {"user_input": user_input, "regenerate": regenerate}
        return Chat(await self._session.post(f"{self._base}/chat_stream", json=body, headers=headers))

    async def turn(self, user_input: str | None = "hi", *, regenerate: bool = False) -> Chat:
        """One turn to its end."""
        return await (await self.send(user_input, regenerate=regenerate)).whole()

    async def fetch(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Any request but a turn, to its end."""
        response = await self._session.request(method, self._base + path, headers=headers)
        try:
            return Answer(response.status, response.headers, await response.read())
        finally:
            response.close()  # whole or not

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        async with self._session.get(self._base + path) as response:
            answer = await response.json()
            assert isinstance(answer, dict)
            return response.status, answer


@asynccontextmanager
async def connection(base: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare TCP connection, for what no client library does."""
    host, _, port = base.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def raw_request(body: bytes, *, length: int | None = None) -> bytes:
    """POST /chat_stream as bytes; `length` may lie."""
    return (
        b"POST /chat_stream HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % (len(body) if length is None else length)
    ) + body
