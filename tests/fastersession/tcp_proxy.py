"""A TCP proxy in front of a server: it delays what passes, cuts connections, and counts them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class TcpProxy:
    """Use `running`. `delay`: seconds that every chunk waits, in each direction half of them.

    `target`: the port on this machine that new connections lead to.
    """

    def __init__(self, port: int) -> None:
        self.target = port
        self._pairs: set[asyncio.Task[None]] = set()
        self.port = 0
        self.delay = 0.0
        self.connections = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["TcpProxy"]:
        """Listens on a free port within the context."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await self.cut()

    @property
    def url(self) -> str:
        """As a Redis URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def cut(self) -> None:
        """Close every connection that is open now."""
        pairs = list(self._pairs)
        for pair in pairs:
            pair.cancel()
        await asyncio.gather(*pairs, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        pair = asyncio.current_task()
        assert pair is not None
        self._pairs.add(pair)
        try:
            await self._relay(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # cut, or closed by one side: either way this connection is over
        finally:
            self._pairs.discard(pair)
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, inner_writer))
                both.create_task(self._pump(inner_reader, writer))
        except* OSError:
            pass
        finally:
            inner_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            await asyncio.sleep(self.delay / 2)
            writer.write(chunk)
            await writer.drain()
        raise ConnectionResetError  # ends the other direction too
