"""Browsers that go on talking while something happens to the cluster, and what must be kept of it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from harness.browser import Browser, Stream

REPLY = "tok1 tok2 "
PAUSE = 0.1  # seconds from the end of a turn to the next one


@dataclass(frozen=True, slots=True)
class Turn:
    """One that was tried: what was said, when it was over, and what became of it."""

    said: str
    ended_at: float
    stream: Stream


class Talker:
    """One browser that makes turn after turn, each with words of its own."""

    def __init__(self, browser: Browser, name: str) -> None:
        self.browser, self.name = browser, name
        self.turns: list[Turn] = []

    async def talk(self, over: asyncio.Event) -> None:
        """Until then; the turn that is on is brought to its end."""
        while not over.is_set():
            await self.turn()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), PAUSE)

    async def turn(self) -> Stream:
        said = f"{self.name} says {len(self.turns)} [[tokens=2]]"
        stream = await self.browser.turn(said)
        self.turns.append(Turn(said, time.monotonic(), stream))
        return stream

    @property
    def kept(self) -> list[str]:
        """What was said in turns that the server acknowledged."""
        return [turn.said for turn in self.turns if turn.stream.kept]

    @property
    def failures(self) -> list[str]:
        return [turn.stream.summary() for turn in self.turns if not turn.stream.kept]

    async def heard(self) -> list[str]:
        """What was said in the turns of the stored history; each is whole, there once, and in its order."""
        messages = await self.browser.export()
        said = [text for role, text in messages if role == "user"]
        assert messages == [pair for text in said for pair in (("user", text), ("assistant", REPLY))]
        tried = [turn.said for turn in self.turns]
        assert said == [text for text in tried if text in set(said)]
        return said


@contextlib.asynccontextmanager
async def talking(talkers: Sequence[Talker]) -> AsyncIterator[None]:
    """All of them talk while the block runs; at its end their last turns have ended."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for talker in talkers:
            group.create_task(talker.talk(over))
        try:
            yield
        finally:
            over.set()
