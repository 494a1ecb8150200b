"""A session that one task ends or gives free while another one of the same request is at work on it."""

import asyncio
import time

import pytest

from fastersession import Lease, LeaseHeld, Session, StoreTimeout
from fastersession.context import SessionContext
from fastersession.leases import LeaseReturner
from tests.fastersession.spy import SpyStore, eventually
from tests.fastersession.test_session import LEASE, reloaded, session, stored


async def steps(count: int = 20) -> None:
    """Let the loop do what it can."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_17_42_the_lease_stays_until_the_save_that_was_cancelled_is_done() -> None:
    store = SpyStore()
    turn = session(store, await stored(store, n=1))
    await turn.load(lease_seconds=LEASE)
    turn.get_session()["n"] = 2
    store.gate.clear()
    saving = asyncio.create_task(turn.save())
    await asyncio.sleep(0)
    saving.cancel()
    freeing = asyncio.create_task(turn.release())
    await steps()
    with pytest.raises(LeaseHeld):
        await store.memory.load(turn.id, lease=Lease("next", 1))
    store.gate.set()
    await freeing
    assert store.calls == ["load+lease", "save+release"]
    found = await store.memory.load(turn.id, lease=Lease("next", 1))
    assert found is not None
    assert found.attributes == '{"n":2}'


async def test_17_43_a_release_that_is_cancelled_too_frees_the_session() -> None:
    store = SpyStore()
    turn = session(store, await stored(store, n=1))
    await turn.load(lease_seconds=LEASE)
    freeing = asyncio.create_task(turn.release())
    await asyncio.sleep(0)
    freeing.cancel()

    async def is_free() -> bool:
        try:
            return await store.memory.load(turn.id, lease=Lease("next", 1)) is not None
        except LeaseHeld:
            return False

    await eventually(is_free)


async def test_27_74_who_logs_out_while_a_save_merges_keeps_nothing_of_the_former_session() -> None:
    store = SpyStore()
    id_ = await stored(store, user="ada")
    ending, other = await reloaded(store, id_), await reloaded(store, id_)
    other.get_session()["cart"] = [1]
    await other.save()
    ending.get_session()["seen"] = True

    async def log_out() -> None:
        ending.invalidate()
        ending.get_session()["theme"] = "dark"

    store.meanwhile["load"] = log_out
    await ending.save()
    assert dict(ending.get_session()) == {"theme": "dark"}
    await ending.save()
    assert dict((await reloaded(store, ending.id)).get_session()) == {"theme": "dark"}
    assert (await reloaded(store, id_)).is_new
    assert len(store.memory) == 1


async def test_27_75_nor_while_it_is_written() -> None:
    store = SpyStore()
    ending = await reloaded(store, await stored(store, user="ada"))
    former = ending.id
    ending.get_session()["seen"] = True
    store.gate.clear()
    saving = asyncio.create_task(ending.save())
    await store.called("save")
    ending.invalidate()
    ending.get_session()["user"] = "ada"
    store.gate.set()
    await saving
    await ending.save()
    assert dict((await reloaded(store, ending.id)).get_session()) == {"user": "ada"}
    assert (await reloaded(store, former)).is_new


@pytest.mark.parametrize("again", [False, True])
async def test_27_76_nor_while_it_is_read(again: bool) -> None:
    store = SpyStore()
    id_ = await stored(store, user="ada")
    ending = await reloaded(store, id_) if again else session(store, id_)
    store.gate.clear()
    loading = asyncio.create_task(ending.load(lease_seconds=LEASE))
    await store.called("load+lease")
    ending.invalidate()
    store.gate.set()
    await loading
    assert dict(ending.get_session()) == {}
    assert not ending.is_kept()
    await ending.save()

    async def nothing_is_left() -> bool:
        return len(store.memory) == 0

    await eventually(nothing_is_left)


async def test_24_34_a_session_that_moves_while_it_is_read_again_is_whole_under_its_new_id() -> None:
    store = SpyStore()
    id_ = await stored(store, user="ada")
    turn, other = await reloaded(store, id_), await reloaded(store, id_)
    other.get_session()["cart"] = [1]
    await other.save()
    store.gate.clear()
    loading = asyncio.create_task(turn.load(lease_seconds=LEASE))
    await store.called("load+lease")
    turn.rotate()
    store.gate.set()
    await loading
    await turn.save()
    assert dict((await reloaded(store, turn.id)).get_session()) == {"user": "ada", "cart": [1]}
    assert (await reloaded(store, id_)).is_new


async def test_28_100_a_load_that_asks_several_times_takes_no_longer_than_one() -> None:
    """For each of the cookies of a browser, and for the lease of a new session."""

    class Slow(SpyStore):
        async def _called(self, name: str) -> None:
            await super()._called(name)
            await asyncio.sleep(0.15)

    store = Slow()
    context = SessionContext(store, LeaseReturner(store, 0.2), store.clock, 0.2, 1000.0, 5000.0)
    asking = Session(context, "one", "two", "three")
    began = time.monotonic()
    with pytest.raises(StoreTimeout):
        await asking.load(lease_seconds=LEASE)
    assert time.monotonic() - began < 0.3

    async def all_are_free() -> bool:
        return len(store.memory) == 0

    await eventually(all_are_free)
