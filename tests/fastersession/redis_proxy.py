"""A proxy before a Redis: it tells the commands that pass, and loses answers where it is told to."""

import asyncio
import contextlib
import random
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count

from tests.fastersession.redis_server import RedisServer

SCRIPTS = ("EVALSHA", "EVAL")


class RedisProxy:
    """`url` is where it listens. `commands` holds the names of all that passed, `lost` counts answers."""

    def __init__(self, server: RedisServer) -> None:
        self.url = ""
        self.password = server.password
        self.commands: list[str] = []
        self._upstream = server.port
        self.lost = 0
        self._is_lost: Callable[[], bool] = lambda: False
        self._meanwhile: Callable[[], Awaitable[object]] = _nothing

    def lose_answers(self, *numbers: int, meanwhile: Callable[[], Awaitable[object]] | None = None) -> None:
        """Of the scripts from here on the ones of these numbers (from 0) are carried out, but not answered.

        Their connections break instead; `meanwhile` runs before the client hears of it.
        """
        coming = count()
        self._is_lost, self._meanwhile = lambda: next(coming) in numbers, meanwhile or _nothing

    def lose_some(self, rng: random.Random, share: float) -> None:
        """From here on the answers of this share of all scripts are lost, a little later than they came."""

        async def later() -> None:
            await asyncio.sleep(rng.uniform(0, 0.02))

        self._is_lost, self._meanwhile = lambda: rng.random() < share, later

    @property
    def scripts(self) -> int:
        """How many scripts have passed."""
        return sum(command in SCRIPTS for command in self.commands)

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """One connection."""
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    name, request = await _read_request(reader)
                    self.commands.append(name)
                    up_writer.write(request)
                    answer = await _read_answer(up_reader)
                    if name in SCRIPTS and not answer.startswith(b"-NOSCRIPT") and self._is_lost():
                        self.lost += 1
                        await self._meanwhile()
                        return
                    writer.write(answer)
        finally:
            up_writer.close()
            writer.close()


@asynccontextmanager
async def proxy_before(server: RedisServer) -> AsyncIterator[RedisProxy]:
    """A proxy on a free port."""
    proxy = RedisProxy(server)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0"
    try:
        yield proxy
    finally:
        listener.close()


async def _nothing() -> None:
    """Nobody does anything meanwhile."""


async def _read_request(reader: StreamReader) -> tuple[str, bytes]:
    """A command's name, and all of it: an array of bulk strings."""
    request = await reader.readuntil(b"\r\n")
    name = ""
    for at in range(int(request[1:])):
        bulk = await _read_answer(reader)
        name = name if at else bulk.split(b"\r\n")[1].decode().upper()
        request += bulk
    return name, request


async def _read_answer(reader: StreamReader) -> bytes:
    """One value of RESP2."""
    line = await reader.readuntil(b"\r\n")
    kind, size = line[:1], line[1:-2]
    if kind == b"$" and size != b"-1":
        return line + await reader.readexactly(int(size) + 2)
    if kind == b"*":
        return line + b"".join([await _read_answer(reader) for _ in range(int(size))])
    return line
