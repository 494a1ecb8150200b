"""The managed Redis' configuration on a real redis-server: what it acknowledged is there after its end."""

from __future__ import annotations

import base64
import ctypes
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from chatstream_operator.manifests import build_redis_secret
from chatstream_operator.manifests.names import REDIS_PORT
from tests.operator.samples import demo

PASSWORD = "only-for-tests-0123456789"
START_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1


class Server:
    """redis-server with the Secret's own file; only its folder, port and address are the test's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = int(one.getsockname()[1])
        text = base64.b64decode(build_redis_secret(demo(), lambda: PASSWORD)["data"]["redis.conf"]).decode()
        self._conf = folder / "redis.conf"
        self._conf.write_text(
            text.replace("dir /data", f"dir {folder}")
            .replace(f"port {REDIS_PORT}", f"port {self.port}")
            .replace("bind * -::*", "bind 127.0.0.1")
        )
        self.client = Redis(port=self.port, password=PASSWORD, socket_timeout=5, decode_responses=True)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["/usr/bin/redis-server", str(self._conf)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, "redis-server ended"
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.02)

    def end(self, number: signal.Signals) -> int:
        """Gives its exit status. A second time is no error."""
        if self._process is None:
            return 0
        self._process.send_signal(number)
        status = self._process.wait(START_SECONDS)
        self._process = None
        return status

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    one = Server(tmp_path)
    one.start()
    yield one
    one.end(signal.SIGKILL)
    one.client.close()


def write(server: Server, first: int, count: int) -> None:
    for number in range(first, first + count):
        assert server.client.hset(f"session:{number}", "record", "x" * 500) == 1


def test_28_a_redis_that_ends_as_its_pod_does_has_every_acknowledged_write(server: Server) -> None:
    for attempt in range(3):
        write(server, attempt * 300, 300)
        assert server.end(signal.SIGTERM) == 0
        server.start()
        assert server.client.dbsize() == (attempt + 1) * 300


def test_28_a_redis_that_is_killed_has_what_it_acknowledged_a_moment_ago(server: Server) -> None:
    write(server, 0, 300)
    # What comes while the disk is flushed waits for the next tick, a tenth of a second later.
    deadline = time.monotonic() + START_SECONDS
    while server.client.info("persistence")["aof_buffer_length"]:
        assert time.monotonic() < deadline
    server.end(signal.SIGKILL)
    server.start()
    assert server.client.dbsize() == 300


def test_28_a_file_that_ends_within_a_write_is_loaded_up_to_there(server: Server) -> None:
    write(server, 0, 300)
    server.end(signal.SIGTERM)
    (log,) = server.folder.glob("appendonlydir/*.incr.aof")
    log.write_bytes(log.read_bytes()[:-100])
    server.start()
    assert server.client.dbsize() == 299
    write(server, 300, 1)


def test_there_are_no_snapshots_beside_the_log(server: Server) -> None:
    """They fork, which doubles the memory, and one that fails keeps Redis from ending in time."""
    assert server.client.config_get("save") == {"save": ""}
    write(server, 0, 10)
    server.end(signal.SIGTERM)
    assert not (server.folder / "dump.rdb").exists()


def test_a_full_redis_refuses_and_evicts_nothing(server: Server) -> None:
    assert server.client.config_get("maxmemory") == {"maxmemory": str(256 * 1024 * 1024)}
    write(server, 0, 100)
    server.client.config_set("maxmemory", "1mb")
    with pytest.raises(OutOfMemoryError):
        server.client.hset("session:more", "record", "x")
    assert server.client.dbsize() == 100


def test_nobody_reads_without_the_password(server: Server) -> None:
    with Redis(port=server.port) as stranger, pytest.raises(RedisError, match="uthenticated"):
        stranger.dbsize()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
