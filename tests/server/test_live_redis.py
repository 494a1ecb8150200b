"""Two pods with one Redis between them, which may be killed or paused under a turn."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from chatstream.app import Service, build_service
from tests.fastersession.redis_server import RedisServer
from tests.server.support.apps import KEY, demo_settings
from tests.server.support.live import Browser, serving, until


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@dataclass(frozen=True)
class Pod:
    service: Service
    base: str


@asynccontextmanager
async def pod(redis: RedisServer) -> AsyncIterator[Pod]:
    sessions = {
        "store": "redis",
        "redis_url": redis.url,
        "redis_password": redis.password,
        "secret_keys": [KEY],
        "cookie": {"secure": False},
    }
    service = build_service(demo_settings(sessions=sessions))
    async with serving(service.public) as base:
        yield Pod(service, base)


@asynccontextmanager
async def same_user(one: Pod, two: Pod) -> AsyncIterator[tuple[Browser, Browser]]:
    """One browser whose requests reach either pod."""
    jar = aiohttp.CookieJar(unsafe=True)  # cookies are of a host, whatever the port
    async with Browser(one.base, jar) as first, Browser(two.base, jar) as second:
        yield first, second


async def test_17b_across_pods_the_second_turn_is_a_conflict_and_the_next_sees_the_first(
    redis: RedisServer,
) -> None:
    async with pod(redis) as one, pod(redis) as two, same_user(one, two) as (here, there):
        await here.turn("[[tokens=1]] my word is heron")
        first = await here.send("[[tokens=4]][[delay=100]]")
        second = await there.send("hi")
        assert (second.status, (await second.json())["error"]) == (409, "turn_in_progress")
        assert (await first.whole()).names == ["done"]
        assert "heron" in (await there.turn("[[echo]]")).text


async def test_28e_a_redis_that_dies_during_a_turn_costs_no_reply(redis: RedisServer) -> None:
    async with pod(redis) as one, Browser(one.base) as browser:
        await browser.turn("[[tokens=1]]")
        chat = await browser.send("[[tokens=4]][[delay=50]]")
        await chat.read_until("message")
        redis.kill()
        await chat.whole()
        assert chat.text == "tok1 tok2 tok3 tok4 "
        assert chat.names == ["warning", "done"]
        away = await browser.send("hi")
        assert (away.status, (await away.json())["error"]) == (503, "session_store_unavailable")
        redis.start()

        async def back() -> bool:
            return (await browser.turn("[[tokens=1]]")).status == 200

        await until(back, "the next try of Redis, which pauses while it is away")
        load = one.service.chat_stream.load()
        assert (load.processing, load.waiting) == (0, 0)


async def test_28f_a_redis_that_hangs_is_503_within_its_limit(redis: RedisServer) -> None:
    async with pod(redis) as one, Browser(one.base) as browser:
        await browser.turn("[[tokens=1]]")
        redis.pause()
        started = time.monotonic()
        chat = await browser.send("hi")
        assert (chat.status, (await chat.json())["error"]) == (503, "session_store_unavailable")
        assert time.monotonic() - started < 4  # the limit is 2 s; the rest is for a loaded machine
        redis.resume()
