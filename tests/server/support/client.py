"""A client and its connection as ASGI shows them, on any clock: it may leave, stall, or send half a body."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message

from chatstream import ChatPrompt, ChatStream
from chatstream.turns.callback import Callback
from chatstream.turns.history import History
from chatstream.turns.reply import ABORT_EXTENSION
from tests.server.support.events import Event, names_of, parse_events, text_of

Trouble = Callable[[str], float | None]


class ScriptedClient:
    def __init__(self, body: object = None, *, whole: bool = True) -> None:
        """`body` is sent as JSON, bytes as they are; `whole=False` keeps its end back."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._inbox: list[Message] = [{"type": "http.request", "body": raw, "more_body": not whole}]
        self._gone = asyncio.Event()
        self._reads = asyncio.Event()
        self._reads.set()
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.sent = b""
        self.writes: list[tuple[float, bytes]] = []
        self.complete = False
        self.aborted = False
        self.task: asyncio.Task[None] | None = None

    # --- what the client does ---

    def leave(self) -> None:
        self._gone.set()
        self._reads.set()

    def stall(self) -> None:
        """Take nothing any more; the connection stays."""
        self._reads.clear()

    def read_on(self) -> None:
        self._reads.set()

    # --- the server's side ---

    def scope(self) -> dict[str, Any]:
        return {
            "type": "http",
            "method": "POST",
            "path": "/chat_stream",
            "headers": [],
            "query_string": b"",
            "state": {},
            "extensions": {ABORT_EXTENSION: {"abort": self._abort}},
        }

    def _abort(self) -> None:
        self.aborted = True
        self.leave()

    async def receive(self) -> Message:
        if self._inbox:
            return self._inbox.pop(0)
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self._reads.wait()
        if self._gone.is_set():
            return
        assert not self.complete, "sent after the end"
        if message["type"] == "http.response.start":
            assert self.status is None, "started twice"
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        assert self.status is not None, "body before start"
        self.sent += message["body"]
        if message["body"]:
            self.writes.append((asyncio.get_running_loop().time(), message["body"]))
        self.complete = not message.get("more_body", False)

    # --- what it got ---

    @property
    def events(self) -> list[Event]:
        return parse_events(self.sent.decode())

    @property
    def text(self) -> str:
        return text_of(self.events)

    @property
    def names(self) -> list[str]:
        return names_of(self.events)

    @property
    def json(self) -> dict[str, Any]:
        answer = json.loads(self.sent)
        assert isinstance(answer, dict)
        return answer

    # --- running it ---

    def start(
        self, chat_stream: ChatStream, callback: Callback | None = None, app: ASGIApp | None = None
    ) -> "asyncio.Task[None]":
        """Send the request; returns the task that the server has for it."""
        call = app(self.scope(), self.receive, self.send) if app else self._call(chat_stream, callback)
        self.task = asyncio.ensure_future(call)
        return self.task

    async def _call(self, chat_stream: ChatStream, callback: Callback | None) -> None:
        scope = self.scope()
        request = Request(scope, self.receive, self.send)
        response = await chat_stream.handle_chat_stream_request(request, callback=callback)
        await response(scope, self.receive, self.send)

    async def over(self) -> None:
        assert self.task is not None
        await self.task


class MemoryHistory(History):
    """A history without a session; `trouble` is called before each operation with its name: it may raise, or
    tell how many seconds the operation takes."""

    def __init__(self, kept: dict[str, Any], trouble: Trouble | None = None) -> None:
        self._kept = kept
        self._trouble = trouble
        self._holding = False

    async def load(self, lease_seconds: float) -> ChatPrompt | None:
        await self._operate("load")
        self._hold(True)
        self.previous_ended = self._kept.get("ended", False)
        stored = self._kept.get("prompt")
        assert isinstance(stored, ChatPrompt | None)
        return stored

    async def save(self, prompt: ChatPrompt) -> None:
        self._hold(False)
        await self._operate("save")
        self._kept["prompt"] = prompt

    async def release(self) -> None:
        self._hold(False)

    def _hold(self, holding: bool) -> None:
        self._kept["leases"] = self._kept.get("leases", 0) + holding - self._holding
        self._holding = holding

    async def _operate(self, name: str) -> None:
        await asyncio.sleep((self._trouble(name) if self._trouble else None) or 0)
