"""The server process: two ports, one loop, and an orderly end."""

import asyncio
import signal
import socket
from contextlib import ExitStack

import uvloop

from chatstream.app.factory import Service
from chatstream.app.web import Server, build_server, listen
from chatstream.logs import get_logger
from chatstream.settings import Settings

log = get_logger(__name__)


def run(settings: Settings, service: Service) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Raises ConfigurationError where a port cannot be had."""
    with ExitStack() as sockets:
        public = sockets.enter_context(listen(settings.host, settings.port))
        inner = (
            sockets.enter_context(listen(settings.host, settings.metrics_port))
            if settings.metrics_port
            else None
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings, service, public, inner))


async def serve(
    settings: Settings, service: Service, public: socket.socket, inner: socket.socket | None
) -> None:
    main = build_server(service.public, lifespan=True, trusted_proxies=settings.trusted_proxies)
    running = [(main, asyncio.create_task(main.serve([public])))]
    if inner is not None:
        side = build_server(service.inner, lifespan=False)
        running.append((side, asyncio.create_task(side.serve([inner]))))
    signals = Signals()
    log.info("listening", url=_url(public), metrics_url=_url(inner) if inner else None)
    await _first(asyncio.create_task(signals.first.wait()), *(task for _, task in running))
    log.info("draining", limit_seconds=settings.drain.timeout)
    await _drain(service, settings.drain.timeout, signals)
    await _stop(running)
    log.info("stopped")


class Signals:
    """The first SIGTERM or SIGINT asks to drain, the second to end at once."""

    def __init__(self) -> None:
        self.first, self.second = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._came)

    def _came(self) -> None:
        (self.second if self.first.is_set() else self.first).set()


async def _drain(service: Service, limit: float, signals: Signals) -> None:
    """The listener stays open: who comes is told to go elsewhere, and probes see why."""
    drain = asyncio.create_task(service.chat_stream.drain(limit))
    await _first(drain, asyncio.create_task(signals.second.wait()))
    await service.chat_stream.drain(0)
    await drain


async def _first(*tasks: "asyncio.Task[object]") -> None:
    """Wait for the first of `tasks`; those that only wait for a signal may be left behind."""
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


async def _stop(running: "list[tuple[Server, asyncio.Task[None]]]") -> None:
    """One after the other: the metrics are there until the last turn is counted."""
    for server, task in running:
        server.should_exit = True
        await task


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
