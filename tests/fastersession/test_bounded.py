"""The limits on waiting, whatever the work does about being cancelled."""

import asyncio
import time

import anyio
import pytest

from fastersession import StoreUnavailable
from fastersession.bounded import bounded, shielded, within
from tests.fastersession.spy import eventually


async def stubborn(ended: asyncio.Event) -> None:
    """Takes its time to clean up, as a connection pool does whose other side is silent."""
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.5)
        ended.set()


async def test_28z_work_that_will_not_be_cancelled_holds_nobody_up() -> None:
    ended = asyncio.Event()
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="did not answer"):
        await bounded(stubborn(ended), 0.01)
    assert time.monotonic() - began < 0.4
    assert not ended.is_set()
    async with asyncio.timeout(5):
        await ended.wait()


async def test_28_1_a_cancelled_wait_ends_at_once_and_cancels_the_work() -> None:
    ended = asyncio.Event()
    waiting = asyncio.create_task(within(stubborn(ended), 60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not ended.is_set()
    async with asyncio.timeout(5):
        await ended.wait()


async def test_28_2_the_error_of_work_that_nobody_waits_for_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    go_on = asyncio.Event()

    async def fail() -> None:
        await go_on.wait()
        raise StoreUnavailable("away")

    waiting = asyncio.create_task(shielded(fail()))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()

    async def is_logged() -> bool:
        return "away" in caplog.text

    await eventually(is_logged)


async def test_28_4_a_cancelled_scope_of_anyio_does_not_stop_it() -> None:
    """Starlette runs streams in such scopes; they cancel every await again, the ones of a cleanup too."""
    done = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0.01)
        done.set()

    with anyio.CancelScope() as scope:
        scope.cancel()
        await shielded(work())
    async with asyncio.timeout(5):
        await done.wait()
