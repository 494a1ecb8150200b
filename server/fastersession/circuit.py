"""When to stop asking a store that does not answer, and when to try it again. No I/O, no waiting."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

THRESHOLD = 5
"""Failures in a row that open the circuit."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds: the pause before a trial is drawn from the upper half of this, which doubles with each failure."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to one call, which ends with one of `succeeded`, `failed` and `abandoned`."""

    trial: bool
    era: int


class Circuit:
    """Closed: every call passes. Open: none but one trial at a time, after a pause; a success closes it.

    Only what was begun in the present state counts as a failure: calls that were under way when the circuit
    opened or closed say nothing new. A success always counts, since it has just been answered.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._clock = clock
        self._draw = draw
        self._era = 0  # counts openings and closings: open in the odd ones
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._next_trial = 0.0
        self._on_trial = False

    @property
    def is_open(self) -> bool:
        """Whether calls fail without being tried."""
        return self._era % 2 == 1

    @property
    def wait(self) -> float:
        """Seconds until a call is tried again; 0 while one is, and when the circuit is closed."""
        return max(0.0, self._next_trial - self._clock()) if self.is_open else 0.0

    def admit(self) -> Ticket | None:
        """The right to call, or None while the circuit is open."""
        if not self.is_open:
            return Ticket(trial=False, era=self._era)
        if self._on_trial or self.wait > 0:
            return None
        self._on_trial = True
        return Ticket(trial=True, era=self._era)

    def succeeded(self) -> bool:
        """A call was answered. Whether that closed the circuit."""
        self._failures = 0
        if not self.is_open:
            return False
        self._era += 1
        self._pause = FIRST_PAUSE
        self._on_trial = False
        return True

    def failed(self, ticket: Ticket) -> bool:
        """A call got no answer. Whether that opened the circuit."""
        if ticket.era != self._era:
            return False
        if ticket.trial:
            self._on_trial = False
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            self._schedule()
            return False
        self._failures += 1
        if self._failures < THRESHOLD:
            return False
        self._era += 1
        self._schedule()
        return True

    def abandoned(self, ticket: Ticket) -> None:
        """A call was given up: nobody knows. The next caller may make the trial in its place."""
        if ticket.trial and ticket.era == self._era:
            self._on_trial = False

    def _schedule(self) -> None:
        self._next_trial = self._clock() + self._draw(self._pause / 2, self._pause)
