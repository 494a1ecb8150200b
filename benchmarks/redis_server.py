"""A Redis of the benchmark's own, without persistence, on a port of its own on loopback."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import ConnectionError as RedisConnectionError

from benchmarks.processes import BenchmarkFailed, running

_START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class RedisServer:
    """`admin` is a connection for the harness itself."""

    url: str
    pid: int
    version: str
    admin: Redis


@contextmanager
def redis_server(core: int, folder: Path) -> Iterator[RedisServer]:
    """A redis-server while the block runs. Raises BenchmarkFailed where there is none to run."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise BenchmarkFailed("redis-server is needed: install the package of that name")
    port = _free_port()
    options = [
        "--bind",
        "127.0.0.1",
        "--port",
        str(port),
        "--dir",
        str(folder),
        "--save",
        "",
        "--appendonly",
        "no",
    ]
    log = folder / "redis.log"
    argv = [binary, *options, "--logfile", str(log)]
    with (
        running(argv, core=core, log=folder / "redis.stderr") as process,
        Redis(port=port, decode_responses=True, socket_timeout=10) as admin,
    ):
        _await_answer(admin, log)
        version = str(admin.info("server")["redis_version"])
        yield RedisServer(f"redis://127.0.0.1:{port}/0", process.pid, version, admin)


def round_trips(admin: Redis) -> int:
    """How often this Redis has read from a client so far, this call included; a short pipeline is one."""
    return int(admin.info("stats")["total_reads_processed"])


async def async_round_trips(url: str) -> int:
    """The same, for an application; over one connection, which is kept."""
    if url not in _watchers:
        _watchers[url] = AsyncRedis.from_url(url, decode_responses=True)
        await _watchers[url].ping()
    return int((await _watchers[url].info("stats"))["total_reads_processed"])


_watchers: dict[str, AsyncRedis] = {}


def _await_answer(admin: Redis, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            admin.ping()
            return
        except RedisConnectionError as error:
            if time.monotonic() > deadline:
                words = log.read_text()[-2000:] if log.exists() else ""
                raise BenchmarkFailed(f"redis-server did not start: {words}") from error
            time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
