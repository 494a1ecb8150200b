"""The managed Redis' configuration on a real redis-server: what it acknowledged is there after its end."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from tests.operator.managed_redis import START_SECONDS, ManagedRedis


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ManagedRedis]:
    one = ManagedRedis(tmp_path)
    one.start()
    yield one
    one.end(signal.SIGKILL)
    one.client.close()


def write(server: ManagedRedis, first: int, count: int) -> None:
    for number in range(first, first + count):
        assert server.client.hset(f"session:{number}", "record", "x" * 500) == 1


def test_28_a_redis_that_ends_as_its_pod_does_has_every_acknowledged_write(server: ManagedRedis) -> None:
    for attempt in range(3):
        write(server, attempt * 300, 300)
        assert server.end(signal.SIGTERM) == 0
        server.start()
        assert server.client.dbsize() == (attempt + 1) * 300


def test_28_a_redis_that_is_killed_has_what_it_acknowledged_a_moment_ago(server: ManagedRedis) -> None:
    write(server, 0, 300)
    # What comes while the disk is flushed waits for the next tick, a tenth of a second later.
    deadline = time.monotonic() + START_SECONDS
    while server.client.info("persistence")["aof_buffer_length"]:
        assert time.monotonic() < deadline
    server.end(signal.SIGKILL)
    server.start()
    assert server.client.dbsize() == 300


def test_28_a_file_that_ends_within_a_write_is_loaded_up_to_there(server: ManagedRedis) -> None:
    write(server, 0, 300)
    server.end(signal.SIGTERM)
    (log,) = server.folder.glob("appendonlydir/*.incr.aof")
    log.write_bytes(log.read_bytes()[:-100])
    server.start()
    assert server.client.dbsize() == 299
    write(server, 300, 1)


def test_there_are_no_snapshots_beside_the_log(server: ManagedRedis) -> None:
    """They fork, which doubles the memory, and one that fails keeps Redis from ending in time."""
    assert server.client.config_get("save") == {"save": ""}
    write(server, 0, 10)
    server.end(signal.SIGTERM)
    assert not (server.folder / "dump.rdb").exists()


def test_a_full_redis_refuses_and_evicts_nothing(server: ManagedRedis) -> None:
    assert server.client.config_get("maxmemory") == {"maxmemory": str(256 * 1024 * 1024)}
    write(server, 0, 100)
    server.client.config_set("maxmemory", "64kb")
    with pytest.raises(OutOfMemoryError):
        server.client.hset("session:more", "record", "x")
    assert server.client.dbsize() == 100


def test_nobody_reads_without_the_password(server: ManagedRedis) -> None:
    with Redis(port=server.port) as stranger, pytest.raises(RedisError, match="uthenticated"):
        stranger.dbsize()
