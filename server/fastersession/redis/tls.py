"""TLS to Redis. The server's certificate and name are always checked."""

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio.connection import SSLConnection
from redis.asyncio.sentinel import SentinelManagedConnection

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files. `ca`: who signs the server's certificate (None: the system's authorities)."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    def __str__(self) -> str:
        return ", ".join(self._paths())

    def _paths(self) -> list[str]:
        return [path for path in (self.ca, self.certificate, self.key) if path]

    def stamps(self) -> list[int]:
        """Other ones than before where a file was replaced. Raises OSError."""
        return [Path(path).stat().st_mtime_ns for path in self._paths()]

    def context(self) -> ssl.SSLContext:
        """Raises OSError, ssl.SSLError among them."""
        context = ssl.create_default_context(cafile=self.ca)  # which checks certificate and name
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context


class Trust:
    """The context for new connections: made once, and anew when one of its files was replaced."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises ValueError where a file cannot be used."""
        self._files = files
        try:
            self._context, self._stamps = files.context(), files.stamps()
        except OSError as error:
            raise ValueError(f"the TLS files for Redis ({files}) cannot be used: {error}") from error

    def context(self) -> ssl.SSLContext:
        """With files that cannot be used (any more), the one before."""
        try:
            stamps = self._files.stamps()
            if stamps != self._stamps:
                self._context, self._stamps = self._files.context(), stamps
        except OSError as error:
            logger.warning(
                "the TLS files for Redis (%s) cannot be used, those before stay: %s", self._files, error
            )
        return self._context


class TlsConnection(SSLConnection):
    """A connection that asks `trust` what to check; redis-py's own reads the system's files every time."""

    def __init__(self, *, trust: Trust, **kwargs: Any) -> None:  # noqa: ANN401 (redis-py's own)
        super().__init__(**kwargs)
        self._trust = trust

    async def disconnect(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (redis-py's own)
        """See AbstractConnection. A server that does not answer TLS' goodbye keeps no socket open."""
        writer = self._writer
        try:
            await super().disconnect(*args, **kwargs)
        finally:
            if writer is not None:
                writer.transport.abort()

    def _connection_arguments(self) -> dict[str, Any]:
        return {"host": self.host, "port": self.port, "ssl": self._trust.context()}


class TlsSentinelManagedConnection(SentinelManagedConnection, TlsConnection):
    """The same, to whichever server the sentinels name."""


def trust_in(ca_file: str | Path | None, options: dict[str, str]) -> Trust:
    """What an URL's options and `ca_file` say. Raises ValueError."""
    ca = None if ca_file is None else str(ca_file)
    if ca is not None and "ssl_ca_certs" in options:
        raise ValueError("ca_file and the Redis URL's ssl_ca_certs say the same: give one")
    files = TlsFiles(
        ca or options.get("ssl_ca_certs"), options.get("ssl_certfile"), options.get("ssl_keyfile")
    )
    return Trust(files)
