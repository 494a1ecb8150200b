"""TGIEngine and the demonstration engine's server, each from its side of a real connection."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from chatstream.engines import (
    DemoEngine,
    Engine,
    EngineInfo,
    EngineStream,
    GenerationEnd,
    GenerationRequest,
    TGIEngine,
)
from chatstream.engines.demo import Script
from chatstream.errors import EngineError, EngineFailed, EngineOverloaded, EngineRejected, EngineTimeout

if TYPE_CHECKING:
    from tests.server.engines.conftest import DemoServer, DemoServerFactory

LIMITS = {"MAX_INPUT_TOKENS": "1024", "MAX_TOTAL_TOKENS": "2048", "MODEL_ID": "m"}


@pytest.fixture(scope="module")
def server(demo_server: "DemoServerFactory") -> "DemoServer":
    return demo_server(**LIMITS)


@asynccontextmanager
async def engine_at(
    server: "DemoServer", *, first_token_timeout: float = 30.0, idle_timeout: float = 30.0
) -> AsyncIterator[TGIEngine]:
    await server.reset()
    engine = TGIEngine(server.url, first_token_timeout=first_token_timeout, idle_timeout=idle_timeout)
    try:
        yield engine
    finally:
        await engine.aclose()


async def drain(stream: EngineStream) -> tuple[list[str], GenerationEnd]:
    texts: list[str] = []
    try:
        while True:
            batch = await stream.read()
            texts += batch.texts
            if batch.end is not None:
                return texts, batch.end
    finally:
        stream.close()


async def generate(engine: Engine, prompt: str, tokens: int = 500) -> tuple[list[str], GenerationEnd]:
    return await drain(await engine.open(GenerationRequest(prompt, tokens)))


async def failure(work: Awaitable[object]) -> EngineError:
    with pytest.raises(EngineError) as caught:
        await work
    return caught.value


@pytest.mark.parametrize(
    "prompt",
    [
        "Hello there, Zażółć 🎉!",
        "[[tokens=40]]",
        "[[echo]] é<|im_end|> 日本語\n\n",
        "[[tokens=300]][[delay=0]]",
    ],
)
async def test_a_stream_is_the_same_over_the_wire_and_in_process(prompt: str, server: "DemoServer") -> None:
    local = await generate(DemoEngine(Script(delay_ms=0, prefill_ms=0)), prompt)
    async with engine_at(server) as engine:
        assert await generate(engine, prompt) == local


async def test_what_the_engine_says_of_itself(server: "DemoServer") -> None:
    async with engine_at(server) as engine:
        assert await engine.info() == EngineInfo("m", 1024, 2048, 128)
        assert await engine.healthy()
        assert await engine.count_tokens("What is Deep Learning?") == 6


async def test_every_kind_of_failure_is_typed(server: "DemoServer") -> None:
    async with engine_at(server, first_token_timeout=0.5, idle_timeout=0.2) as engine:
        failed = await failure(generate(engine, "[[fail=3]]"))
        assert isinstance(failed, EngineFailed)
        assert isinstance(await failure(generate(engine, "[[hang=3]]")), EngineTimeout)
        assert isinstance(await failure(generate(engine, "[[hang=0]]")), EngineTimeout)
        rejected = await failure(generate(engine, "a", tokens=5000))
        assert isinstance(rejected, EngineRejected)
        assert rejected.detail.startswith(
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048"
        )
        assert (await generate(engine, "[[tokens=1]]"))[0] == ["tok1 "]
    await server.until(running=0)


async def test_an_engine_at_its_limit_is_overloaded(demo_server: "DemoServerFactory") -> None:
    server = demo_server(MAX_CONCURRENT_REQUESTS="1", **LIMITS)
    async with engine_at(server) as engine:
        held = await engine.open(GenerationRequest("[[hang=0]]", 5))
        await server.until(running=1)
        assert isinstance(await failure(generate(engine, "a")), EngineOverloaded)
        held.close()
        await server.until(running=0)
        await generate(engine, "a")


async def test_a_wrong_key_is_no_fault_of_the_request(demo_server: "DemoServerFactory") -> None:
    server = demo_server(API_KEY="secret", **LIMITS)
    async with engine_at(server) as engine:
        assert isinstance(await failure(generate(engine, "a")), EngineFailed)
    right = TGIEngine(server.url, api_key="secret")
    assert (await generate(right, "[[tokens=1]]"))[0] == ["tok1 "]
    assert await right.count_tokens("a") == 2
    await right.aclose()


PHASES: dict[str, tuple[str, Callable[[EngineStream], Awaitable[object]]]] = {
    "prefill": ("[[prefill=60000]]", lambda stream: asyncio.sleep(0)),
    "streaming": ("[[tokens=1000]][[delay=20]]", lambda stream: stream.read()),
}


@pytest.mark.parametrize("phase", PHASES)
async def test_16b_close_frees_the_engine_in_every_phase(phase: str, server: "DemoServer") -> None:
    prompt, wait = PHASES[phase]
    async with engine_at(server) as engine:
        stream = await engine.open(GenerationRequest(prompt, 1000))
        await server.until(running=1)
        await wait(stream)
        stream.close()
        await server.until(running=0, dropped=1, last_dropped_phase=phase)


@pytest.mark.parametrize("phase", PHASES)
async def test_16b_a_cancelled_reader_that_closes_frees_the_engine(phase: str, server: "DemoServer") -> None:
    async with engine_at(server) as engine:
        prompt, wait = PHASES[phase]
        stream = await engine.open(GenerationRequest(prompt, 1000))
        await wait(stream)
        turn = asyncio.ensure_future(drain(stream))
        await server.until(running=1)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        await server.until(running=0, dropped=1, last_dropped_phase=phase)


async def test_16b_the_engine_is_free_before_its_next_token(server: "DemoServer") -> None:
    """The next token would come after a minute: who frees the engine in seconds did not wait for it."""
    async with engine_at(server) as engine:
        stream = await engine.open(GenerationRequest("[[tokens=9]][[delay=60000]]", 9))
        await stream.read()
        started = time.monotonic()
        stream.close()
        await server.until(running=0, dropped=1)
        assert time.monotonic() - started < 5


async def test_16a_closing_a_request_in_the_engines_queue_frees_its_place(
    demo_server: "DemoServerFactory",
) -> None:
    server = demo_server(MAX_BATCH_SIZE="1", **LIMITS)
    async with engine_at(server) as engine:
        running = await engine.open(GenerationRequest("[[hang=0]]", 5))
        await server.until(running=1)
        waiting = await engine.open(GenerationRequest("[[hang=0]]", 5))
        await server.until(waiting=1)
        waiting.close()
        await server.until(waiting=0, running=1, last_dropped_phase="queued")
        running.close()
        await server.until(running=0)


async def test_a_stream_read_to_its_end_is_not_a_dropped_one(server: "DemoServer") -> None:
    async with engine_at(server) as engine:
        for _ in range(5):
            await generate(engine, "[[tokens=3]]")
        stats = await server.stats()
        assert (stats["dropped"], stats["requests"], stats["running"]) == (0, 5, 0)


async def test_many_streams_at_once_do_not_mix(server: "DemoServer") -> None:
    async with engine_at(server) as engine:
        results = await asyncio.gather(
            *(generate(engine, f"[[tokens={n}]][[delay=1]]") for n in range(1, 41))
        )
    for count, (texts, end) in enumerate(results, 1):
        assert end.generated_tokens == count
        assert "".join(texts) == "".join(f"tok{n} " for n in range(1, count + 1))


async def test_6_tokens_that_are_parts_of_characters(demo_server: "DemoServerFactory") -> None:
    pieces = ["Za", "", "ż", "\ufffd", "ó", "\ufffd", "\ufffd", "🎉", "!"]
    tokens = [{"id": number, "text": text} for number, text in enumerate(pieces, 10)]
    server = demo_server({"replies": [{"tokens": tokens}]}, **LIMITS)
    async with engine_at(server) as engine:
        texts, _ = await generate(engine, "a")
    assert texts == ["Za", "ż", "ó", "🎉", "!"]


async def test_a_drained_engine_ends_its_streams_and_is_then_unavailable(
    demo_server: "DemoServerFactory",
) -> None:
    server = demo_server(**LIMITS)
    async with engine_at(server) as engine:
        stream = await engine.open(GenerationRequest("[[tokens=20]][[delay=10]]", 20))
        await server.until(running=1)
        server.process.terminate()
        texts, _ = await drain(stream)
        assert len(texts) == 20
        assert await server.exit_status() == 0
        assert not await engine.healthy()


async def test_a_killed_engine_fails_its_streams(demo_server: "DemoServerFactory") -> None:
    server = demo_server(**LIMITS)
    async with engine_at(server) as engine:
        stream = await engine.open(GenerationRequest("[[hang=2]]", 20))
        await stream.read()
        server.process.kill()
        assert isinstance(await failure(drain(stream)), EngineFailed)
