"""A store that is closed while calls are under way: they end at once, and no connection is left open."""

import asyncio
import gc
import warnings

import pytest

from fastersession import RedisStore, StoreUnreachable
from tests.fastersession.redis_server import RedisServer

STEP = 0.00001


async def closed_after(server: RedisServer, seconds: float, calls: int) -> None:
    """The loop ends with this: what goes on then is cancelled."""
    store = RedisStore.from_url(server.url, password=server.password)
    loading = [asyncio.ensure_future(store.load("nobody")) for _ in range(calls)]
    for task in loading:
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.sleep(seconds)
    await store.aclose()
    for _ in range(round(seconds / STEP) % 12):
        await asyncio.sleep(0)


def test_28_102_whenever_a_store_is_closed_no_connection_is_left(redis_server: RedisServer) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(400):
            asyncio.run(closed_after(redis_server, step * STEP, 1 + step % 3))
        gc.collect()
    assert [str(one.message) for one in caught] == []


async def test_28_103_a_silent_redis_holds_up_no_end(own_redis: RedisServer) -> None:
    store = RedisStore.from_url(own_redis.url, password=own_redis.password)
    assert await store.load("s") is None
    own_redis.pause()
    loading = asyncio.ensure_future(store.load("s"))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(0.5):
        await store.aclose()
        with pytest.raises(StoreUnreachable, match="closed"):
            await loading


async def test_28_104_who_is_cancelled_while_the_store_closes_stays_cancelled(own_redis: RedisServer) -> None:
    store = RedisStore.from_url(own_redis.url, password=own_redis.password)
    assert await store.load("s") is None
    own_redis.pause()
    loading = asyncio.ensure_future(store.load("s"))
    await asyncio.sleep(0.05)
    loading.cancel()
    await store.aclose()
    with pytest.raises(asyncio.CancelledError):
        await loading
