"""Signs of life: when each watch last heard something, and how late the event loop runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

LAG_LIMIT = 10.0
"""Seconds that the loop may be late before the operator counts as stuck."""


class Pulse:
    """sources: what has to beat before the operator is ready. limit: seconds of silence that are too many."""

    def __init__(self, sources: Iterable[str], *, limit: float, clock: Callable[[], float]) -> None:
        self._sources = tuple(sources)
        self._limit = limit
        self._clock = clock
        self._heard: set[str] = set()
        self._beats: dict[str, float] = {}
        self._start = clock()
        self.lag = 0.0

    def beat(self, source: str) -> None:
        self._heard.add(source)
        self._beats[source] = self._clock()

    def excuse(self, *sources: str) -> None:
        """Their silence is the API server's: it was asked, and is away. To start us anew would not help."""
        for source in sources:
            self._beats[source] = self._clock()

    def has_beaten(self, sources: Iterable[str]) -> bool:
        """Each of them has been heard once."""
        return self._heard.issuperset(sources)

    def is_ready(self) -> bool:
        """All of them have been heard once."""
        return self.has_beaten(self._sources)

    def problems(self) -> list[str]:
        """Why the operator is not alive. Empty: it is."""
        now = self._clock()
        silent = {source: now - self._beats.get(source, self._start) for source in self._sources}
        found = [f"{source} silent for {age:.0f} s" for source, age in silent.items() if age > self._limit]
        if self.lag > LAG_LIMIT:
            found.append(f"event loop late by {self.lag:.1f} s")
        return found

    async def measure_lag(self, every: float = 1.0) -> None:
        """Until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(every)
            self.lag = max(0.0, loop.time() - before - every)
