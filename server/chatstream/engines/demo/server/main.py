"""The demonstration engine as a process."""

import asyncio
import logging
import os
import signal
from collections.abc import Sequence

import uvloop

from chatstream.engines.demo.script import load_script
from chatstream.engines.demo.server.app import App
from chatstream.engines.demo.server.config import ServerConfig, load_config
from chatstream.engines.demo.server.connection import KEEP_ALIVE_SECONDS, Connection, Connections

_log = logging.getLogger("chatstream.demo_engine")


async def serve(config: ServerConfig, stop: asyncio.Event) -> None:
    """Serve until `stop`, then let the open streams come to their end within the grace period."""
    app = App(config, load_script(config.script))
    connections = Connections()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(app, connections, config.payload_limit, KEEP_ALIVE_SECONDS),
        config.hostname,
        config.port,
        backlog=1024,
    )
    host, port = server.sockets[0].getsockname()[:2]
    _log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
    await stop.wait()
    _log.info("signal received: no new connections, open streams go on to their end")
    server.close()
    connections.drain()
    try:
        await asyncio.wait_for(connections.empty.wait(), config.graceful_termination_timeout)
    except TimeoutError:
        _log.warning("%d connections are cut after the grace period", len(connections.all))
        connections.abort()


async def _run(config: ServerConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(config, stop)


def main(arguments: Sequence[str]) -> int:
    """`chatstream demo-engine`. Exit status: 0 after a signal, 1 if it cannot start, 2 for wrong options."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    config = load_config(arguments, os.environ)
    try:
        uvloop.run(_run(config))
    except (OSError, ValueError) as error:
        _log.error("cannot start: %s", error)
        return 1
    return 0
