"""Polling with a deadline: the only way in which these tests wait."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(
    probe: Callable[[], Awaitable[T]],
    holds: Callable[[T], bool],
    *,
    what: str,
    within: float,
    every: float = 0.2,
) -> T:
    """Probe until `holds`, at most `within` seconds; AssertionError tells what was seen last."""
    deadline = time.monotonic() + within
    while True:
        seen = await probe()
        if holds(seen):
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"after {within:g} s still not: {what}; last seen: {seen!r}")
        await asyncio.sleep(every)
