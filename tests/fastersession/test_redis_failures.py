"""Redis that is killed, paused, restarted, or refuses: calls end in time and say why; then all is well."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

import pytest
from redis.asyncio import Redis

from fastersession import (
    InvalidSessionData,
    Lease,
    LeaseHeld,
    RedisStore,
    StoreTimeout,
    StoreUnavailable,
    StoreUnreachable,
)
from fastersession.context import SessionContext
from fastersession.leases import LeaseReturner
from fastersession.session import Session
from tests.fastersession.faults import CALLS, IO_TIMEOUT, SLACK, A, fails, opened, read, recovers, write
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.spy import eventually

T = TypeVar("T")


@pytest.fixture
async def store(own_redis: RedisServer) -> AsyncIterator[RedisStore]:
    """Connected already, as after some traffic."""
    async with opened(own_redis.url) as ready:
        await ready.ping()
        yield ready


@pytest.mark.parametrize("name", CALLS)
async def test_28l_a_killed_redis_is_named(own_redis: RedisServer, store: RedisStore, name: str) -> None:
    own_redis.kill()
    text = await fails(store, CALLS[name], StoreUnreachable)
    assert own_redis.address in text
    assert "refused" in text or "Connect call failed" in text


@pytest.mark.parametrize("name", CALLS)
async def test_28m_a_paused_redis_holds_nobody_up(
    own_redis: RedisServer, store: RedisStore, name: str
) -> None:
    own_redis.pause()
    text = await fails(store, CALLS[name], StoreTimeout)
    assert own_redis.address in text
    assert "Timeout" in text or "no answer within" in text
    own_redis.resume()
    await store.ping()


async def test_28_4_a_lease_that_a_paused_redis_takes_too_late_shuts_nobody_out(
    own_redis: RedisServer, store: RedisStore
) -> None:
    """The request for it lay in an open connection, and is carried out when nobody waits for it any more."""
    await store.load("s")  # the connection is there, and Redis' time is known
    own_redis.pause()
    await fails(store, CALLS["lease"])
    own_redis.resume()
    assert await store.load("s", lease=Lease("owner-b", 30)) is None


async def test_28_6_no_lease_is_taken_in_the_moment_in_which_its_caller_gives_up(store: RedisStore) -> None:
    """Redis carries it out in time, and the answer comes too late."""
    await store.load("s")
    with pytest.raises(TimeoutError):
        await store._timely(store._keys("s"), ["owner-a", 30_000], time.monotonic() + 0.03)
    assert await store.load("s", lease=Lease("owner-b", 30)) is None


async def test_28_5_a_redis_whose_clock_was_set_gives_leases_all_the_same(store: RedisStore) -> None:
    await store.load("s")
    for wrong in (0, 2**52):
        store._clock.learn(wrong)
        assert await store.load("s", lease=A) is None


async def test_28n_many_callers_of_a_paused_redis_all_end_in_time(own_redis: RedisServer) -> None:
    async with opened(own_redis.url, max_connections=3) as store:
        own_redis.pause()
        began = time.monotonic()
        results = await asyncio.gather(*(store.load(f"s{n}") for n in range(50)), return_exceptions=True)
        assert time.monotonic() - began < IO_TIMEOUT + SLACK
        assert all(isinstance(result, StoreUnavailable) for result in results)
        own_redis.resume()
        await recovers(store)
        assert await read(store, "s1") is None


async def test_28q_after_a_restart_it_works_again(own_redis: RedisServer, store: RedisStore) -> None:
    await write(store, 7)
    await asyncio.gather(*(store.load("s") for _ in range(20)))  # connections that will all be dead
    own_redis.kill()
    await fails(store, CALLS["load"])
    own_redis.start()  # empty, and without our scripts
    assert await store.load("s") is None
    assert await write(store, 7) == 1


async def test_28r_a_restart_that_nobody_noticed_fails_no_call(
    own_redis: RedisServer, store: RedisStore
) -> None:
    await asyncio.gather(*(store.load("s") for _ in range(20)))
    own_redis.kill()
    own_redis.start()
    results = await asyncio.gather(*(store.load("s") for _ in range(20)))
    assert results == [None] * 20


async def test_28t_a_cancelled_call_leaves_the_pool_clean(own_redis: RedisServer, store: RedisStore) -> None:
    await write(store, 7)
    for _ in range(30):
        loading = asyncio.create_task(store.load("s"))
        await asyncio.sleep(0)
        loading.cancel()
    for _ in range(60):
        loaded = await store.load("s")
        assert loaded is not None
        assert loaded.version == 1


async def test_28v_a_record_of_somebody_else_is_an_error_of_ours(
    own_redis: RedisServer, store: RedisStore
) -> None:
    client = Redis.from_url(own_redis.url, password=own_redis.password)
    await client.hset("chatstream:session:{s}", mapping={"record": "{", "version": 1, "accessed": 1})
    with pytest.raises(InvalidSessionData):
        await store.load("s")
    await client.aclose()


async def test_28w_a_closed_store_says_so(own_redis: RedisServer) -> None:
    async with opened(own_redis.url) as store:
        await store.ping()
    assert "closed" in await fails(store, CALLS["ping"])


async def sent_twice(server: RedisServer, call: Awaitable[T]) -> T:
    """The result of a call whose first answer is lost; both of its attempts are carried out."""
    server.pause()
    running = asyncio.ensure_future(call)
    await asyncio.sleep(0.3)  # socket_timeout is over: the second attempt is under way
    server.resume()
    return await running


async def test_25y_a_save_sent_twice_is_one_write(own_redis: RedisServer, store: RedisStore) -> None:
    """What came back to the second attempt would else look like somebody else's write."""
    await write(store, 7)  # Redis knows the script from here on
    await store.load("s", lease=A)
    assert await sent_twice(own_redis, write(store, 8, version=1, release=A.owner)) == 2
    loaded = await store.load("s", lease=Lease("owner-b", 30))
    assert loaded is not None
    assert loaded.version == 2


async def test_25z_a_delete_sent_twice_is_no_conflict(own_redis: RedisServer, store: RedisStore) -> None:
    await store.delete("s")
    await write(store, 7)
    await sent_twice(own_redis, store.delete("s", expected_version=1))
    assert await store.load("s") is None


async def test_17x_a_lease_taken_without_an_answer_is_given_back(
    own_redis: RedisServer, store: RedisStore
) -> None:
    returner = LeaseReturner(store, IO_TIMEOUT)
    session = Session(SessionContext(store, returner, time.time, IO_TIMEOUT, 100.0, 100.0), None)
    own_redis.pause()
    with pytest.raises(StoreUnavailable):
        await session.load(lease_seconds=300)
    own_redis.resume()  # now the load that nobody waits for is carried out

    async def is_free() -> bool:
        try:
            await store.load(session.id, lease=Lease("another", 0.001))
        except LeaseHeld:
            return False
        return True

    await eventually(is_free, seconds=10)
