"""The managed Redis, as a real redis-server with the configuration that the operator gives it."""

from __future__ import annotations

import base64
import ctypes
import signal
import socket
import subprocess
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from chatstream_operator.manifests import build_redis_secret
from chatstream_operator.manifests.names import REDIS_PORT
from tests.operator.samples import demo

PASSWORD = "only-for-tests-0123456789"
START_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1


class ManagedRedis:
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


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
