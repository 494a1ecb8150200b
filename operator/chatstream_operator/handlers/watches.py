"""Our own watches of the children, filtered by the server: they fill the cache and say whom to reconcile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import structlog

from chatstream_operator.errors import Gone, KubeError, Unavailable
from chatstream_operator.handlers.pulse import Pulse
from chatstream_operator.kube import ChildCache, Kind, Kube, Owner
from chatstream_operator.kube.protocol import WatchEvent
from chatstream_operator.manifests.names import MANAGED_BY, MANAGER

log = structlog.get_logger(__name__)
SELECTOR = f"{MANAGED_BY}={MANAGER}"
FIRST_DELAY = 0.5
LONGEST_DELAY = 15.0
LONGEST_PAUSE = 60.0
"""Seconds of a Retry-After that are believed."""
SHORTEST_WATCH = 0.5
"""Seconds; the API server ends none before, unless something is wrong."""


class ChildWatch:
    """One kind's watch. changed: told the owner of each object that came, changed or went."""

    def __init__(
        self, kind: Kind, kube: Kube, cache: ChildCache, pulse: Pulse, changed: Callable[[Owner], None]
    ) -> None:
        self._kind = kind
        self._kube = kube
        self._cache = cache
        self._pulse = pulse
        self._changed = changed
        self._version: str | None = None

    async def run(self) -> None:
        """Until it is cancelled. After a failure it backs off and lists anew, so nothing is missed.

        A watch that is too old, or that ended at once, is begun again without a pause, but once only.
        """
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            error = await self._attempt()
            if error is None and loop.time() - began >= SHORTEST_WATCH:
                failures = 0
                continue
            failures += 1
            if failures > 1 or not (error is None or isinstance(error, Gone)):
                log.warning("watch_failed", kind=self._kind.kind, failures=failures, error=str(error))
                await asyncio.sleep(_delay(failures, error))

    async def _attempt(self) -> KubeError | None:
        """Why it failed; None where the server ended it as agreed."""
        try:
            await self._follow()
        except KubeError as error:
            self._version = None
            if isinstance(error, Unavailable):
                self._pulse.excuse(self._kind.plural)
            return error
        return None

    async def _follow(self) -> None:
        """One list, if one is needed, and one watch, to its end."""
        if self._version is None:
            listing = await self._kube.list(self._kind, selector=SELECTOR)
            for owner in self._cache.replace(self._kind, listing.items):
                self._changed(owner)
            self._version = listing.resource_version
        self._pulse.beat(self._kind.plural)
        watch = self._kube.watch(self._kind, resource_version=self._version, selector=SELECTOR)
        async for event in watch:
            self._take(event)
            self._pulse.beat(self._kind.plural)
        self._pulse.beat(self._kind.plural)

    def _take(self, event: WatchEvent) -> None:
        self._version = event.object["metadata"]["resourceVersion"]
        if event.type == "BOOKMARK":
            return
        put = self._cache.remove if event.type == "DELETED" else self._cache.update
        for owner in put(self._kind, event.object):
            self._changed(owner)


def _delay(failures: int, error: KubeError | None) -> float:
    whole = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures - 1, 10))
    asked = error.retry_after if isinstance(error, Unavailable) else None
    return max(whole * (0.5 + 0.5 * random.random()), min(asked or 0.0, LONGEST_PAUSE))  # noqa: S311 -- jitter
