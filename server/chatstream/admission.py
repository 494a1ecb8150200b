"""Who may generate now: a fixed number of slots, and a bounded first-come-first-served queue before them.

Nothing here awaits but `Ticket.moved`; every change of state is one synchronous step, so no cancellation
can fall between two halves of it.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from chatstream.errors import Draining, TooManyRequests

FIRST_GUESS = 10.0
"""Seconds that a generation is taken to last before one was measured."""
WEIGHT = 0.2
"""Of the newest measurement in the moving average of service times."""
LONGEST_ADVICE = 600.0


@dataclass(frozen=True, slots=True)
class Load:
    processing: int
    waiting: int
    limit: int
    queue_limit: int


class Ticket:
    """A slot, or a place in the queue. Whoever got it from `Admission.enter` releases it."""

    __slots__ = ("_admission", "_changed", "entered_at", "granted_at", "position", "released_at")

    def __init__(self, admission: "Admission", now: float) -> None:
        self._admission = admission
        self._changed = asyncio.Event()
        self.entered_at = now
        self.granted_at: float | None = None
        self.released_at: float | None = None
        self.position = 0
        """1 is the next to be served; 0 with a slot, and after the release."""

    @property
    def granted(self) -> bool:
        """Whether this ticket ever got its slot."""
        return self.granted_at is not None

    async def moved(self) -> None:
        """Wait for the next change of `position`. Safe to cancel: the place is kept."""
        await self._changed.wait()
        self._changed.clear()

    def release(self) -> None:
        """Give back the slot or the place, at once. Idempotent."""
        self._admission.leave(self)

    def move(self, position: int) -> None:
        if position != self.position:
            self.position = position
            self._changed.set()


class Admission:
    """At most `limit` slots are out at any time, and at most `queue_limit` tickets wait for one."""

    def __init__(self, limit: int, queue_limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        if limit < 1:
            raise ValueError(f"the number of concurrent executions must be at least 1, not {limit}")
        if queue_limit < 0:
            raise ValueError(f"the queue's size must not be negative, but is {queue_limit}")
        self._limit = limit
        self._queue_limit = queue_limit
        self._clock = clock
        self._running: set[Ticket] = set()
        self._waiting: dict[Ticket, None] = {}
        self._service = FIRST_GUESS
        self.shut = False
        """Whether newcomers are refused; who holds a ticket keeps it."""

    def load(self) -> Load:
        return Load(len(self._running), len(self._waiting), self._limit, self._queue_limit)

    def enter(self) -> Ticket:
        """Take a slot, or the last place in the queue.

        Raises TooManyRequests where there is neither, Draining after `shut`.
        """
        if self.shut:
            raise Draining("The server is shutting down.", 1.0)
        full = len(self._running) >= self._limit
        if full and len(self._waiting) >= self._queue_limit:
            raise TooManyRequests("Every slot and every place in the queue is taken.", self.advice())
        ticket = Ticket(self, self._clock())
        if full:
            self._waiting[ticket] = None
            ticket.position = len(self._waiting)
        else:
            self._grant(ticket)
        return ticket

    def advice(self) -> float:
        """Seconds until a newcomer may find room, from the measured time that a slot is held."""
        ahead = len(self._waiting) or 1
        return min(LONGEST_ADVICE, max(1.0, self._service * ahead / self._limit))

    def leave(self, ticket: Ticket) -> None:
        """Take `ticket` out, wherever it stands, and let the queue move up. Idempotent."""
        if ticket.released_at is not None:
            return
        ticket.released_at = now = self._clock()
        if ticket.granted_at is not None:
            self._running.remove(ticket)
            self._service += WEIGHT * (now - ticket.granted_at - self._service)
        else:
            del self._waiting[ticket]
        self._advance()
        ticket.move(0)

    def _advance(self) -> None:
        while self._waiting and len(self._running) < self._limit:
            first = next(iter(self._waiting))
            del self._waiting[first]
            self._grant(first)
        for position, ticket in enumerate(self._waiting, 1):
            ticket.move(position)

    def _grant(self, ticket: Ticket) -> None:
        ticket.granted_at = self._clock()
        self._running.add(ticket)
        ticket.move(0)
