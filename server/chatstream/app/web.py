"""uvicorn as we need it: with our protocol, and without signal handlers of its own."""

import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from chatstream.app.protocol import Protocol
from chatstream.settings import ConfigurationError

KEEP_ALIVE = 75
"""Seconds that an idle connection stays: longer than proxies keep theirs, so that the proxy ends it."""
LAST_RESORT = 3
"""Seconds after the drain until connections that are still open are cut. With `chat_stream.LAST_WORDS` it
stays below the 15 s that the operator gives a pod beyond its drain."""
BACKLOG = 2048


class Server(uvicorn.Server):
    """Runs beside others in one loop; who starts it handles the signals."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def build_server(
    app: ASGIApp, *, lifespan: bool, trusted_proxies: Sequence[str] = (), keep_alive: int = KEEP_ALIVE
) -> Server:
    return Server(
        uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            lifespan="on" if lifespan else "off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=list(trusted_proxies),
            timeout_keep_alive=keep_alive,
            timeout_graceful_shutdown=LAST_RESORT,
            backlog=BACKLOG,
        )
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ConfigurationError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=host == "::")
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host} port {port}: {error}") from None
