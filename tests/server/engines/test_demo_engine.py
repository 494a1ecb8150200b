"""The demonstration engine in process, on the loop's own clock."""

import asyncio

import pytest

from chatstream.engines import DemoEngine, GenerationEnd, GenerationRequest
from chatstream.engines.base import EngineStream
from chatstream.engines.demo import Script
from chatstream.engines.demo.limits import Limits
from chatstream.errors import (
    EngineError,
    EngineFailed,
    EngineOverloaded,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
)

FAST = Script(delay_ms=0, prefill_ms=0)


def request(prompt: str, *, max_new_tokens: int = 1000, stop: tuple[str, ...] = ()) -> GenerationRequest:
    return GenerationRequest(prompt, max_new_tokens, stop)


async def drain(stream: EngineStream) -> tuple[list[str], GenerationEnd]:
    texts: list[str] = []
    while True:
        batch = await stream.read()
        texts += batch.texts
        if batch.end is not None:
            return texts, batch.end


async def drain_until_error(stream: EngineStream) -> tuple[list[str], EngineError]:
    texts: list[str] = []
    while True:
        try:
            texts += (await stream.read()).texts
        except EngineError as error:
            return texts, error


async def run(prompt: str, **changes: object) -> tuple[list[str], GenerationEnd]:
    engine = DemoEngine(FAST)
    return await drain(await engine.open(request(prompt, **changes)))  # type: ignore[arg-type]


async def test_the_default_reply_repeats_what_was_asked_without_its_directives() -> None:
    texts, end = await run("<|im_start|>user\nWhy is the sky blue? [[delay=0]]<|im_end|>\n")
    assert "".join(texts).startswith("You asked: Why is the sky blue?\n")
    assert end.finish_reason == "eos_token"
    assert end.text == "".join(texts)
    assert end.generated_tokens == len(texts) + 1  # the end-of-sequence token is counted and not shown


async def test_tokens_directive_gives_exactly_so_many() -> None:
    texts, end = await run("[[tokens=3]]")
    assert texts == ["tok1 ", "tok2 ", "tok3 "]
    assert end == GenerationEnd("eos_token", 3, end.prompt_tokens, "tok1 tok2 tok3 ")


async def test_echo_gives_back_the_whole_prompt_whatever_the_stop_sequences() -> None:
    prompt = "<|im_start|>user\nfirst<|im_end|>\n<|im_start|>user\nünï 🎉 [[echo]]<|im_end|>\n"
    texts, end = await run(prompt, stop=("<|im_end|>",))
    assert "".join(texts) == prompt == end.text


async def test_the_limit_on_tokens_ends_with_length() -> None:
    texts, end = await run("[[tokens=5]]", max_new_tokens=2)
    assert (texts, end.finish_reason, end.generated_tokens) == (["tok1 ", "tok2 "], "length", 2)


async def test_a_stop_sequence_ends_and_stays_in_the_text_as_with_tgi() -> None:
    texts, end = await run("[[tokens=9]]", stop=("2 tok3 ",))
    assert texts == ["tok1 ", "tok2 ", "tok3 "]
    assert (end.finish_reason, end.text) == ("stop_sequence", "tok1 tok2 tok3 ")


@pytest.mark.parametrize("count", [0, 2, 3])
async def test_fail_directive_fails_after_so_many_tokens(count: int) -> None:
    stream = await DemoEngine(FAST).open(request(f"[[tokens=3]][[fail={count}]]"))
    texts, error = await drain_until_error(stream)
    assert isinstance(error, EngineFailed)
    assert error.detail.startswith("Request failed during generation: ")
    assert len(texts) == count


@pytest.mark.parametrize(("count", "first", "idle"), [(0, 0.01, 9), (2, 9, 0.01)])
async def test_hang_directive_is_silence_until_the_limit(count: int, first: float, idle: float) -> None:
    engine = DemoEngine(FAST, first_token_timeout=first, idle_timeout=idle)
    stream = await engine.open(request(f"[[hang={count}]]"))
    texts, error = await drain_until_error(stream)
    assert isinstance(error, EngineTimeout)
    assert len(texts) == count
    assert engine.stats.running == 0


async def test_tokens_come_at_their_time_and_late_ones_together() -> None:
    loop = asyncio.get_running_loop()
    stream = await DemoEngine(FAST).open(request("[[tokens=3]][[prefill=20]][[delay=20]]"))
    started = loop.time()
    assert (await stream.read()).texts == ["tok1 "]
    assert loop.time() - started >= 0.019
    await asyncio.sleep(0.05)
    last = await stream.read()
    assert last.texts == ["tok2 ", "tok3 "]
    assert last.end is not None


async def test_close_while_reading_ends_the_read_and_counts_one_drop() -> None:
    engine = DemoEngine(Script(prefill_ms=60_000))
    stream = await engine.open(request("hello"))
    reading = asyncio.ensure_future(stream.read())
    await asyncio.sleep(0)
    assert engine.stats.running == 1
    stream.close()
    stream.close()
    with pytest.raises(EngineFailed):
        await reading
    assert (engine.stats.running, engine.stats.running_max, engine.stats.dropped) == (0, 1, 1)


async def test_a_cancelled_read_loses_nothing() -> None:
    stream = await DemoEngine(FAST).open(request("[[tokens=2]][[prefill=30]]"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stream.read(), 0.001)
    texts, _ = await drain(stream)
    assert texts == ["tok1 ", "tok2 "]


async def test_nothing_is_read_after_the_end() -> None:
    stream = await DemoEngine(FAST).open(request("[[tokens=1]]"))
    await drain(stream)
    with pytest.raises(EngineFailed):
        await stream.read()


async def test_overload_and_lengths_are_refused_as_by_tgi() -> None:
    engine = DemoEngine(FAST, limits=Limits(8, 16), max_concurrent_requests=1)
    with pytest.raises(
        EngineRejected, match=r"must be <= 16. Given: 2 `inputs` tokens and 15 `max_new_tokens`"
    ):
        await engine.open(request("a", max_new_tokens=15))
    with pytest.raises(EngineRejected, match=r"must have less than 8 tokens. Given: 9"):
        await engine.open(request("a b c d e f g h", max_new_tokens=1))
    stream = await engine.open(request("a", max_new_tokens=4))
    with pytest.raises(EngineOverloaded):
        await engine.open(request("a", max_new_tokens=4))
    stream.close()
    await drain(await engine.open(request("a", max_new_tokens=4)))


async def test_a_closed_engine_is_unavailable() -> None:
    engine = DemoEngine(FAST)
    assert await engine.healthy()
    assert (await engine.info()).model_id == "chatstream/demo"
    assert await engine.count_tokens("two words") == 3
    await engine.aclose()
    assert not await engine.healthy()
    with pytest.raises(EngineUnavailable):
        await engine.open(request("a"))


def test_a_long_answer_ends_where_its_next_round_would_be_too_long() -> None:
    limits = Limits(max_input_tokens=1024, max_total_tokens=2048)
    assert limits.reachable(3, 1500) == 1024
    assert limits.reachable(3, 1000) == 1000
    assert Limits(4096, 8192).reachable(3, 5000) == 4096
