"""Another site on this machine: one page, at an origin of its own."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

PAGE = (Path(__file__).parent / "foreign_page.html").read_bytes()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"


@contextlib.asynccontextmanager
async def foreign_site(trust: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Its port on 127.0.0.1, by TLS with `trust`, until the block is left."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD + PAGE)
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=trust)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
