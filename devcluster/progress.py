"""What the user sees while it works: numbered steps, how long each took, roughly what remains."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TextIO

HEARTBEAT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to bring about. `act` returns a word or two on what it did; `cold_seconds` is a guess."""

    title: str
    act: Callable[[], str]
    cold_seconds: float = 0.0


class Progress:
    """Runs steps one after the other and tells of them, one line each."""

    def __init__(self, out: TextIO = sys.stdout, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock

    def run(self, steps: Sequence[Step]) -> None:
        """All of them, in order; an exception of one ends it, its line closed."""
        width = len(str(len(steps)))
        for number, step in enumerate(steps, 1):
            rest = sum(other.cold_seconds for other in steps[number - 1 :])
            self._begin(f"[{number:>{width}}/{len(steps)}] {step.title} ...{describe_rest(rest)}")
            began = self._clock()
            stop = self._heartbeat(began)
            try:
                result = step.act()
            except BaseException:
                self._end(f" failed after {self._clock() - began:.1f} s")
                raise
            finally:
                stop.set()
            self._end(f" {result}, {self._clock() - began:.1f} s")

    def _begin(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()

    def _end(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()

    def _heartbeat(self, began: float) -> threading.Event:
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(HEARTBEAT_SECONDS):
                self._begin(f" {self._clock() - began:.0f}s")

        threading.Thread(target=beat, daemon=True).start()
        return stop


def describe_rest(seconds: float) -> str:
    """Roughly how long this and what follows will take; nothing when that is short."""
    if seconds < 20:
        return ""
    return f" (about {max(1, round(seconds / 60))} min to go)"
