"""What is the memory store's own: its bounds."""

import asyncio

import pytest

from fastersession import Lease, MemoryStore
from tests.fastersession.spy import eventually
from tests.fastersession.stores import Clock, written


async def test_27_4_beyond_the_limit_the_least_recently_used_goes(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore(max_sessions=3)
    for name in "abc":
        await store.save(name, written(0), ttl=60)
    await store.load("a")
    for name in "de":
        await store.save(name, written(0), ttl=60)
    assert [name for name in "abcde" if await store.load(name) is not None] == ["a", "d", "e"]
    assert len(caplog.records) == 1  # told once, not at each request
    await store.aclose()


async def test_27_5_what_expired_leaves_memory_without_traffic() -> None:
    clock = Clock()
    store = MemoryStore(clock=clock, sweep_interval=0.01)
    await store.save("s", written(0), ttl=60)
    await store.load("t", lease=Lease("owner", 60))
    assert len(store) == 2
    clock.now += 61

    async def is_empty() -> bool:
        return len(store) == 0

    await eventually(is_empty)
    await store.save("s", written(0), ttl=60)
    clock.now += 61
    await eventually(is_empty)
    await store.aclose()


def test_27_6_a_store_outlives_an_event_loop() -> None:
    clock = Clock()
    store = MemoryStore(clock=clock, sweep_interval=0.01)

    async def save(name: str) -> None:
        await store.save(name, written(0), ttl=60)

    async def wait_until_empty() -> None:
        await save("second")
        clock.now += 61

        async def is_empty() -> bool:
            return len(store) == 0

        await eventually(is_empty)

    asyncio.run(save("first"))
    asyncio.run(wait_until_empty())


def test_27_7_a_store_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        MemoryStore(max_sessions=0)
