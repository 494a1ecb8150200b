"""Waiting for a store: never longer than allowed, and never broken off half-way by a cancelled request."""

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from fastersession.errors import StoreUnavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")


async def bounded(work: Awaitable[T], seconds: float) -> T:
    """The result of `work`, or StoreUnavailable after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as error:
        raise StoreUnavailable(f"the session store did not answer within {seconds:g} s") from error


async def shielded(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which goes on to its end when the caller is cancelled; `work` bounds itself.

    The cancelled caller does not wait: a cancel scope that cancels again and again would have it spin.
    """
    task = asyncio.ensure_future(work)
    _running.add(task)
    task.add_done_callback(_running.discard)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_log_failure)
        raise


_running: set[asyncio.Task[Any]] = set()  # an event loop keeps only weak references


def _log_failure(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("the session of a request that was cancelled: %s: %s", type(error).__name__, error)
