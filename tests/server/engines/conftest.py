"""An engine that is nothing but bytes: for what no real engine says on demand."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

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
