"""A client that keeps no cookie, and so begins a new session with each of its requests."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis

from fastersession import FasterSessionMiddleware, MemoryStore, RedisStore, SessionStore
from fastersession.asgi import ASGIApp
from tests.fastersession.apps import APP, session_id
from tests.fastersession.browser import KEY, Browser
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.spy import eventually
from tests.fastersession.stores import Clock

MANY = 10_000
UNCONFIRMED, IDLE = 600.0, 86_400.0
PREFIX = "chatstream:session:"


def served(store: SessionStore, clock: Callable[[], float] = time.time) -> FasterSessionMiddleware:
    return FasterSessionMiddleware(
        APP, secret_key=KEY, store=store, clock=clock, idle_timeout=IDLE, unconfirmed_timeout=UNCONFIRMED
    )


async def flood(app: ASGIApp, path: str, many: int = MANY) -> None:
    """That many requests without a cookie, fifty at a time."""
    asked = iter(range(many))

    async def one_after_another() -> None:
        for _ in asked:
            assert (await Browser(app).ask(path, cookie=b"")).status == 200

    await asyncio.gather(*(one_after_another() for _ in range(50)))


async def regulars(app: ASGIApp, count: int) -> list[Browser]:
    """Browsers that keep their cookie, and have come back once."""
    browsers = [Browser(app) for _ in range(count)]
    for browser in browsers:
        assert [(await browser.ask("/count")).body for _ in range(2)] == [b"1", b"2"]
    return browsers


@pytest.mark.parametrize("path", ["/count", "/turn"])
async def test_27_70_a_flood_pushes_nobody_out_of_memory(path: str) -> None:
    store = MemoryStore(max_sessions=500)
    app = served(store)
    browsers = await regulars(app, 100)
    await flood(app, path)
    assert len(store) <= 500
    assert {(await browser.ask("/count")).body for browser in browsers} == {b"3"}
    await store.aclose()


async def test_27_71_the_flood_ends_with_its_time_and_not_with_the_regulars() -> None:
    clock = Clock()
    store = MemoryStore(max_sessions=MANY, clock=clock, sweep_interval=0.05)
    app = served(store, clock)
    browsers = await regulars(app, 3)
    await flood(app, "/count", 1000)
    assert len(store) == 1003
    clock.now += UNCONFIRMED + 1

    async def only_regulars_are_left() -> bool:
        return len(store) == 3

    await eventually(only_regulars_are_left)
    assert {(await browser.ask("/count")).body for browser in browsers} == {b"3"}
    await store.aclose()


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """An empty Redis."""
    client = Redis.from_url(redis_server.url, password=redis_server.password)
    await client.flushall()
    yield client
    await client.flushall()
    await client.aclose()


@pytest.fixture
async def app(redis_server: RedisServer) -> AsyncIterator[FasterSessionMiddleware]:
    store = RedisStore.from_url(redis_server.url, password=redis_server.password)
    yield served(store)
    await store.aclose()


async def test_27_72_in_redis_the_flood_is_small_and_ends_soon(
    client: Redis, app: FasterSessionMiddleware
) -> None:
    (ada,) = await regulars(app, 1)
    before = (await client.info("memory"))["used_memory"]
    await flood(app, "/count")
    assert await client.dbsize() == MANY + 1
    assert ((await client.info("memory"))["used_memory"] - before) / MANY < 1500
    hers = f"{PREFIX}{{{session_id(ada)}}}".encode()
    keys = [key async for key in client.scan_iter(count=1000) if key != hers]
    async with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.pttl(key)
        left = await pipe.execute()
    assert 0 < min(left) <= max(left) <= UNCONFIRMED * 1000
    assert UNCONFIRMED * 1000 < await client.pttl(hers) <= IDLE * 1000


async def test_27_73_who_only_looks_leaves_nothing_and_asks_redis_nothing(
    client: Redis, app: FasterSessionMiddleware
) -> None:
    async def connections() -> int:
        total: int = (await client.info("stats"))["total_connections_received"]
        return total

    before = await connections()
    await flood(app, "/peek")
    assert (await client.dbsize(), await connections()) == (0, before)
