"""Redis behind a sentinel: the store follows a failover by itself, and keeps what was replicated."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis.asyncio import Redis

from fastersession import (
    Lease,
    LeaseHeld,
    RedisStore,
    StoreDenied,
    StoreReadOnly,
    StoreTimeout,
    StoreUnavailable,
    StoreUnreachable,
    VersionConflict,
)
from fastersession.redis.sentinel import CHECK_PERIOD, MasterPool, Sentinels
from tests.fastersession.certificates import Authority
from tests.fastersession.faults import CALLS, IO_TIMEOUT, SLACK, A, fails, opened, read, recovers, write
from tests.fastersession.redis_sentinels import SERVICE, SentinelGroup
from tests.fastersession.redis_server import PASSWORD, RedisServer


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[SentinelGroup]:
    async with SentinelGroup(tmp_path) as ready:
        yield ready


@pytest.fixture
async def store(group: SentinelGroup) -> AsyncIterator[RedisStore]:
    """Holds one session, 7 at version 1, which is replicated, and its lease."""
    async with opened(group.url) as ready:
        await write(ready, 7)
        await ready.load("s", lease=A)
        await group.replicated(group.pair[0])
        yield ready


async def test_28_70_a_killed_master_is_followed(group: SentinelGroup, store: RedisStore) -> None:
    group.pair[0].kill()
    assert SERVICE in await fails(store, CALLS["load"], StoreUnreachable)
    await recovers(store)
    assert await group.master_port() == group.pair[1].port
    with pytest.raises(LeaseHeld):
        await store.load("s", lease=Lease("owner-b", 30))
    assert await write(store, 8, version=1) == 2
    assert await read(store) == 8


async def test_28_71_a_frozen_master_is_followed_and_takes_nothing_when_it_thaws(
    group: SentinelGroup, store: RedisStore
) -> None:
    group.pair[0].pause()
    await fails(store, CALLS["load"])
    await recovers(store)
    assert await write(store, 8, version=1) == 2
    group.pair[0].resume()
    for version in range(2, 22):
        assert await write(store, 7 + version, version=version) == version + 1
        await asyncio.sleep(0.05)
    assert await group.version(group.pair[0]) == 1
    assert await group.version(group.pair[1]) == 22


async def test_28_72_a_planned_failover_is_followed_although_the_old_master_answers_on(
    group: SentinelGroup, store: RedisStore
) -> None:
    """For seconds it would take writes, which are lost then. Each call is answered or named meanwhile."""
    version = 1
    await group.sentinel.ask("SENTINEL", "FAILOVER", SERVICE)
    began = time.monotonic()
    while await group.master_port() != group.pair[1].port:
        assert time.monotonic() - began < 20
        version = await one_more(store, version)
    await asyncio.sleep(CHECK_PERIOD)
    version = await one_more(store, version)
    assert await group.version(group.pair[1]) == version
    assert await one_more(store, version) == version + 1


async def one_more(store: RedisStore, version: int) -> int:
    """A write upon `version`. Where that was not the last any more, the version that is."""
    await asyncio.sleep(0.02)
    try:
        async with asyncio.timeout(IO_TIMEOUT + SLACK):
            return await write(store, 7 + version, version=version)
    except (StoreUnreachable, StoreTimeout, StoreReadOnly, VersionConflict):
        return await consistent(store)


async def consistent(store: RedisStore) -> int:
    """The session's version, which tells its value."""
    await recovers(store)
    loaded = await store.load("s")
    assert loaded is not None
    assert loaded.attributes == json.dumps({"n": 6 + loaded.version}, separators=(",", ":"))
    return loaded.version


async def test_28_73_a_stale_version_after_a_failover_is_a_conflict(
    group: SentinelGroup, store: RedisStore
) -> None:
    """The replica did not get the last write: whoever read it cannot write upon it."""
    group.pair[1].pause()
    await group.pair[0].ask("CLIENT", "KILL", "TYPE", "replica")  # nothing is replicated from here on
    assert await write(store, 8, version=1) == 2
    group.pair[0].kill()
    group.pair[1].resume()
    await recovers(store)
    assert await read(store) == 7  # an asynchronous replica cannot do better
    with pytest.raises(VersionConflict):
        await write(store, 9, version=2)


async def test_28_74_silent_sentinels_hold_nobody_up(group: SentinelGroup) -> None:
    """Four of five accept connections and say nothing: to wait for each would take too long."""
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(4)]
        hosts = ",".join(f"127.0.0.1:{listener.getsockname()[1]}" for listener in silent)
        async with opened(group.url.replace("@", f"@{hosts},")) as store:
            assert await write(store, 7) == 1


@pytest.mark.parametrize(
    ("old", "new", "kind", "words"),
    [
        (f"/{SERVICE}/", "/another/", StoreUnreachable, "No such master"),
        (f"sentinel_password={PASSWORD}", "sentinel_password=wrong-one", StoreDenied, "password"),
        (f":{PASSWORD}@", ":wrong-one@", StoreDenied, "password"),
        (f"?sentinel_password={PASSWORD}", "", StoreDenied, "Authentication"),
    ],
    ids=["service", "sentinel-password", "password", "none"],
)
async def test_28_75_what_is_wrong_in_the_url_is_named(
    group: SentinelGroup, old: str, new: str, kind: type[StoreUnavailable], words: str
) -> None:
    async with opened(group.url.replace(old, new), password=None) as store:
        text = await fails(store, CALLS["load"], kind)
        assert words in text
        assert "wrong-one" not in text


async def test_28_76_no_sentinel_at_all_is_named(group: SentinelGroup, store: RedisStore) -> None:
    """Connections that are open work on; who opens one must know the master."""
    group.sentinel.kill()
    assert await read(store) == 7
    async with opened(group.url) as another:
        assert "no sentinel knows" in await fails(another, CALLS["load"], StoreUnreachable)


async def test_28_77_sentinels_speak_tls_too(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with SentinelGroup(tmp_path, tls=authority.issue("127.0.0.1")) as group:
        assert group.url.startswith("rediss+sentinel://")
        async with opened(group.url, ca_file=authority.path) as store:
            assert await write(store, 7) == 1
        async with opened(group.url, ca_file=Authority(tmp_path, "another").path) as store:
            await fails(store, CALLS["load"])


async def test_28_99_a_store_that_is_closed_asks_silent_sentinels_no_more(group: SentinelGroup) -> None:
    store = RedisStore.from_url(group.url)
    await write(store, 7)
    group.sentinel.pause()
    await asyncio.sleep(CHECK_PERIOD)
    assert await read(store) == 7  # it works on, and has asked
    await store.aclose()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


class Told(Sentinels):
    """Sentinels that name whom the test names."""

    def __init__(self, server: RedisServer) -> None:
        super().__init__([], {})
        self.named = server

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        return "127.0.0.1", self.named.port


async def test_28_78_a_connection_in_use_leads_to_the_new_master_afterwards(
    own_redis: RedisServer, redis_server: RedisServer
) -> None:
    """The call that has it ends on the old one; nobody after it does."""
    told = Told(own_redis)
    pool = MasterPool(SERVICE, told, password=PASSWORD, protocol=2)
    async with Redis.from_pool(pool) as client:
        in_use = await pool.get_connection()
        told.named = redis_server
        assert await client.ping()
        await pool.get_master_address()
        await pool.release(in_use)
        for _ in range(3):
            connection = await pool.get_connection()
            assert connection.port == redis_server.port
