"""Turns over real sockets, with the demonstration engine in process."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from fastapi import Request, Response

from chatstream import ChatStream
from tests.server.support.apps import build_app, demo_chat_stream
from tests.server.support.engine import FakeEngine, say
from tests.server.support.live import PATIENCE, Browser, connection, raw_request, serving, until


async def test_01a_a_turn_streams_with_only_the_session_middleware() -> None:
    chat_stream, _ = demo_chat_stream()
    async with serving(build_app(chat_stream)) as base, Browser(base) as browser:
        chat = await browser.turn("[[tokens=5]]")
        assert chat.status == 200
        assert chat.text == "tok1 tok2 tok3 tok4 tok5 "
        assert chat.names == ["done"]


async def test_02d_the_first_token_is_there_long_before_the_last() -> None:
    chat_stream, engine = demo_chat_stream()
    async with serving(build_app(chat_stream)) as base, Browser(base) as browser:
        chat = await browser.send("[[tokens=3]][[delay=300]]")
        await chat.read_until("message")
        assert engine.stats.running == 1
        assert chat.text == "tok1 "
        await chat.whole()
        assert chat.text == "tok1 tok2 tok3 "


async def test_09c_the_callback_comes_after_the_end_with_the_session_saved() -> None:
    heard: list[tuple[str, str]] = []

    def callback(request: object, message: str) -> None:
        prompt = request.state.session.get_session().get("chat_prompt")  # type: ignore[attr-defined]
        heard.append((message, prompt.create_prompt()))

    chat_stream, _ = demo_chat_stream(template="plain")
    async with serving(build_app(chat_stream, callback=callback)) as base, Browser(base) as browser:
        await browser.turn("[[tokens=2]]")
        await until(lambda: bool(heard), "the callback")
    assert heard == [("success", "User: [[tokens=2]]\nAssistant: tok1 tok2 \nAssistant:")]


async def test_13g_a_burst_of_twelve_at_two_and_five() -> None:
    chat_stream, engine = demo_chat_stream()
    async with serving(build_app(chat_stream)) as base:
        browsers = [Browser(base) for _ in range(12)]
        chats = await asyncio.gather(*(browser.turn("[[tokens=4]]") for browser in browsers))
        assert sorted(chat.status for chat in chats) == [200] * 7 + [429] * 5
        refused = next(chat for chat in chats if chat.status == 429)
        assert int(refused.headers["retry-after"]) >= 1
        assert [chat.text for chat in chats if chat.status == 200] == ["tok1 tok2 tok3 tok4 "] * 7
        assert engine.stats.running_max == 2
        waited = [chat for chat in chats if "queued" in chat.names]
        assert len(waited) == 5
        for browser in browsers:
            await browser.__aexit__()


async def test_15b_a_half_sent_body_blocks_nobody() -> None:
    chat_stream, _ = demo_chat_stream(num_of_concurrent_executions=1, max_queue_size=0)
    async with serving(build_app(chat_stream)) as base, connection(base) as (_, writer):
        writer.write(raw_request(b'{"user_input": "h', length=100))
        await writer.drain()
        async with Browser(base) as browser:
            assert (await browser.turn("[[tokens=2]]")).status == 200


@pytest.mark.parametrize(
    ("directives", "phase"),
    [("[[prefill=60000]]", "prefill"), ("[[tokens=3]][[delay=60000]]", "streaming")],
)
async def test_16d_the_engine_sees_a_disconnect_before_its_next_token(directives: str, phase: str) -> None:
    chat_stream, engine = demo_chat_stream()
    async with serving(build_app(chat_stream)) as base:
        async with connection(base) as (reader, writer):
            writer.write(raw_request(b'{"user_input": "%s"}' % directives.encode()))
            await until(lambda: engine.stats.running == 1, "the generation's start")
            if phase == "streaming":
                await reader.readuntil(b"tok1")
        await until(lambda: engine.stats.dropped == 1, "the engine's cancellation")
        assert chat_stream.load().processing == 0
        value = chat_stream.metrics.registry.get_sample_value(
            "chatstream_disconnects_total", {"phase": phase}
        )
        assert value == 1


async def test_16e_a_half_closed_connection_counts_as_gone() -> None:
    chat_stream, engine = demo_chat_stream()
    async with serving(build_app(chat_stream)) as base, connection(base) as (_, writer):
        writer.write(raw_request(b'{"user_input": "[[prefill=60000]]"}'))
        await until(lambda: engine.stats.running == 1, "the generation's start")
        writer.write_eof()
        await until(lambda: engine.stats.dropped == 1, "the engine's cancellation")


async def test_14h_a_reader_that_stalls_is_cut_off_and_frees_its_slot_and_holds_little_memory() -> None:
    pieces = 2000
    engine = FakeEngine(script=lambda request: [say("x" * 10_000)] * pieces)
    chat_stream = ChatStream(engine, write_timeout=0.5)
    async with serving(build_app(chat_stream)) as base, connection(base) as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(raw_request(b'{"user_input": "hi"}'))
        await until(lambda: bool(engine.streams) and engine.running == 0, "the end of the turn")
        assert chat_stream.load().processing == 0
        assert engine.streams[0].left > pieces / 2  # the rest is in the kernel's buffers
    turns = {"outcome": "unknown_error_occurred"}
    await until(
        lambda: chat_stream.metrics.registry.get_sample_value("chatstream_turns_total", turns) == 1,
        "the record",
    )


async def test_17a_a_second_turn_of_a_session_is_a_conflict() -> None:
    chat_stream, _ = demo_chat_stream(template="plain")
    async with serving(build_app(chat_stream)) as base, Browser(base) as browser:
        await browser.turn("[[tokens=1]]")
        first = await browser.send("[[tokens=5]][[delay=100]]")
        second = await browser.send("[[tokens=1]]")
        assert second.status == 409
        assert int(second.headers["retry-after"]) >= 1
        assert (await second.json())["error"] == "turn_in_progress"
        assert (await first.whole()).names == ["done"]
        assert (await browser.turn("[[tokens=1]]")).status == 200
        echo = await browser.turn("[[echo]]")
        assert echo.text.count("User: ") == 4


async def test_18c_the_load_is_exact() -> None:
    chat_stream, _ = demo_chat_stream(num_of_concurrent_executions=1, max_queue_size=1)
    async with serving(build_app(chat_stream)) as base, Browser(base) as one, Browser(base) as two:
        first = await one.send("[[tokens=3]][[delay=200]]")
        waiting = await two.send("[[tokens=1]]")
        load = chat_stream.load()
        assert (load.processing, load.waiting, load.limit, load.queue_limit) == (1, 1, 1, 1)
        await asyncio.gather(first.whole(), waiting.whole())
        load = chat_stream.load()
        assert (load.processing, load.waiting) == (0, 0)


async def test_19b_a_session_sees_its_own_turns_and_no_other() -> None:
    chat_stream, _ = demo_chat_stream()
    async with serving(build_app(chat_stream)) as base, Browser(base) as one, Browser(base) as two:
        await one.turn("my secret word is heron")
        assert "heron" in (await one.turn("[[echo]]")).text
        assert "heron" not in (await two.turn("[[echo]]")).text


async def test_20f_regenerate_over_the_wire() -> None:
    chat_stream, _ = demo_chat_stream()
    async with serving(build_app(chat_stream)) as base, Browser(base) as browser:
        fresh = await browser.send(None, regenerate=True)
        assert (fresh.status, (await fresh.json())["error"]) == (409, "nothing_to_regenerate")
        first = await browser.turn("[[tokens=3]]")
        again = await browser.turn(None, regenerate=True)
        assert again.text == first.text
        assert again.events[-1].data["message_id"] != first.events[-1].data["message_id"]


async def test_21d_a_partial_reply_is_there_at_the_next_turn() -> None:
    chat_stream, engine = demo_chat_stream()
    async with serving(build_app(chat_stream)) as base, Browser(base) as browser:
        await browser.turn("[[tokens=1]]")
        chat = await browser.send("[[tokens=9]][[delay=100]]")
        await chat.read_until("message")
        chat.leave()
        await until(lambda: engine.stats.dropped == 1, "the cancellation")

        async def free() -> bool:
            again = await browser.send("[[echo]]")
            await again.whole()
            return again.status == 200 and "tok1 " in again.text and "tok9" not in again.text

        await until(free, "the next turn, which sees the partial reply")


async def test_32a_two_instances_share_nothing() -> None:
    one, first_engine = demo_chat_stream(num_of_concurrent_executions=1, max_queue_size=0)
    two, second_engine = demo_chat_stream(num_of_concurrent_executions=1, max_queue_size=0)
    async with (
        serving(build_app(one)) as first,
        serving(build_app(two)) as second,
        Browser(first) as browser,
        Browser(second) as other,
    ):
        busy = await browser.send("[[tokens=3]][[delay=200]]")
        assert (await other.turn("[[tokens=1]]")).status == 200
        await busy.whole()
    assert (first_engine.stats.requests, second_engine.stats.requests) == (1, 1)
    for chat_stream in (one, two):
        assert chat_stream.metrics.registry.get_sample_value("chatstream_generated_tokens_total") in (
            1.0,
            3.0,
        )


async def test_32b_it_starts_lazily_without_a_lifespan() -> None:
    chat_stream, _ = demo_chat_stream()
    app = build_app(chat_stream)  # which calls nothing at its start
    async with serving(app) as base, Browser(base) as browser:
        assert (await browser.turn("[[tokens=1]]")).names == ["done"]


async def test_01d_behind_a_middleware_that_wraps_requests_and_responses() -> None:
    chat_stream, engine = demo_chat_stream()
    app = build_app(chat_stream)

    @app.middleware("http")
    async def pass_on(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        return await call_next(request)

    async with serving(app) as base, Browser(base) as browser:
        assert (await browser.turn("[[tokens=2]]")).names == ["done"]
        chat = await browser.send("[[tokens=3]][[delay=60000]]")
        await chat.read_until("message")
        chat.leave()
        await until(lambda: engine.stats.dropped == 1, "the engine's cancellation")
        await until(lambda: chat_stream.load().processing == 0, "the slot")


async def test_14i_after_a_storm_of_clients_that_go_nothing_is_held() -> None:
    heard: list[str] = []
    chat_stream, engine = demo_chat_stream(num_of_concurrent_executions=4, max_queue_size=50)
    app = build_app(chat_stream, callback=lambda request, message: heard.append(message))
    async with serving(app) as base:

        async def visit(number: int) -> None:
            async with connection(base) as (reader, writer):
                writer.write(
                    raw_request(b'{"user_input": "[[tokens=9]][[delay=20]][[prefill=%d]]"}' % number)
                )
                await asyncio.sleep(number % 17 / 50)
                if number % 3 == 0:
                    await reader.readuntil(b"\r\n\r\n")

        await asyncio.gather(*(visit(number) for number in range(60)))
        await chat_stream.drain(PATIENCE)
    load = chat_stream.load()
    assert (load.processing, load.waiting, load.limit) == (0, 0, 4)
    assert (engine.stats.running, engine.stats.running_max) == (0, 4)
    registry = chat_stream.metrics.registry
    outcomes = {
        sample.labels["outcome"]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "chatstream_turns_total"
    }
    assert Counter(heard) == outcomes
