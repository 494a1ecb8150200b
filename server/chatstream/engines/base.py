"""The seam between a turn and whatever generates its text."""

from dataclasses import dataclass
from typing import Literal, Protocol

FinishReason = Literal["length", "eos_token", "stop_sequence"]


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One generation. `None` leaves a parameter to the engine's default."""

    prompt: str
    max_new_tokens: int
    stop: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class GenerationEnd:
    """How a generation came to its natural end."""

    finish_reason: FinishReason
    generated_tokens: int
    prompt_tokens: int | None
    text: str | None
    """The engine's own whole text without special tokens, None where it does not tell. A stop sequence that
    ended the generation is still at its end, as it is in the tokens: hiding it is the turn's work."""


@dataclass(frozen=True, slots=True)
class Batch:
    """All tokens that were there at one wake-up, special tokens left out; `end` is set on the last one."""

    texts: list[str]
    end: GenerationEnd | None


class EngineStream(Protocol):
    """One running generation. Whoever opened it calls `close` exactly where its turn ends."""

    async def read(self) -> Batch:
        """Wait for at least one token or the end.

        Safe to cancel: nothing that came is lost. Raises an EngineError; after one, or after the end,
        there is nothing more to read.
        """
        ...

    def close(self) -> None:
        """Drop the upstream connection at once, which is what frees the GPU. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says of itself."""

    model_id: str
    max_input_tokens: int
    max_total_tokens: int
    max_concurrent_requests: int | None


class Engine(Protocol):
    """A text generator. Every method but `healthy` raises an EngineError where it fails."""

    async def open(self, request: GenerationRequest) -> EngineStream:
        """Send the request. Returns before the first token: that one is awaited in `read`."""
        ...

    async def info(self) -> EngineInfo: ...

    async def healthy(self) -> bool:
        """Whether the engine answers and calls itself healthy, within 2 seconds. Never raises."""
        ...

    async def count_tokens(self, text: str) -> int: ...

    async def aclose(self) -> None: ...
