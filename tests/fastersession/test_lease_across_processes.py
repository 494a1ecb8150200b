"""Leases between pods: real processes, a real Redis, a real death."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from fastersession import Lease, LeaseHeld, RedisStore
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.spy import eventually
from tests.fastersession.stores import written

PROGRAM = Path(__file__).with_name("lease_contender.py")


async def start(mode: str, server: RedisServer) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), mode, server.url, server.password, stdout=PIPE
    )


async def printed(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def test_17y_two_processes_never_both_hold_it_and_lose_no_write(own_redis: RedisServer) -> None:
    store = RedisStore.from_url(own_redis.url, password=own_redis.password)
    await store.save("s", written(0), ttl=60)
    processes = [await start("contend", own_redis) for _ in range(2)]
    try:
        assert [await printed(process) for process in processes] == ["1", "1"]
        assert [await process.wait() for process in processes] == [0, 0]
    finally:
        _end(processes)
    last = await store.load("s")
    await store.aclose()
    assert last is not None
    assert last.version == 1 + 2 * 40


async def test_17z_the_death_of_a_pod_frees_the_session(own_redis: RedisServer) -> None:
    store = RedisStore.from_url(own_redis.url, password=own_redis.password)
    process = await start("hold", own_redis)
    try:
        assert await printed(process) == "held"
        with pytest.raises(LeaseHeld) as held:
            await store.load("s", lease=Lease("here", 30))
        assert 0 < held.value.retry_after <= 2
    finally:
        _end([process])
    await process.wait()

    async def is_free() -> bool:
        try:
            await store.load("s", lease=Lease("here", 30))
        except LeaseHeld:
            return False
        return True

    await eventually(is_free)
    await store.aclose()


def _end(processes: list[Process]) -> None:
    for process in processes:
        if process.returncode is None:
            process.kill()
