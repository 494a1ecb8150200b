"""The demonstration engine in process, behind the same seam as a real one."""

import asyncio
from dataclasses import dataclass

from chatstream.engines.base import Batch, EngineInfo, GenerationEnd, GenerationRequest
from chatstream.engines.demo.limits import Limits, validation_error
from chatstream.engines.demo.plan import GENERATION_ERROR, Plan, build_plan
from chatstream.engines.demo.script import Script
from chatstream.errors import EngineFailed, EngineOverloaded, EngineRejected, EngineTimeout, EngineUnavailable


@dataclass(slots=True)
class DemoStats:
    """What the engine is doing and has done; `dropped` counts streams closed before their natural end."""

    running: int = 0
    running_max: int = 0
    dropped: int = 0
    requests: int = 0

    def start(self) -> None:
        self.requests += 1
        self.running += 1
        self.running_max = max(self.running_max, self.running)

    def stop(self, *, dropped: bool) -> None:
        self.running -= 1
        self.dropped += dropped


class DemoStream:
    """Plays one plan against the running loop's clock."""

    def __init__(
        self,
        plan: Plan,
        stats: DemoStats,
        prompt_tokens: int,
        first_token_timeout: float,
        idle_timeout: float,
    ) -> None:
        self._plan = plan
        self._stats = stats
        self._prompt_tokens = prompt_tokens
        self._limits = (first_token_timeout, idle_timeout)
        self._loop = asyncio.get_running_loop()
        self._started = self._heard = self._loop.time()
        self._next = 0
        self._over = False
        self._closed = asyncio.Event()
        stats.start()

    async def read(self) -> Batch:
        if self._over:
            raise EngineFailed("the stream is over")
        while True:
            await self._until_due()
            if self._next == len(self._plan.tokens):
                self._finish(dropped=False)
                raise EngineFailed(GENERATION_ERROR)
            batch = self._batch()
            if batch.texts or batch.end:
                return batch

    def close(self) -> None:
        self._finish(dropped=True)
        self._closed.set()

    def _finish(self, *, dropped: bool) -> None:
        if not self._over:
            self._over = True
            self._stats.stop(dropped=dropped)

    async def _until_due(self) -> None:
        """Sleep until the next token is due, the engine was silent too long, or the stream is closed."""
        silence = self._limits[min(self._next, 1)]
        hangs = self._next == len(self._plan.tokens) and self._plan.ending == "hang"
        due = float("inf") if hangs else self._started + self._plan.due(self._next)
        deadline = min(due, self._heard + silence)
        try:
            async with asyncio.timeout_at(deadline):
                await self._closed.wait()
        except TimeoutError:
            if due > deadline:
                self._finish(dropped=True)
                raise EngineTimeout(f"no token for {silence:g} seconds") from None
            return
        raise EngineFailed("the stream was closed while it was read")

    def _batch(self) -> Batch:
        """Everything that is due by now, at least the next token."""
        self._heard = now = self._loop.time()
        first, tokens = self._next, self._plan.tokens
        stop = first + 1
        while stop < len(tokens) and self._started + self._plan.due(stop) <= now:
            stop += 1
        self._next = stop
        end = self._end() if stop == len(tokens) and self._plan.ending == "end" else None
        if end is not None:
            self._finish(dropped=False)
        return Batch([token.text for token in tokens[first:stop] if not token.special], end)

    def _end(self) -> GenerationEnd:
        plan = self._plan
        return GenerationEnd(plan.finish_reason, len(plan.tokens), self._prompt_tokens, plan.text)


class DemoEngine:
    """An engine without a model. Timeouts are in seconds; `max_concurrent_requests` None means no limit."""

    def __init__(
        self,
        script: Script | None = None,
        *,
        model_id: str = "chatstream/demo",
        limits: Limits | None = None,
        max_concurrent_requests: int | None = None,
        first_token_timeout: float = 120.0,
        idle_timeout: float = 60.0,
    ) -> None:
        self.stats = DemoStats()
        self._script = script or Script()
        self._tokenizer = self._script.tokenizer()
        self._limits = limits or Limits()
        self._info = EngineInfo(
            model_id, self._limits.max_input_tokens, self._limits.max_total_tokens, max_concurrent_requests
        )
        self._timeouts = (first_token_timeout, idle_timeout)
        self._closed = False

    async def open(self, request: GenerationRequest) -> DemoStream:
        self._check_open()
        most = self._info.max_concurrent_requests
        if most is not None and self.stats.running >= most:
            raise EngineOverloaded("Model is overloaded")
        prompt_tokens = self._tokenizer.count(request.prompt)
        refusal = self._limits.refusal(prompt_tokens, request.max_new_tokens)
        if refusal is not None:
            raise EngineRejected(validation_error(refusal))
        limit = self._limits.reachable(prompt_tokens, request.max_new_tokens)
        plan = build_plan(self._script, request.prompt, max_new_tokens=limit, stop=request.stop)
        return DemoStream(plan, self.stats, prompt_tokens, *self._timeouts)

    async def info(self) -> EngineInfo:
        self._check_open()
        return self._info

    async def healthy(self) -> bool:
        return not self._closed

    async def count_tokens(self, text: str) -> int:
        self._check_open()
        return self._tokenizer.count(text)

    async def aclose(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise EngineUnavailable("the engine is closed")
