"""Leases that are given back to a store which is away."""

import asyncio

import pytest

from fastersession import Lease, LeaseHeld
from fastersession.leases import LeaseReturner
from tests.fastersession.spy import SpyStore
from tests.server.support.virtual import run_virtual

HOUR = 3600.0


@pytest.mark.parametrize("away", [0.5, 30, 500])
def test_17_a_session_is_free_soon_after_its_store_is_back_however_long_that_was_away(away: float) -> None:
    """The store has kept the lease meanwhile, as a Redis does whose pod was moved."""
    store = SpyStore()

    async def main() -> None:
        await store.load("s", lease=Lease("first", HOUR))
        store.down = True
        LeaseReturner(store, 2.0).give_back("s", "first")
        await asyncio.sleep(away)
        with pytest.raises(LeaseHeld):
            await store.memory.load("s", lease=Lease("next", HOUR))
        store.down = False
        await asyncio.sleep(7)
        await store.load("s", lease=Lease("next", HOUR))

    run_virtual(main())


def test_17_what_cannot_be_given_back_is_left_to_the_leases_own_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = SpyStore()
    store.down = True

    async def main() -> None:
        LeaseReturner(store, 2.0).give_back("s", "first")
        await asyncio.sleep(HOUR)

    run_virtual(main())
    assert caplog.messages == ["a session's lease could not be given back; it ends by itself"]
    assert 100 < store.calls.count("release") < 200
