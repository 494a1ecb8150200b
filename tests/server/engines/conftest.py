"""Two engines to test against: one that is nothing but bytes, and the demonstration engine as a process."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

CAPTURES = Path(__file__).parent / "captures"

Step = bytes | float | Literal["cut", "close", "hold"]
"""Bytes are sent; a number is a pause in seconds; then the connection is reset, closed, or held."""


@dataclass(slots=True)
class RawEngine:
    """Answers every request with the same steps."""

    steps: tuple[Step, ...]
    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client has left."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.gone.set()
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection stays."""
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
        self.requests.append(head + body)
        for step in self.steps:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            elif isinstance(step, float):
                await asyncio.sleep(step)
            elif step == "hold":
                await reader.read(1)
                return False
            else:
                if step == "cut":
                    writer.transport.abort()
                return False
        return True


RawEngineFactory = Callable[..., Awaitable[RawEngine]]


@pytest.fixture
async def raw_engine() -> AsyncIterator[RawEngineFactory]:
    servers: list[asyncio.Server] = []

    async def start(*steps: Step) -> RawEngine:
        engine = RawEngine(steps)
        server = await asyncio.start_server(engine.serve, "127.0.0.1", 0)
        servers.append(server)
        engine.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return engine

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def capture() -> Callable[[str], bytes]:
    """The bytes of one captured file, by its name."""
    return lambda name: (CAPTURES / name).read_bytes()


@pytest.fixture
def capture_names() -> list[str]:
    """The captured answers of the routes that the demonstration engine has."""
    return sorted(path.stem for path in CAPTURES.glob("*.http"))


async def read_answer(reader: asyncio.StreamReader) -> bytes:
    """All the bytes of one answer, its interim answers and the framing of its chunks included."""
    answer = head = await reader.readuntil(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100 "):
        head = await reader.readuntil(b"\r\n\r\n")
        answer += head
    length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head)
    if length:
        return answer + await reader.readexactly(int(length.group(1)))
    size = -1
    while size:
        line = await reader.readuntil(b"\r\n")
        size = int(line, 16)
        answer += line + await reader.readexactly(size + 2)
    return answer


@dataclass(frozen=True, slots=True)
class DemoServer:
    """A demonstration engine in a process of its own."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connect(self, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        return reader, writer

    async def exchange(self, request: bytes) -> bytes:
        """Send raw bytes and read one whole answer."""
        reader, writer = await self.connect(request)
        try:
            return await asyncio.wait_for(read_answer(reader), 20)
        finally:
            writer.close()

    async def get(self, path: str) -> bytes:
        """The body of a GET."""
        answer = await self.exchange(f"GET {path} HTTP/1.1\r\nhost: demo\r\n\r\n".encode())
        return answer.partition(b"\r\n\r\n")[2]

    async def reset(self) -> None:
        await self.exchange(b"POST /_demo/reset HTTP/1.1\r\nhost: demo\r\n\r\n")

    async def stats(self) -> dict[str, Any]:
        return dict(json.loads(await self.get("/_demo/stats")))

    async def until(self, **expected: object) -> dict[str, Any]:
        """Wait until the statistics hold these values."""
        deadline = time.monotonic() + 10
        while True:
            stats = await self.stats()
            if expected.items() <= stats.items():
                return stats
            assert time.monotonic() < deadline, (expected, stats)
            await asyncio.sleep(0.01)

    async def exit_status(self) -> int:
        return await asyncio.wait_for(asyncio.to_thread(self.process.wait, 20), 25)


DemoServerFactory = Callable[..., DemoServer]


@pytest.fixture(scope="module")
def demo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServerFactory]:
    """Start a demonstration engine on a free port, with this script and these variables."""
    servers: list[DemoServer] = []

    def start(script: dict[str, Any] | None = None, **variables: str) -> DemoServer:
        path = tmp_path_factory.mktemp("demo") / "script.json"
        path.write_text(json.dumps({"delay_ms": 1, "prefill_ms": 1} | (script or {})))
        process = subprocess.Popen(
            [sys.executable, "-m", "chatstream.engines.demo"],
            env={"HOSTNAME": "127.0.0.1", "PORT": "0", "CHATSTREAM_DEMO_SCRIPT": str(path), **variables},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        servers.append(DemoServer(process, _port_of(process)))
        return servers[-1]

    yield start
    for server in servers:
        server.process.kill()
        server.process.communicate()


def _port_of(process: subprocess.Popen[bytes]) -> int:
    assert process.stderr is not None
    said = b""
    while line := process.stderr.readline():
        said += line
        if match := re.search(rb"listening on http://\S+:(\d+)", line):
            return int(match.group(1))
    raise AssertionError(said.decode())
