"""One reply on its way from the engine to the client: the path that every token takes."""

from collections.abc import Awaitable, Callable
from typing import Any

from chatstream.engines import Batch, EngineStream, GenerationEnd, GenerationRequest
from chatstream.errors import EngineFailed
from chatstream.framing import StopFilter, encode_deltas
from chatstream.turns.options import ENGINE_STOPS
from chatstream.turns.services import Services


class Generation:
    """`shown` is what of the reply the client was sent, token by token."""

    def __init__(self, services: Services, prompt: str, stops: tuple[str, ...]) -> None:
        self._services = services
        self._prompt = prompt
        self._stops = stops
        self._stream: EngineStream | None = None
        self.shown: list[str] = []
        self.tokens = 0
        self.first_at: float | None = None
        self.end: GenerationEnd | None = None

    @property
    def text(self) -> str:
        return "".join(self.shown)

    @property
    def generated(self) -> int:
        """Tokens: the engine's count where there is one, else those that came."""
        return self.tokens if self.end is None else self.end.generated_tokens

    async def run(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Generate to the natural end, each wake-up's tokens in one `write`. Raises an EngineError."""
        options = self._services.options
        self._stream = await self._services.engine.open(
            GenerationRequest(
                prompt=self._prompt,
                max_new_tokens=options.max_new_tokens,
                stop=self._stops[:ENGINE_STOPS],
                temperature=options.temperature,
                top_p=options.top_p,
            )
        )
        await self._relay(self._stream, write)

    def close(self) -> None:
        """Drop the engine's work at once. Idempotent."""
        if self._stream is not None:
            self._stream.close()

    def summary(self, message_id: str) -> dict[str, Any]:
        """What `done` tells; without any text there is no message."""
        by_length = self.end is not None and self.end.finish_reason == "length"
        prompt_tokens = None if self.end is None else self.end.prompt_tokens
        usage = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": self.generated,
            "total_tokens": (prompt_tokens or 0) + self.generated,
        }
        return {
            "finish_reason": "length" if by_length else "stop",
            "message_id": message_id if self.shown else None,
            "usage": usage,
        }

    async def _relay(self, stream: EngineStream, write: Callable[[bytes], Awaitable[None]]) -> None:
        stops = StopFilter(self._stops, self._prompt)
        read, clock = stream.read, self._services.clock
        observe = self._services.metrics.inter_token.observe
        last: float | None = None
        while True:
            batch = await read()
            now = clock()
            if count := len(batch.texts):
                self.tokens += count
                if last is not None:
                    observe((now - last) / count)
                last = now
            if batch.end is None and self.tokens > self._services.options.max_new_tokens:
                raise EngineFailed("the engine generates more tokens than it was asked for")
            shown = stops.feed(batch.texts)
            if batch.end is not None:
                shown += self._rest(batch, stops)
            if shown:
                self.shown += shown
                if self.first_at is None:
                    self.first_at = now
                await write(encode_deltas(shown))
            if batch.end is not None or stops.stopped:
                return

    def _rest(self, batch: Batch, stops: StopFilter) -> list[str]:
        """What was held back as the beginning of a stop string: one it is, unless the model chose to end."""
        self.end = batch.end
        rest = stops.flush() if batch.end and batch.end.finish_reason == "eos_token" else ""
        return [rest] if rest else []
