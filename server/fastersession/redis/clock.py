"""Redis' own time, as its last answer told it: what is carried out too late can then be told there."""

import math
import time
from collections.abc import Callable


class RedisClock:
    """Needs no agreement between the clocks of the machines: it only counts on from what Redis said."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ahead: float | None = None

    def learn(self, milliseconds: int) -> None:
        """Redis said just now that it is this late there."""
        self._ahead = milliseconds - self._clock() * 1000

    def after(self, seconds: float) -> int:
        """Milliseconds of Redis' clock, `seconds` from now; 0 while it is not known."""
        return 0 if self._ahead is None else math.ceil((self._clock() + seconds) * 1000 + self._ahead)
