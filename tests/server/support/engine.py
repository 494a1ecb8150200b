"""An engine that follows a script: each generation is a list of steps."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chatstream.engines import Batch, EngineInfo, FinishReason, GenerationEnd, GenerationRequest
from chatstream.errors import EngineFailed


@dataclass(frozen=True)
class Pause:
    seconds: float


@dataclass(frozen=True)
class Say:
    texts: tuple[str, ...]


@dataclass(frozen=True)
class End:
    reason: FinishReason = "eos_token"
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fail:
    error: Exception


@dataclass(frozen=True)
class Hang:
    pass


Step = Pause | Say | End | Fail | Hang


def say(*texts: str) -> Say:
    return Say(texts)


HELLO: tuple[Step, ...] = (Pause(1), say("Hel"), Pause(1), say("lo"), Pause(1), End())


class FakeStream:
    def __init__(self, engine: "FakeEngine", steps: Sequence[Step]) -> None:
        self._engine = engine
        self._steps = list(steps)
        self._due: float | None = None
        self._said = 0
        self.closed_at: float | None = None
        self.ended = False
        engine.running += 1
        engine.running_max = max(engine.running_max, engine.running)

    async def read(self) -> Batch:
        assert self.closed_at is None, "read after close"
        while self._steps:
            step = self._steps[0]
            match step:
                case Pause(seconds):
                    await self._pause(seconds)
                    self._steps.pop(0)
                case Say(texts):
                    self._steps.pop(0)
                    self._said += len(texts)
                    return Batch(list(texts), None)
                case End(reason, texts):
                    self._steps.pop(0)
                    self.ended = True
                    self._said += len(texts)
                    return Batch(list(texts), GenerationEnd(reason, self._said, 7, None))
                case Fail(error):
                    raise error
                case Hang():
                    await asyncio.Event().wait()
        raise EngineFailed("the stream is over")

    @property
    def left(self) -> int:
        """Steps that were never asked for."""
        return len(self._steps)

    async def _pause(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._due = self._due or loop.time() + seconds
        await asyncio.sleep(self._due - loop.time())
        self._due = None

    def close(self) -> None:
        if self.closed_at is None:
            self.closed_at = asyncio.get_running_loop().time()
            self._engine.running -= 1
            self._engine.dropped += not self.ended


@dataclass
class FakeEngine:
    """`script` tells the steps of a generation from its request; `opening` may delay or fail an opening."""

    script: Callable[[GenerationRequest], Sequence[Step]] = lambda request: HELLO
    opening: Step | None = None
    requests: list[GenerationRequest] = field(default_factory=list)
    streams: list[FakeStream] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)
    running: int = 0
    running_max: int = 0
    dropped: int = 0
    closed: bool = False

    async def open(self, request: GenerationRequest) -> FakeStream:
        self.requests.append(request)
        match self.opening:
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Fail(error):
                raise error
            case Hang():
                await asyncio.Event().wait()
        stream = FakeStream(self, self.script(request))
        self.streams.append(stream)
        return stream

    async def info(self) -> EngineInfo:
        return EngineInfo("fake", 4096, 8192, None)

    async def healthy(self) -> bool:
        return not self.closed

    async def count_tokens(self, text: str) -> int:
        self.counted.append(text)
        return len(text.split())

    async def aclose(self) -> None:
        self.closed = True
