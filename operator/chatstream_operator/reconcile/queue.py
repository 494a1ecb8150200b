"""A queue of keys: each at most once in it, and with one worker at a time; failures back off.

KeyQueue is pure: the caller brings the time. Workers drive it in handlers.workers.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_DELAY = 0.5
LONGEST_DELAY = 60.0
SHORTEST_PAUSE = 0.25
"""After a failure, a key waits so long whatever happens: its own report of the failure is news of it too."""


class KeyQueue(Generic[K]):
    """Times are seconds of any monotonic clock. jitter: gives a number in [0, 1)."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()
        self._running: set[K] = set()
        self._failures: dict[K, int] = {}
        self._not_before: dict[K, float] = {}

    def __len__(self) -> int:
        """Keys that wait; running ones count where they are to run again."""
        return len(self._due)

    def add(self, key: K, at: float) -> None:
        """Asks for a run at that time or after. A second request keeps the earlier time."""
        at = max(at, self._not_before.get(key, at))
        known = self._due.get(key)
        if known is not None and known <= at:
            return
        self._due[key] = at
        self._push(key, at)

    def pop(self, now: float) -> K | None:
        """The key that is due longest and does not run; the caller owes a done() for it."""
        self._drop_stale()
        if not self._heap or self._heap[0][0] > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._due[key]
        self._running.add(key)
        return key

    def next_due(self) -> float | None:
        """When pop() will give something, if nothing is added or done before."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def done(self, key: K, now: float, *, failed: bool, retry_after: float | None = None) -> None:
        """Ends a run. A failed one comes again after its back-off, or sooner where it was asked for; but not
        before the pause that the server asked for."""
        self._running.discard(key)
        asked = self._due.pop(key, None)
        if failed:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            pause = min(retry_after or 0.0, LONGEST_DELAY)
            self._not_before[key] = now + max(SHORTEST_PAUSE, pause)
            self.add(key, now + self.delay(failures))
        else:
            self._failures.pop(key, None)
            self._not_before.pop(key, None)
        if asked is not None:
            self.add(key, asked)

    def delay(self, failures: int) -> float:
        """Seconds after that many failures in a row: doubling, between half and the whole of it."""
        whole = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures - 1, 16))
        return whole * (0.5 + 0.5 * self._jitter())

    def _push(self, key: K, at: float) -> None:
        if key not in self._running:
            heapq.heappush(self._heap, (at, next(self._order), key))

    def _drop_stale(self) -> None:
        while self._heap and (self._heap[0][2] in self._running or not self._is_current(self._heap[0])):
            heapq.heappop(self._heap)

    def _is_current(self, entry: tuple[float, int, K]) -> bool:
        return self._due.get(entry[2]) == entry[0]
