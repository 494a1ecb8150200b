"""Workers: they take keys from the queue and reconcile them, a bounded number at a time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import structlog

from chatstream_operator.errors import OperatorError, Unavailable
from chatstream_operator.reconcile import KeyQueue, Metrics, reason_of

log = structlog.get_logger(__name__)
K = TypeVar("K", bound=Hashable)
RUN_SECONDS = 300.0
"""No reconciliation may take longer: every request in it has a limit, and this one is for all together."""


class Workers(Generic[K]):
    """add() may be called from the loop's own thread only."""

    def __init__(
        self, reconcile: Callable[[K], Awaitable[float | None]], metrics: Metrics, *, number: int
    ) -> None:
        self._reconcile = reconcile
        self._metrics = metrics
        self._number = number
        self._queue: KeyQueue[K] = KeyQueue(random.random)
        self._changed = asyncio.Event()

    def add(self, key: K, delay: float = 0.0) -> None:
        """delay: seconds from now."""
        self._queue.add(key, self._now() + delay)
        self._changed.set()

    def start(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """The workers' tasks. Cancel them to stop: a reconciliation that runs then is cancelled too."""
        return [group.create_task(self._work(), name=f"worker-{number}") for number in range(self._number)]

    async def _work(self) -> None:
        while True:
            key = self._queue.pop(self._now())
            if key is None:
                await self._sleep()
            else:
                await self._run(key)

    async def _sleep(self) -> None:
        """Until something is due, or was added or done."""
        self._changed.clear()
        due = self._queue.next_due()
        delay = None if due is None else max(0.0, due - self._now())
        try:
            async with asyncio.timeout(delay):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _run(self, key: K) -> None:
        error = await self._attempt(key)
        retry_after = error.retry_after if isinstance(error, Unavailable) else None
        self._queue.done(key, self._now(), failed=error is not None, retry_after=retry_after)
        self._changed.set()

    async def _attempt(self, key: K) -> Exception | None:
        try:
            with self._metrics.reconcile_seconds.time():
                async with asyncio.timeout(RUN_SECONDS):
                    again = await self._reconcile(key)
        except Exception as error:
            # Whatever it is, the key is tried again, and the others go on.
            self._metrics.reconcile_errors.labels(reason_of(error)).inc()
            trace = None if isinstance(error, OperatorError) else error
            log.warning(
                "reconcile_failed", key=str(key), reason=reason_of(error), error=str(error), exc_info=trace
            )
            return error
        if again is not None:
            self.add(key, again)
        return None

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
