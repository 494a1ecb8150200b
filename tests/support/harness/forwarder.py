"""A TLS forwarder as small as one can be: ends TLS, says X-Forwarded-Proto: https, passes bytes both ways.

One request a connection (it asks the server to close), so it never needs to understand a body. Whichever side
goes, the other is closed at once.
"""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

HEAD_LIMIT = 65536  # bytes
ADDED = b"X-Forwarded-Proto: https\r\nConnection: close\r\n"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate for localhost that signs itself, and its key."""

    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> "Certificate":
        made = cls(folder / "localhost.crt", folder / "localhost.key")
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        key = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            str(made.key),
        ]
        command = ["openssl", "req", "-x509", "-days", "2", *key, *subject, "-out", str(made.certificate)]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
        return made

    def server(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))


def with_forwarded_proto(head: bytes) -> bytes:
    """The request's head, ours put after the request line and the client's own Connection header left out."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith((b"connection:", b"x-forwarded-proto:"))]
    return first + b"\r\n" + ADDED + b"\r\n".join(kept) + b"\r\n\r\n"


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    up_reader, up_writer = await asyncio.open_connection(host, port)
    try:
        up_writer.write(with_forwarded_proto(head))
        ways = [_pass_on(reader, up_writer), _pass_on(up_reader, writer)]
        tasks = [asyncio.create_task(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        up_writer.close()


@contextlib.asynccontextmanager
async def tls_forwarder(host: str, port: int, certificate: Certificate) -> AsyncIterator[str]:
    """Serve http://host:port at the https://localhost address that it gives, until the block is left."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await _forward(reader, writer, host, port)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=certificate.server(), limit=HEAD_LIMIT)
    try:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
