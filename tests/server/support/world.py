"""A ChatStream with a fake engine and histories in memory, and what its callback heard."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from chatstream import ChatPrompt, ChatStream
from chatstream.metrics import Metrics
from chatstream.turns import History
from tests.server.support.client import MemoryHistory, ScriptedClient, Trouble
from tests.server.support.engine import FakeEngine
from tests.server.support.virtual import now


@dataclass
class World:
    """All clients share the one conversation in `kept`, without a lease between them."""

    engine: FakeEngine = field(default_factory=FakeEngine)
    options: dict[str, Any] = field(default_factory=dict)
    trouble: Trouble | None = None
    kept: dict[str, Any] = field(default_factory=dict)
    heard: list[tuple[str, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        settings: dict[str, Any] = {"template": "plain", "history": self._history, "clock": now}
        self.chat_stream = ChatStream(self.engine, **(settings | self.options))

    def _history(self, request: Request, metrics: Metrics) -> History:
        return MemoryHistory(self.kept, self.trouble)

    def callback(self, request: object, message: str, cause: str | None) -> None:
        self.heard.append((message, cause))

    def client(self, user_input: str | None = "hi", *, regenerate: bool = False) -> ScriptedClient:
        """A client whose request has been sent."""
        client = ScriptedClient({"user_input": user_input, "regenerate": regenerate})
        client.start(self.chat_stream, self.callback)
        return client

    async def turn(self, user_input: str | None = "hi", *, regenerate: bool = False) -> ScriptedClient:
        """One turn to its end."""
        client = self.client(user_input, regenerate=regenerate)
        await client.over()
        return client

    @property
    def prompt(self) -> ChatPrompt:
        prompt = self.kept["prompt"]
        assert isinstance(prompt, ChatPrompt)
        return prompt

    @property
    def history(self) -> list[tuple[str, str, bool]]:
        """Role, text, and whether it is cut, of each message kept."""
        messages = self.prompt.get_contents() if "prompt" in self.kept else []
        return [(message.role, message.text, message.incomplete) for message in messages]

    @property
    def busy(self) -> tuple[int, int]:
        load = self.chat_stream.load()
        return load.processing, load.waiting

    def metric(self, name: str, **labels: str) -> float:
        return self.chat_stream.metrics.registry.get_sample_value(f"chatstream_{name}", labels) or 0.0

    def assert_at_rest(self) -> None:
        """Nothing is held by anybody."""
        assert self.busy == (0, 0)
        assert self.engine.running == 0
        assert self.kept.get("leases", 0) == 0
        assert list(other_tasks()) == []


def other_tasks() -> Iterator["asyncio.Task[Any]"]:
    return (task for task in asyncio.all_tasks() if task is not asyncio.current_task())
