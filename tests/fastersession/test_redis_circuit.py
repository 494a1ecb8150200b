"""Redis that is slow, cut off or frozen: calls end in time, then at once, and all is well by itself again."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from fastersession import RedisStore, StoreTimeout, StoreUnavailable, StoreUnreachable
from fastersession.circuit import THRESHOLD
from tests.fastersession.faults import CALLS, IO_TIMEOUT, fails, opened, read, recovers, write
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.tcp_proxy import TcpProxy

AT_ONCE = 0.2  # on a busy machine


@pytest.fixture
async def proxy(own_redis: RedisServer) -> AsyncIterator[TcpProxy]:
    async with TcpProxy(own_redis.port).running() as ready:
        yield ready


@pytest.fixture
async def store(proxy: TcpProxy) -> AsyncIterator[RedisStore]:
    """Reaches Redis through the proxy. Holds one session, 7 at version 1."""
    async with opened(proxy.url) as ready:
        await write(ready, 7)
        yield ready


async def open_circuit(store: RedisStore) -> None:
    for _ in range(THRESHOLD):
        assert not store.circuit_open
        await fails(store, CALLS["load"])
    assert store.circuit_open


async def test_28_50_a_slow_redis_works(proxy: TcpProxy, store: RedisStore) -> None:
    proxy.delay = 0.1
    assert await write(store, 8, version=1) == 2
    assert await read(store) == 8
    assert await asyncio.gather(*(read(store) for _ in range(20))) == [8] * 20


async def test_28_51_a_connection_that_is_cut_fails_no_call(proxy: TcpProxy, store: RedisStore) -> None:
    for _ in range(3):
        proxy.delay = 0.05
        reading = asyncio.gather(*(read(store) for _ in range(10)))
        await asyncio.sleep(0.04)  # they are under way
        proxy.delay = 0.0
        await proxy.cut()
        assert await reading == [7] * 10


async def test_28_52_a_frozen_redis_opens_the_circuit_which_closes_by_itself(
    own_redis: RedisServer, store: RedisStore
) -> None:
    own_redis.pause()
    began = time.monotonic()
    results = await asyncio.gather(*(store.load("s") for _ in range(20)), return_exceptions=True)
    assert time.monotonic() - began < 2 * IO_TIMEOUT
    assert {type(result) for result in results} == {StoreTimeout}
    assert store.circuit_open
    await asyncio.sleep(IO_TIMEOUT)  # frozen for longer than every limit
    own_redis.resume()
    await recovers(store, seconds=6)
    assert await read(store) == 7


@pytest.mark.parametrize("name", CALLS)
async def test_28_53_while_it_is_open_calls_fail_at_once_and_by_name(
    own_redis: RedisServer, store: RedisStore, name: str
) -> None:
    own_redis.kill()
    await open_circuit(store)
    began = time.monotonic()
    text = await fails(store, CALLS[name], StoreUnreachable)
    assert time.monotonic() - began < AT_ONCE
    assert "not tried again for 0." in text


async def test_28_54_while_it_is_open_no_connection_is_made(
    own_redis: RedisServer, proxy: TcpProxy, store: RedisStore
) -> None:
    own_redis.kill()
    await open_circuit(store)
    before = proxy.connections
    results = await asyncio.gather(*(store.load(f"s{n}") for n in range(500)), return_exceptions=True)
    assert all(isinstance(result, StoreUnreachable) for result in results)
    assert proxy.connections == before


async def test_28_55_one_trial_at_a_time_reaches_redis(
    own_redis: RedisServer, proxy: TcpProxy, store: RedisStore
) -> None:
    own_redis.kill()
    await open_circuit(store)
    await asyncio.sleep(0.5)  # the first pause
    before = proxy.connections
    results = await asyncio.gather(*(store.load(f"s{n}") for n in range(50)), return_exceptions=True)
    assert "being tried again" in str(results[1])
    assert 1 <= proxy.connections - before <= 3  # the attempts of one call


async def test_28_56_a_cancelled_trial_gives_its_place_back(
    own_redis: RedisServer, store: RedisStore
) -> None:
    own_redis.pause()
    await asyncio.gather(*(fails(store, CALLS["load"]) for _ in range(THRESHOLD)))
    await asyncio.sleep(0.5)
    trial = asyncio.create_task(store.load("s"))
    await asyncio.sleep(0.05)
    assert "being tried again" in await fails(store, CALLS["load"])
    trial.cancel()
    await asyncio.gather(trial, return_exceptions=True)
    own_redis.resume()
    assert await read(store) == 7
    assert not store.circuit_open


async def test_28_57_calls_that_hung_do_not_open_it_again(own_redis: RedisServer, store: RedisStore) -> None:
    own_redis.pause()
    await asyncio.gather(*(fails(store, CALLS["load"]) for _ in range(THRESHOLD)))
    hung = [asyncio.create_task(store.load("s")) for _ in range(20)]
    await asyncio.gather(*hung, return_exceptions=True)
    own_redis.resume()
    await recovers(store, seconds=6)
    assert [await read(store) for _ in range(20)] == [7] * 20


async def test_28_58_a_session_that_was_refused_is_never_somebody_elses(
    own_redis: RedisServer, proxy: TcpProxy, store: RedisStore
) -> None:
    """Answers that come late, to connections that were cut, reach nobody."""
    for n in range(10):
        await write(store, n, id_=f"user-{n}")
    for round_ in range(6):
        proxy.delay = 0.3 if round_ % 2 else 0.0  # longer than an answer may take
        loads = [asyncio.create_task(read(store, f"user-{n}")) for n in range(10)]
        await asyncio.sleep(0.02)
        loads[round_].cancel()
        found = await asyncio.gather(*loads, return_exceptions=True)
        for n, value in enumerate(found):
            assert value == n or isinstance(value, StoreUnavailable | asyncio.CancelledError)
    proxy.delay = 0.0
    await recovers(store)
    assert [await read(store, f"user-{n}") for n in range(10)] == list(range(10))


async def test_28_59_the_circuit_is_told_of_in_the_log(
    own_redis: RedisServer, store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    own_redis.kill()
    await open_circuit(store)
    await fails(store, CALLS["load"])
    own_redis.start()
    await recovers(store)
    messages = [record.getMessage() for record in caplog.records]
    assert len([m for m in messages if "until it answers a trial" in m]) == 1
    assert len([m for m in messages if "answers again" in m]) == 1
