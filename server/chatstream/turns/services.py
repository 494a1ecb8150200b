"""What all turns of one ChatStream share, and what one turn is about."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from starlette.requests import Request
from starlette.types import Receive

from chatstream.admission import Admission
from chatstream.engines import Engine
from chatstream.metrics import Metrics
from chatstream.turns.callback import Callback
from chatstream.turns.history import History
from chatstream.turns.options import ChatOptions, TurnLimits
from chatstream.turns.reply import Reply
from chatstream.turns.request import ChatRequest


class Stoppable(Protocol):
    def shut_down(self) -> None: ...


class LiveTurns:
    """Every turn from its ticket to its callback's return."""

    def __init__(self) -> None:
        self._turns: set[Stoppable] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def __iter__(self) -> Iterator[Stoppable]:
        return iter(tuple(self._turns))

    def add(self, turn: Stoppable) -> None:
        self._turns.add(turn)
        self._idle.clear()

    def discard(self, turn: Stoppable) -> None:
        self._turns.discard(turn)
        if not self._turns:
            self._idle.set()

    async def over(self, limit: float) -> bool:
        """Wait at most `limit` seconds until there is none; whether there is none."""
        try:
            async with asyncio.timeout(limit):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Services:
    """`clock` counts seconds from anywhere, and never back."""

    engine: Engine
    admission: Admission
    metrics: Metrics
    limits: TurnLimits
    options: ChatOptions
    clock: Callable[[], float] = time.monotonic
    live: LiveTurns = field(default_factory=LiveTurns)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One turn: the request, with whom it is exchanged, and who is told of its end."""

    request: Request
    chat: ChatRequest
    receive: Receive
    reply: Reply
    history: History
    callback: Callback | None
