"""A browser session as the server sees it: a cookie jar with a browser's rules, streams read as they come."""

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

from harness.sse import Event, EventReader

PATIENCE = 30.0  # seconds that a stream may take for one expected step


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response; `json` is {} where it has no body."""

    status: int
    headers: dict[str, str]
    cookies: list[str]
    json: dict[str, Any]


class Stream:
    """One POST /chat_stream, read in the background from its first byte to its end."""

    def __init__(self, session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.cookies: list[str] = []
        self.refusal: dict[str, Any] = {}
        self.events: list[Event] = []
        self.broken: str | None = None
        self.started_at = time.monotonic()
        self.ended_at: float | None = None
        self._reader = EventReader()
        self._changed = asyncio.Condition()
        self._task = asyncio.create_task(self._read(session, url, body))

    @property
    def text(self) -> str:
        return "".join(event.data["delta"] for event in self.named("message"))

    @property
    def whole(self) -> bool:
        """The stream ended as a stream should: with one `done`, last, and nothing cut."""
        names = [event.name for event in self.events]
        return (
            self.broken is None and names.count("done") == 1 and names[-1] == "done" and "error" not in names
        )

    @property
    def kept(self) -> bool:
        """The server said that the turn is in the history: `done`, and no warning before it."""
        return self.whole and self.named("warning") == []

    @property
    def seconds(self) -> float:
        """From the request to the end of the answer; only of an ended one."""
        assert self.ended_at is not None
        return self.ended_at - self.started_at

    def named(self, name: str) -> list[Event]:
        return [event for event in self.events if event.name == name]

    async def until(self, holds: Callable[[Self], bool], what: str, within: float = PATIENCE) -> Self:
        """Wait for something to show in the stream. AssertionError past `within` seconds or at its end."""
        try:
            async with asyncio.timeout(within), self._changed:
                await self._changed.wait_for(lambda: holds(self) or self.ended_at is not None)
        except TimeoutError:
            raise AssertionError(f"after {within:g} s still not: {what}; {self.summary()}") from None
        assert holds(self), f"the stream ended without: {what}; {self.summary()}"
        return self

    async def deltas(self, count: int, within: float = PATIENCE) -> Self:
        return await self.until(lambda s: len(s.named("message")) >= count, f"{count} deltas", within)

    async def end(self, within: float = PATIENCE) -> Self:
        return await self.until(lambda s: s.ended_at is not None, "the stream's end", within)

    async def leave(self) -> None:
        """Go away at once, as a closed tab does."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def summary(self) -> str:
        last = [f"{event.name} {event.data}" for event in self.events[-3:]]
        answer = f"status {self.status} {self.refusal}"
        return f"{answer}, {len(self.events)} events, last {last}, broken: {self.broken}"

    async def _read(self, session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> None:
        try:
            async with session.post(url, json=body) as response:
                try:
                    await self._take(response)
                finally:
                    response.close()
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            self.broken = f"{type(error).__name__}: {error}"
        finally:
            self.ended_at = time.monotonic()
            await self._tell()

    async def _take(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self.cookies = response.headers.getall("Set-Cookie", [])
        await self._tell()
        if response.status != 200:
            self.refusal = await response.json()
            return
        async for chunk in response.content.iter_any():
            self.events += self._reader.feed(chunk, time.monotonic())
            await self._tell()
        assert self._reader.unfinished == b"", f"the answer ends within an event: {self._reader.unfinished!r}"

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class Browser:
    """One browser session on one address. Each request has its own connection, so that any pod may get it."""

    def __init__(self, url: str, *, trust: ssl.SSLContext | None = None) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                force_close=True, limit=0, ssl=trust if trust is not None else True
            ),
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=60),
        )
        self._streams: list[Stream] = []

    def say(self, user_input: str, *, regenerate: bool = False) -> Stream:
        """Begin a turn."""
        body = {"user_input": user_input, "regenerate": regenerate}
        stream = Stream(self._session, f"{self._url}/chat_stream", body)
        self._streams.append(stream)
        return stream

    async def turn(self, user_input: str, *, within: float = PATIENCE) -> Stream:
        """One turn, read to its end."""
        return await self.say(user_input).end(within)

    async def reply(self, user_input: str, *, within: float = PATIENCE) -> str:
        """The text of a turn that must come whole."""
        stream = await self.turn(user_input, within=within)
        assert stream.whole, stream.summary()
        return stream.text

    async def ask(self, method: str, path: str, headers: dict[str, str] | None = None) -> Answer:
        """One request without a body."""
        async with self._session.request(method, f"{self._url}{path}", headers=headers) as response:
            body = await response.text()
            names = {name.lower(): value for name, value in response.headers.items()}
            cookies = response.headers.getall("Set-Cookie", [])
            return Answer(response.status, names, cookies, json.loads(body or "{}"))

    async def export(self) -> list[tuple[str, str]]:
        """The whole conversation as GET /session gives it: role and text of each message."""
        answer = await self.ask("GET", "/session")
        assert answer.status == 200, answer
        return [(message["role"], message["text"]) for message in answer.json["messages"]]

    def session_id(self) -> str:
        """What the cookie names: Redis keeps the session under it."""
        [value] = self.cookies().values()
        return value.partition(".")[0]

    def cookies(self) -> dict[str, str]:
        return {cookie.key: cookie.value for cookie in self._session.cookie_jar}

    async def close(self) -> None:
        for stream in self._streams:
            await stream.leave()
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
