"""The operator as one process: everything is wired here."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from contextlib import AsyncExitStack

import structlog
from prometheus_client import CollectorRegistry

from chatstream_operator.errors import KubeError
from chatstream_operator.handlers.pulse import Pulse
from chatstream_operator.handlers.resync import Resync
from chatstream_operator.handlers.watches import ChildWatch
from chatstream_operator.handlers.watching import build_registry, watch_chatstreams
from chatstream_operator.handlers.web import build_health_app, build_metrics_app, serve
from chatstream_operator.handlers.workers import Workers
from chatstream_operator.kube import ChildCache, Kube, Owner
from chatstream_operator.kube.kinds import CHATSTREAM, WATCHED
from chatstream_operator.reconcile import Metrics, Prober, Reconciler, Tools
from chatstream_operator.settings import OperatorSettings
from chatstream_operator.spec import Key

log = structlog.get_logger(__name__)
SILENCE_MARGIN = 120.0
"""Seconds over the watch's time-out after which a silent watch counts as dead."""


class Operator:
    """One operator in one process. run() ends at SIGTERM or SIGINT."""

    def __init__(self, settings: OperatorSettings, kube: Kube, prober: Prober) -> None:
        self._settings = settings
        self._kube = kube
        self._registry = CollectorRegistry()
        self._stop = asyncio.Event()
        self._ready = asyncio.Event()
        self._children = [kind.plural for kind in WATCHED]
        silence = max(settings.watch_timeout, settings.resync_seconds) + SILENCE_MARGIN
        sources = [CHATSTREAM.plural, *self._children]
        self._pulse = Pulse(sources, limit=silence, clock=time.monotonic)
        self._cache = ChildCache()
        metrics = Metrics(self._registry)
        instance = os.environ.get("HOSTNAME") or f"pid-{os.getpid()}"
        tools = Tools(kube, self._cache, prober, settings, metrics, instance)
        self._workers = Workers(Reconciler(tools).reconcile, metrics, number=settings.workers)

    async def run(self) -> None:
        """Raises what ends it before its time."""
        self._listen()
        async with AsyncExitStack() as stack:
            health = build_health_app(self._pulse, self._is_ready)
            port = await stack.enter_async_context(serve(health, self._settings.health_port))
            metrics = build_metrics_app(self._registry)
            await stack.enter_async_context(serve(metrics, self._settings.metrics_port))
            log.info("operator_started", health_port=port)
            if await self._wait_for_api():
                await self._operate()
        log.info("operator_stopped")

    async def _operate(self) -> None:
        """If a task of ours fails, kopf is cancelled and it is raised; if kopf ends, ours are cancelled."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(watch.run(), name="watch") for watch in self._build_watches()]
            tasks.append(group.create_task(self._pulse.measure_lag(), name="lag"))
            try:
                if await self._wait_for_watches():
                    tasks += self._workers.start(group)
                    tasks.append(group.create_task(self._build_resync().run(), name="resync"))
                    await watch_chatstreams(
                        build_registry(self._workers.add), self._settings, ready=self._ready
                    )
            finally:
                for task in tasks:
                    task.cancel()

    def _build_watches(self) -> list[ChildWatch]:
        return [
            ChildWatch(kind, self._kube, self._cache, self._pulse, self._child_changed) for kind in WATCHED
        ]

    def _build_resync(self) -> Resync:
        return Resync(self._kube, self._pulse, self._workers.add, every=self._settings.resync_seconds)

    async def _wait_for_api(self) -> bool:
        """Until ChatStreams can be listed: the CRD may come after us. False: told to stop meanwhile."""
        while not self._stop.is_set():
            try:
                await self._kube.list(CHATSTREAM)
            except KubeError as error:
                log.warning("waiting_for_api", error=str(error))
                self._pulse.excuse(CHATSTREAM.plural, *self._children)
                await asyncio.sleep(1.0 + random.random())  # noqa: S311 -- jitter
            else:
                return True
        return False

    async def _wait_for_watches(self) -> bool:
        """With an empty cache all children would seem to be missing. False: told to stop meanwhile."""
        while not self._pulse.has_beaten(self._children):
            if self._stop.is_set():
                return False
            # The resync, which speaks for the ChatStreams, has not begun.
            self._pulse.excuse(CHATSTREAM.plural)
            await asyncio.sleep(0.05)
        return True

    def _listen(self) -> None:
        """For the time until kopf starts, which then listens itself."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    def _is_ready(self) -> bool:
        return self._ready.is_set() and self._pulse.is_ready()

    def _child_changed(self, owner: Owner) -> None:
        self._workers.add(Key(*owner))
