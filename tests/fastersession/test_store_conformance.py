"""Every store of ours passes the suite that others run against theirs."""

import pytest
from redis.asyncio import Redis

from fastersession import EncryptedStore, MemoryStore, RedisStore, SessionStore
from fastersession.testing import StoreConformance
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.stores import Clock, RedisUnderTest

OLD, NEW = "old-key-0123456789", "new-key-0123456789"


class TestMemoryStore(StoreConformance):
    short = 10.0
    clock: Clock

    async def make_store(self) -> SessionStore:
        self.clock = Clock()
        return MemoryStore(clock=self.clock)

    async def let_pass(self, seconds: float) -> None:
        self.clock.now += seconds


class TestRedisStore(StoreConformance):
    short = 10.0
    server: RedisServer

    @pytest.fixture(autouse=True)
    def use(self, redis_server: RedisServer) -> None:
        self.server = redis_server

    async def make_store(self) -> SessionStore:
        return RedisStore.from_url(self.server.url, password=self.server.password)

    async def make_twin(self, store: SessionStore) -> SessionStore:
        return RedisStore.from_url(self.server.url, password=self.server.password)

    async def let_pass(self, seconds: float) -> None:
        store = RedisStore.from_url(self.server.url, password=self.server.password)
        async with Redis.from_url(self.server.url, password=self.server.password) as client:
            await RedisUnderTest(store, client).elapse(seconds)
        await store.aclose()


class TestEncryptedMemoryStore(TestMemoryStore):
    async def make_store(self) -> SessionStore:
        return EncryptedStore(await super().make_store(), OLD)


class TestEncryptedRedisStore(TestRedisStore):
    """Two processes while a key is replaced: each seals with another one."""

    async def make_store(self) -> SessionStore:
        return EncryptedStore(await super().make_store(), [OLD, NEW])

    async def make_twin(self, store: SessionStore) -> SessionStore:
        return EncryptedStore(await super().make_twin(store), [NEW, OLD])
