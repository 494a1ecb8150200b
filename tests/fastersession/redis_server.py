"""A real redis-server for tests: on a free loopback port, with a password, without persistence."""

import ctypes
import signal
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

PASSWORD = "only-for-tests-0123456789"
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class TlsPaths:
    """The PEM files of a server that speaks TLS only."""

    authority: Path
    certificate: Path
    key: Path


class RedisServer:
    """One redis-server process on one port for all its lives: it can be killed, paused and started again.

    `settings` are further lines of redis.conf. A `sentinel` is the same program in another role.
    """

    def __init__(
        self, folder: Path, *settings: str, tls: TlsPaths | None = None, sentinel: bool = False
    ) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"{'redis' if tls is None else 'rediss'}://{self.address}/0"
        self.password = PASSWORD
        self._tls = tls is not None
        self._command = [str(folder / f"{self.port}.conf"), *(["--sentinel"] if sentinel else [])]
        lines = [f"bind 127.0.0.1\nrequirepass {PASSWORD}\ndir {folder}", *_listening(self.port, tls)]
        if not sentinel:
            lines += [f'dbfilename {self.port}.rdb\nsave ""\nappendonly no']
        Path(self._command[0]).write_text("\n".join([*lines, *settings, ""]))
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, setting: str) -> None:
        """One more line of redis.conf, from the next start on."""
        with Path(self._command[0]).open("a") as config:
            config.write(f"{setting}\n")

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(
            ["/usr/bin/redis-server", *self._command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,  # a killed test run leaves no server behind
        )
        deadline = time.monotonic() + 10
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("redis-server did not start")
            time.sleep(0.01)

    async def ask(self, *command: str | int) -> Any:  # noqa: ANN401 (of any shape)
        """A command's answer, on a connection of its own."""
        tls: dict[str, Any] = {"ssl": True, "ssl_cert_reqs": "none"} if self._tls else {}
        async with Redis(host="127.0.0.1", port=self.port, password=PASSWORD, protocol=2, **tls) as client:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]

    def kill(self) -> None:
        """End it at once, as a crash does; paused ones too."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop it in its tracks: connections stay open, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def revive(self) -> None:
        """Have it run, whatever was done to it."""
        if self._process is None:
            self.start()
        else:
            self.resume()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), timeout=1) as plain,
                _unverified().wrap_socket(plain) if self._tls else plain as connection,
            ):
                connection.sendall(f"AUTH {PASSWORD}\r\nPING\r\n".encode())
                return b"+OK" in connection.recv(64)
        except OSError:
            return False


def free_port() -> int:
    """A port that nobody listens on, as far as one can know."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listening(port: int, tls: TlsPaths | None) -> list[str]:
    if tls is None:
        return [f"port {port}"]
    return [
        f"port 0\ntls-port {port}\ntls-auth-clients no\ntls-replication yes",
        f"tls-cert-file {tls.certificate}\ntls-key-file {tls.key}\ntls-ca-cert-file {tls.authority}",
    ]


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is only asked whether it has started
    return context


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
