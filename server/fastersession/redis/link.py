"""The way to Redis: limits on every wait, retries that end, errors that name the cause, a circuit breaker."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from redis.asyncio import Redis

from fastersession.bounded import within
from fastersession.circuit import Circuit, Ticket
from fastersession.errors import (
    SessionError,
    StoreBusy,
    StoreReadOnly,
    StoreTimeout,
    StoreUnavailable,
    StoreUnreachable,
)
from fastersession.redis.client import RedisClient
from fastersession.redis.errors import REDIS_ERRORS, named
from fastersession.redis.script import RedisScript

logger = logging.getLogger(__name__)

T = TypeVar("T")
Attempt = Callable[[bool], Awaitable[T]]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.25
_NO_ANSWER = (StoreUnreachable, StoreTimeout, StoreBusy)
"""What counts for the circuit: Redis is not there, or not for us. All else is an answer."""

_WORTH_A_RETRY = (*_NO_ANSWER, StoreReadOnly)


@dataclass(slots=True)
class _Progress:
    """How far a call has come, for the error if its time is over."""

    waits_for_place: bool = True
    failure: SessionError | None = None


class RedisLink:
    """Runs calls on Redis. Each ends within `io_timeout` seconds, with its result or StoreUnavailable.

    At most `max_connections` calls are under way at once, the others wait. `where` names Redis in messages.
    """

    def __init__(
        self,
        client: RedisClient,
        *,
        where: str,
        io_timeout: float,
        retries: int,
        max_connections: int,
        circuit: Circuit | None = None,
    ) -> None:
        self._client = client
        self._where = where
        self.io_timeout = io_timeout
        self._retries = retries
        self._places = asyncio.Semaphore(max_connections)
        self._circuit = circuit or Circuit()
        self._last = StoreUnavailable(where)
        self._closed = False
        self._running: set[asyncio.Task[object]] = set()

    @property
    def client(self) -> Redis:
        """For commands inside an attempt of `call`."""
        return self._client.redis

    @property
    def circuit_open(self) -> bool:
        """Whether calls fail at once, since Redis did not answer."""
        return self._circuit.is_open

    def script(self, source: str) -> RedisScript:
        """A script that runs on this Redis: await it with keys and arguments inside an attempt of `call`."""
        return RedisScript(self.client, source)

    async def call(self, attempt: Attempt[T]) -> T:
        """The result of `attempt(again)`; `again` says that a former attempt may have been carried out.

        Raises StoreUnavailable, InvalidSessionData where Redis holds something else under a session's key,
        and whatever `attempt` raises by itself.
        """
        if self._closed:
            raise self._is_closed()
        ticket = self._circuit.admit()
        if ticket is None:
            raise self._not_tried()
        try:
            result = await self._within_limit(attempt)
        except _NO_ANSWER as error:
            self._failed(ticket, error)
            raise
        except SessionError:
            self._succeeded()
            raise
        except BaseException as error:
            self._circuit.abandoned(ticket)
            if isinstance(error, asyncio.CancelledError) and self._closed and not _is_being_cancelled():
                raise self._is_closed() from None
            raise
        self._succeeded()
        return result

    async def aclose(self) -> None:
        """End every call that is under way, and close every connection; later calls are refused.

        Closing alone would miss the connections that are being opened: their calls go on with them.
        """
        self._closed = True
        for call in self._running:
            call.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=self.io_timeout)
        await self._client.aclose()

    # --- one call ------------------------------------------------------------------------------------

    async def _within_limit(self, attempt: Attempt[T]) -> T:
        progress = _Progress()
        try:
            return await within(self._in_a_place(attempt, progress), self.io_timeout)
        except TimeoutError as error:
            raise self._too_late(progress) from error

    async def _in_a_place(self, attempt: Attempt[T], progress: _Progress) -> T:
        if self._closed:
            raise self._is_closed()
        running = asyncio.current_task()
        assert running is not None
        self._running.add(running)
        try:
            async with self._places:
                progress.waits_for_place = False
                return await self._with_retries(attempt, progress)
        finally:
            self._running.discard(running)

    async def _with_retries(self, attempt: Attempt[T], progress: _Progress) -> T:
        failures = 0
        while True:
            try:
                return await attempt(failures > 0)
            except REDIS_ERRORS as error:
                progress.failure = named(error, self._where)
                if failures == self._retries or not isinstance(progress.failure, _WORTH_A_RETRY):
                    raise progress.failure from error
            if isinstance(progress.failure, StoreReadOnly):
                await self._client.forget()  # it was the master, perhaps: its name may lead elsewhere now
            pause = min(_FIRST_PAUSE * 2**failures, _LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 (spread, no secret)
            failures += 1

    def _too_late(self, progress: _Progress) -> StoreUnavailable:
        limit = f"within {self.io_timeout:g} s"
        if progress.waits_for_place:
            return StoreBusy(f"{self._where}: no connection became free {limit}")
        if not isinstance(progress.failure, _NO_ANSWER):
            return StoreTimeout(f"{self._where}: no answer {limit}")
        return type(progress.failure)(f"{progress.failure}; then no answer {limit}")

    def _is_closed(self) -> StoreUnavailable:
        return StoreUnreachable(f"{self._where}: the store is closed")

    # --- the circuit ---------------------------------------------------------------------------------

    def _not_tried(self) -> StoreUnavailable:
        wait = self._circuit.wait
        when = f"not tried again for {wait:.1f} s" if wait else "being tried again"
        return type(self._last)(f"{self._last}; {when}")

    def _failed(self, ticket: Ticket, error: StoreUnavailable) -> None:
        self._last = error
        if self._circuit.failed(ticket) and not self._closed:
            logger.warning("%s; sessions are not asked for there until it answers a trial", error)

    def _succeeded(self) -> None:
        if self._circuit.succeeded():
            logger.warning("%s answers again", self._where)


def _is_being_cancelled() -> bool:
    """Whether whoever calls is cancelled, and not only what it waits for."""
    caller = asyncio.current_task()
    return caller is not None and caller.cancelling() > 0
