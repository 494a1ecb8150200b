"""Both stores behind one face, with a clock that tests move."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from redis.asyncio import Redis

from fastersession import Change, MemoryStore, RedisStore, SessionStore, StoredSession
from tests.fastersession.redis_server import RedisServer

START = 1_800_000_000.0


class Clock:
    """Unix seconds that stand still until they are moved."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class StoreUnderTest(Protocol):
    """A store, and a way to let its time pass."""

    store: SessionStore

    async def elapse(self, seconds: float) -> None: ...


class MemoryUnderTest:
    def __init__(self) -> None:
        self.clock = Clock()
        self.store: SessionStore = MemoryStore(clock=self.clock)

    async def elapse(self, seconds: float) -> None:
        self.clock.now += seconds


class RedisUnderTest:
    """Redis keeps its own time: what shall have passed is taken off every key's time to live."""

    def __init__(self, store: SessionStore, client: Redis) -> None:
        self.store = store
        self.client = client

    async def elapse(self, seconds: float) -> None:
        for key in await self.client.keys("*"):
            left = await self.client.pttl(key) - round(seconds * 1000)
            if left > 0:
                await self.client.pexpire(key, left)
            else:
                await self.client.delete(key)


@asynccontextmanager
async def memory_under_test() -> AsyncIterator[StoreUnderTest]:
    under_test = MemoryUnderTest()
    yield under_test
    await under_test.store.aclose()


@asynccontextmanager
async def redis_under_test(server: RedisServer) -> AsyncIterator[StoreUnderTest]:
    """An empty Redis."""
    client = Redis.from_url(server.url, password=server.password)
    store = RedisStore.from_url(server.url, password=server.password)
    await client.flushall()
    try:
        yield RedisUnderTest(store, client)
    finally:
        await store.aclose()
        await client.aclose()


def record(attributes: str = '{"a":1}', *, accessed: float = START) -> StoredSession:
    return StoredSession(attributes, START, accessed, 3600.0)


def written(version: int, attributes: str = '{"a":1}', *, accessed: float = START) -> Change:
    """A write of attributes upon a version."""
    return Change(version, accessed, record(attributes, accessed=accessed))
