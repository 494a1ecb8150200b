"""What only bytes on a socket show: requests sent ahead, heads and trailers without end, silence."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from chatstream import ChatStream
from chatstream.engines import DemoEngine
from tests.server.support.apps import build_app, demo_chat_stream
from tests.server.support.live import PATIENCE, connection, raw_request, serving, until

AHEAD = b"GET /nothing HTTP/1.1\r\nHost: test\r\n\r\n"
LONG = raw_request(b'{"user_input": "[[tokens=3]][[delay=60000]]"}')
SILENT = raw_request(b'{"user_input": "[[prefill=60000]]"}')
SHORT = raw_request(b'{"user_input": "[[tokens=2]]"}')


@asynccontextmanager
async def server() -> AsyncIterator[tuple[str, ChatStream, DemoEngine]]:
    chat_stream, engine = demo_chat_stream()
    async with serving(build_app(chat_stream)) as base:
        yield base, chat_stream, engine


@pytest.mark.parametrize("request_", [LONG, SILENT], ids=["streaming", "prefill"])
@pytest.mark.parametrize("together", [True, False])
async def test_16g_a_client_that_sent_a_request_ahead_is_seen_to_go(request_: bytes, together: bool) -> None:
    async with server() as (base, chat_stream, engine):
        async with connection(base) as (_, writer):
            writer.write(request_ + AHEAD if together else request_)
            await until(lambda: engine.stats.running == 1, "the generation's start")
            if not together:
                writer.write(AHEAD)
                await writer.drain()
                await asyncio.sleep(0.1)  # whether it arrived shows nowhere
        await until(lambda: engine.stats.dropped == 1, "the engine's cancellation")
        assert chat_stream.load().processing == 0


async def test_requests_sent_ahead_are_answered_in_turn() -> None:
    async with server() as (base, _, engine), connection(base) as (reader, writer):
        writer.write(SHORT + AHEAD + SHORT + AHEAD)
        answers = b""
        async with asyncio.timeout(PATIENCE):
            while answers.count(b"Not Found") < 4:  # the status line's phrase, and the body
                answers += await reader.read(65_536)
        assert [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200", b"404"]
        assert answers.count(b"event: done") == 2
        assert engine.stats.running_max == 1


async def test_a_client_that_sends_far_ahead_is_cut_off() -> None:
    async with server() as (base, _, engine), connection(base) as (_, writer):
        writer.write(SILENT)
        await until(lambda: engine.stats.running == 1, "the generation's start")
        writer.write(AHEAD * 20_000)
        await until(lambda: engine.stats.dropped == 1, "the end of the generation")


async def send_on(writer: asyncio.StreamWriter, more: bytes) -> None:
    async with asyncio.timeout(PATIENCE):
        for _ in range(300):
            writer.write(more)
            await writer.drain()


@pytest.mark.parametrize(
    ("beginning", "more"),
    [
        (b"GET /", b"a" * 100_000),
        (b"GET / HTTP/1.1\r\nHost: test\r\nX: ", b"a" * 100_000),
        (b"GET / HTTP/1.1\r\nHost: test\r\n", b"a: b\r\n" * 20_000),
        (b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n" * 20_000),
        (
            b"POST /chat_stream HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
            b"a" * 100_000,
        ),
    ],
    ids=["url", "header", "headers", "trailers", "trailer"],
)
async def test_15c_a_head_or_a_tail_without_end_is_cut_off(beginning: bytes, more: bytes) -> None:
    async with server() as (base, _, _), connection(base) as (_, writer):
        writer.write(beginning)
        with pytest.raises(ConnectionError):
            await send_on(writer, more)


async def test_a_long_body_in_chunks_of_one_byte_is_no_overhead() -> None:
    body = b'{"user_input": "[[tokens=2]]%s"}' % (b"x" * 30_000)
    async with server() as (base, _, _), connection(base) as (reader, writer):
        writer.write(b"POST /chat_stream HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
        for byte in body:
            writer.write(b"1\r\n%c\r\n" % byte)
        writer.write(b"0\r\n\r\n")
        await reader.readuntil(b"event: done")


async def test_a_body_far_over_the_limit_is_still_answered_with_413() -> None:
    async with server() as (base, _, _), connection(base) as (reader, writer):
        writer.write(raw_request(b"x" * 3_000_000) + AHEAD)
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
        await reader.readuntil(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("said", [b"", b"POST /chat_stream HTTP/1.1\r\nHos"], ids=["nothing", "half a head"])
async def test_15d_who_never_ends_a_head_is_not_waited_for(said: bytes) -> None:
    chat_stream, _ = demo_chat_stream()
    async with (
        serving(build_app(chat_stream), keep_alive=1) as base,
        connection(base) as (reader, writer),
        asyncio.timeout(PATIENCE),
    ):
        writer.write(said)
        assert await reader.read() == b""
