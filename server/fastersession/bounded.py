"""Waiting for a store: never longer than allowed, and never broken off half-way by a cancelled request."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastersession.errors import StoreTimeout

logger = logging.getLogger(__name__)

T = TypeVar("T")

_running: set[asyncio.Task[Any]] = set()  # an event loop keeps only weak references


async def within(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """The result of `work`, or TimeoutError after `seconds`.

    In contrast to `asyncio.timeout` it does not wait until the cancelled work has cleaned up after itself: a
    connection pool may take seconds for that when the other side is silent.
    """
    task = _start(work)
    loop = task.get_loop()
    over = loop.create_future()  # asyncio.wait does the same for any number of tasks, and takes twice as long
    task.add_done_callback(lambda _: _end(over))
    limit = loop.call_later(seconds, _end, over)
    try:
        await over
    except asyncio.CancelledError:
        task.cancel()
        raise
    finally:
        limit.cancel()
    if not task.done():
        task.cancel()
        raise TimeoutError
    return task.result()


def _end(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


async def bounded(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """The result of `work`, or StoreTimeout after `seconds`."""
    try:
        return await within(work, seconds)
    except TimeoutError as error:
        raise StoreTimeout(f"the session store did not answer within {seconds:g} s") from error


async def shielded(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which goes on to its end when the caller is cancelled; `work` bounds itself.

    The cancelled caller does not wait: a cancel scope that cancels again and again would have it spin.
    """
    task = _start(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_log_failure)
        raise


def _start(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    task = asyncio.get_running_loop().create_task(work)
    _running.add(task)
    task.add_done_callback(_finished)
    return task


def _finished(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled():
        task.exception()  # retrieved, so that asyncio does not report those that nobody waits for any more


def _log_failure(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("the session of a request that was cancelled: %s: %s", type(error).__name__, error)
