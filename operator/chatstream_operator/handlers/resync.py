"""The resync: every so often all ChatStreams are listed and reconciled, whether or not an event was heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from chatstream_operator.errors import KubeError, Unavailable
from chatstream_operator.handlers.pulse import Pulse
from chatstream_operator.kube import Kube
from chatstream_operator.kube.kinds import CHATSTREAM
from chatstream_operator.spec import Key

log = structlog.get_logger(__name__)


class Resync:
    """The list is the truth: keys that were there at the last one and no longer are get a last look too."""

    def __init__(self, kube: Kube, pulse: Pulse, changed: Callable[[Key], None], *, every: float) -> None:
        self._kube = kube
        self._pulse = pulse
        self._changed = changed
        self._every = every
        self._known: set[Key] = set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.once()
            except KubeError as error:
                if isinstance(error, Unavailable):
                    self._pulse.excuse(CHATSTREAM.plural)
                log.warning("resync_failed", error=str(error))
            await asyncio.sleep(self._every)

    async def once(self) -> None:
        listing = await self._kube.list(CHATSTREAM)
        keys = {Key(item["metadata"]["namespace"], item["metadata"]["name"]) for item in listing.items}
        for key in sorted(keys | self._known):
            self._changed(key)
        self._known = keys
        self._pulse.beat(CHATSTREAM.plural)
