"""Waiting for something to become true, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

DEADLINE = 10.0
PAUSE = 0.005


async def nothing() -> None:
    """What there is to do between two looks, as a rule."""


async def until(condition: Callable[[], bool], meanwhile: Callable[[], Awaitable[None]] = nothing) -> None:
    """Raises TimeoutError after the deadline."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await meanwhile()
            await asyncio.sleep(PAUSE)
