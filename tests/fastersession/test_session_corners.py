"""A session's rarer ways: renewing, rotating and ending while others are at work."""

import pytest

from fastersession import Lease, LeaseHeld, StoreUnavailable
from tests.fastersession.spy import SpyStore
from tests.fastersession.test_session import LEASE, reloaded, session, stored


async def test_17_2_a_renewal_that_fails_loses_no_lease() -> None:
    store = SpyStore()
    turn = session(store, await stored(store, n=1))
    await turn.load(lease_seconds=LEASE)
    store.down = True
    with pytest.raises(StoreUnavailable):
        await turn.load(lease_seconds=LEASE)
    store.down = False
    with pytest.raises(LeaseHeld):
        await store.load(turn.id, lease=Lease("other", LEASE))
    await turn.load(lease_seconds=LEASE)
    assert "release" not in store.calls


async def test_27_9_who_ends_a_rotated_session_ends_it_whatever_others_wrote() -> None:
    store = SpyStore()
    id_ = await stored(store, user="ada")
    ending, writing = await reloaded(store, id_), await reloaded(store, id_)
    writing.get_session()["cart"] = [1]
    await writing.save()
    ending.rotate()
    ending.invalidate()
    await ending.save()
    assert (await reloaded(store, id_)).is_new


async def test_25_1_what_others_wrote_is_not_written_again() -> None:
    store = SpyStore()
    id_ = await stored(store, a=1)
    late, other = await reloaded(store, id_), await reloaded(store, id_)
    other.get_session()["a"] = 2
    await other.save()
    store.calls.clear()
    await late.load(lease_seconds=LEASE)
    assert late.get_session()["a"] == 2
    await late.save()
    assert store.calls == ["load+lease", "release"]


async def test_17_3_the_leased_id_of_a_rotated_session_is_freed() -> None:
    store = SpyStore()
    id_ = await stored(store, user="ada")
    turn = session(store, id_)
    await turn.load(lease_seconds=LEASE)
    turn.rotate()
    await turn.save()
    assert store.calls == ["load+lease", "copy", "save", "delete"]
    await store.called("release")
    assert (await reloaded(store, turn.id)).get_session()["user"] == "ada"
    assert await store.load(id_, lease=Lease("other", 1)) is None
