"""A Redis that answers, but with a refusal: each has its error, what can work on does, and it passes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from fastersession import RedisStore, StoreBusy, StoreDenied, StoreFull, StoreReadOnly
from tests.fastersession.faults import CALLS, fails, opened, read, recovers, write
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.spy import eventually
from tests.fastersession.tcp_proxy import TcpProxy

WRITES = ("lease", "ping")


@pytest.fixture
async def store(own_redis: RedisServer) -> AsyncIterator[RedisStore]:
    """Holds one session, 7 at version 1."""
    async with opened(own_redis.url) as ready:
        await write(ready, 7)
        yield ready


@asynccontextmanager
async def administered(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url, password=server.password) as client:
        yield client


async def test_28_30_a_full_redis_can_still_be_read(own_redis: RedisServer, store: RedisStore) -> None:
    async with administered(own_redis) as client:
        await client.config_set("maxmemory-policy", "noeviction")
        await client.config_set("maxmemory", 1)
        assert "maxmemory" in await fails(store, lambda s: write(s, 8, version=1), StoreFull)
        for name in WRITES:
            await fails(store, CALLS[name], StoreFull)
        assert await read(store) == 7
        assert not store.circuit_open
        await client.config_set("maxmemory", 0)
    assert await write(store, 8, version=1) == 2


async def test_28_31_a_read_only_replica_can_still_be_read(own_redis: RedisServer, store: RedisStore) -> None:
    async with administered(own_redis) as client:
        await client.replicaof("127.0.0.1", "1")
        text = await fails(store, lambda s: write(s, 8, version=1), StoreReadOnly)
        assert "read only replica" in text
        for name in WRITES:
            await fails(store, CALLS[name], StoreReadOnly)
        assert await read(store) == 7
        assert not store.circuit_open
        await client.replicaof("NO", "ONE")
    assert await write(store, 8, version=1) == 2


@pytest.fixture
def another_redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    try:
        yield server
    finally:
        server.kill()


async def test_28_41_a_name_that_leads_to_another_master_is_followed(
    own_redis: RedisServer, another_redis: RedisServer
) -> None:
    """As a managed Redis fails over: connections that are open lead to what is a replica now."""
    async with TcpProxy(own_redis.port).running() as proxy, opened(proxy.url) as store:
        await asyncio.gather(*(write(store, 7, id_=f"s{n}") for n in range(10)))
        await own_redis.ask("REPLICAOF", "127.0.0.1", another_redis.port)
        proxy.target = another_redis.port
        written = await asyncio.gather(*(write(store, 8, id_=f"t{n}") for n in range(10)))
        assert written == [1] * 10
        assert await another_redis.ask("DBSIZE") == 10


async def test_28_32_a_redis_that_cannot_write_to_its_disk_is_read_only(
    tmp_path: Path, own_redis: RedisServer, store: RedisStore
) -> None:
    async with administered(own_redis) as client:
        (tmp_path / f"{own_redis.port}.rdb").mkdir()  # nothing can be renamed to that
        await client.config_set("save", "3600 1")
        await client.bgsave()

        async def has_failed() -> bool:
            return bool((await client.info("persistence"))["rdb_last_bgsave_status"] == "err")

        await eventually(has_failed)
        assert "RDB" in await fails(store, lambda s: write(s, 8, version=1), StoreReadOnly)
        assert await read(store) == 7
        await client.config_set("stop-writes-on-bgsave-error", "no")
    assert await write(store, 8, version=1) == 2


async def test_28_33_the_connection_limit_of_redis_is_named(
    own_redis: RedisServer, store: RedisStore
) -> None:
    async with administered(own_redis) as client:
        await client.ping()
        await client.config_set("maxclients", 2)  # which are the store's connection and this one
        async with opened(own_redis.url) as another:
            assert "max number of clients" in await fails(another, CALLS["load"], StoreBusy)
            assert await read(store) == 7
            await client.config_set("maxclients", 100)
            await recovers(another)
            assert await read(another) == 7


async def test_28_34_the_limit_of_the_pool_is_named(own_redis: RedisServer) -> None:
    async with opened(own_redis.url, max_connections=2) as store:
        await write(store, 7)
        own_redis.pause()
        results = await asyncio.gather(*(store.load("s") for _ in range(6)), return_exceptions=True)
        own_redis.resume()
        assert "no connection became free" in " ".join(map(str, results))
        assert any(isinstance(result, StoreBusy) for result in results)
        await recovers(store)
        assert await read(store) == 7


async def test_28_35_a_redis_that_runs_somebodys_script_is_busy(
    own_redis: RedisServer, store: RedisStore
) -> None:
    async with administered(own_redis) as client:
        await client.config_set("busy-reply-threshold", 20)
        endless = asyncio.create_task(own_redis.ask("EVAL", "while true do end", 0))
        await eventually(lambda: is_busy(own_redis))
        assert "BUSY" in await fails(store, CALLS["load"], StoreBusy)
        await client.script_kill()
        await asyncio.gather(endless, return_exceptions=True)
    await recovers(store)
    assert await read(store) == 7


async def is_busy(server: RedisServer) -> bool:
    """Until its threshold it is only silent."""
    try:
        await server.ask("PING")
    except ResponseError as error:
        return "BUSY" in str(error)
    return False


@pytest.fixture
def loading(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that needs seconds to load its data."""
    server = RedisServer(tmp_path, "loading-process-events-interval-bytes 1024", "rdbcompression no")
    server.start()
    try:
        yield server
    finally:
        server.kill()


async def test_28_36_a_redis_that_loads_its_data_is_busy_and_never_empty(loading: RedisServer) -> None:
    async with opened(loading.url) as store:
        await write(store, 7)
        async with administered(loading) as client:
            for n in range(300):
                await client.set(f"filler-{n}", "x" * 1000)
            await client.save()
        loading.kill()
        loading.add("key-load-delay 3000")  # microseconds
        loading.start()
        assert "loading" in await fails(store, CALLS["load"], StoreBusy)
        await recovers(store)
        assert await read(store) == 7


async def test_28_37_a_wrong_password_is_named_and_not_shown(own_redis: RedisServer) -> None:
    async with opened(own_redis.url, password="wrong-password-of-mine") as store:
        text = await fails(store, CALLS["load"], StoreDenied)
        assert "password was refused" in text
        assert "wrong-password-of-mine" not in text
        assert not store.circuit_open
        async with administered(own_redis) as client:
            await client.config_set("requirepass", "wrong-password-of-mine")
        assert await read(store) is None


async def test_28_38_no_password_is_named_too(own_redis: RedisServer) -> None:
    async with opened(own_redis.url, password=None) as store:
        assert "Authentication required" in await fails(store, CALLS["load"], StoreDenied)


@pytest.mark.parametrize("rights", ["~* +ping", "~another:* +@all", "~* +@all -hset"])
async def test_28_39_a_user_without_the_rights_is_denied(own_redis: RedisServer, rights: str) -> None:
    await own_redis.ask("ACL", "SETUSER", "chat", "on", ">pw", *rights.split())
    async with opened(f"redis://chat:pw@{own_redis.address}/0", password=None) as store:
        await fails(store, lambda s: write(s, 7), StoreDenied)
        await own_redis.ask("ACL", "SETUSER", "chat", "~*", "+@all")
        assert await write(store, 7) == 1


async def test_28_40_a_redis_whose_password_changes_shuts_nobody_out_that_knows_it(
    own_redis: RedisServer, store: RedisStore
) -> None:
    """Connections that are open stay so; who opens one needs the new password."""
    async with administered(own_redis) as client:
        await client.config_set("requirepass", "another")
        assert await read(store) == 7
        await client.client_kill_filter(_type="normal", skipme=True)
        await fails(store, CALLS["load"], StoreDenied)
        await client.config_set("requirepass", own_redis.password)
    assert await read(store) == 7
