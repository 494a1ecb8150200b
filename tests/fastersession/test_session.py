"""A session's life within one request, upon a store that counts its calls."""

import asyncio

import pytest

from fastersession import (
    InvalidSessionData,
    Lease,
    LeaseHeld,
    Session,
    SessionError,
    SessionNotLoaded,
    StoreUnavailable,
    VersionConflict,
)
from fastersession.context import SessionContext
from fastersession.leases import LeaseReturner
from tests.fastersession.spy import SpyStore, eventually

LEASE = 300.0


def session(store: SpyStore, id_: str | None = None, *, io_timeout: float = 2.0) -> Session:
    returner = LeaseReturner(store, io_timeout)
    return Session(SessionContext(store, returner, store.clock, io_timeout, 1000.0, 5000.0), id_)


async def stored(store: SpyStore, **attributes: object) -> str:
    """The id of a session that has these attributes."""
    fresh = session(store)
    await fresh.load()
    fresh.get_session().update(attributes)
    await fresh.save()
    store.calls.clear()
    return fresh.id


async def reloaded(store: SpyStore, id_: str) -> Session:
    again = session(store, id_)
    await again.load()
    return again


async def test_19a_what_one_request_wrote_the_next_reads() -> None:
    store = SpyStore()
    id_ = await stored(store, name="Ada")
    again = await reloaded(store, id_)
    assert (again.id, again.is_new, dict(again.get_session())) == (id_, False, {"name": "Ada"})


async def test_19b_other_sessions_do_not_see_it() -> None:
    store = SpyStore()
    await stored(store, name="Ada")
    other = await reloaded(store, await stored(store, other=True))
    assert "name" not in other.get_session()


async def test_28b_one_read_and_one_write_a_turn() -> None:
    store = SpyStore()
    id_ = await stored(store, n=1)
    turn = session(store, id_)
    await turn.load(lease_seconds=LEASE)
    turn.get_session()["n"] = 2
    await turn.save()
    await turn.release()
    assert store.calls == ["load+lease", "save+release"]


async def test_28c_a_new_session_needs_no_more() -> None:
    store = SpyStore()
    turn = session(store)
    await turn.load(lease_seconds=LEASE)
    turn.get_session()["n"] = 1
    await turn.save()
    assert store.calls == ["load+lease", "save+release"]


async def test_27d_nothing_is_stored_until_something_is_written() -> None:
    store = SpyStore()
    fresh = session(store)
    await fresh.load()
    fresh.max_inactive_interval = 5
    await fresh.save()
    assert store.calls == []
    assert fresh.is_new


async def test_27e_nested_changes_count() -> None:
    store = SpyStore()
    id_ = await stored(store, history=[{"text": "hi"}])
    turn = await reloaded(store, id_)
    turn.get_session()["history"][0]["text"] = "hello"
    await turn.save()
    assert (await reloaded(store, id_)).get_session()["history"] == [{"text": "hello"}]


async def test_27f_what_is_unchanged_is_not_written() -> None:
    store = SpyStore()
    turn = await reloaded(store, await stored(store, n=1))
    turn.get_session()["n"] = 1
    await turn.save()
    assert "save" not in store.calls


async def test_27g_the_interval_of_one_session_can_be_set() -> None:
    store = SpyStore()
    id_ = await stored(store, n=1)
    turn = await reloaded(store, id_)
    turn.max_inactive_interval = 10
    await turn.save()
    assert (await reloaded(store, id_)).max_inactive_interval == 10
    store.clock.now += 11
    assert (await reloaded(store, id_)).is_new
    with pytest.raises(ValueError, match="above 0"):
        turn.max_inactive_interval = 0


async def test_27h_idle_time_slides_the_absolute_one_does_not() -> None:
    store = SpyStore()
    id_ = await stored(store, n=1)
    for _ in range(5):
        store.clock.now += 990
        turn = await reloaded(store, id_)
        assert not turn.is_new
        await turn.touch()
    store.clock.now += 60
    assert (await reloaded(store, id_)).is_new


async def test_27i_last_access_is_the_request_before() -> None:
    store = SpyStore()
    began = store.clock.now
    id_ = await stored(store, n=1)
    for seconds in (100, 200):
        store.clock.now = began + seconds
        turn = await reloaded(store, id_)
        assert (turn.created_at, turn.last_accessed_at) == (began, began + seconds - 100)
        await turn.touch()


async def test_24a_an_unknown_id_is_never_adopted() -> None:
    store = SpyStore()
    turn = session(store, "A" * 43)
    await turn.load()
    assert turn.is_new
    assert turn.id != "A" * 43


async def test_24b_nor_with_a_lease() -> None:
    store = SpyStore()
    turn = session(store, "A" * 43)
    await turn.load(lease_seconds=LEASE)
    assert turn.is_new
    assert turn.id != "A" * 43

    async def is_free() -> bool:
        other = session(store, "A" * 43)
        try:
            await other.load(lease_seconds=LEASE)
        except LeaseHeld:
            return False
        return True

    await eventually(is_free)
    with pytest.raises(LeaseHeld):
        await session(store, turn.id).load(lease_seconds=LEASE)


async def test_27j_an_invalidated_session_is_gone_for_good() -> None:
    store = SpyStore()
    id_ = await stored(store, user="ada")
    turn = await reloaded(store, id_)
    turn.invalidate()
    assert not turn.get_session()
    assert turn.is_new
    await turn.save()
    replay = await reloaded(store, id_)
    assert replay.is_new
    assert replay.id != id_


async def test_27k_what_was_running_cannot_bring_it_back() -> None:
    store = SpyStore()
    id_ = await stored(store, user="ada")
    slow, fast = await reloaded(store, id_), await reloaded(store, id_)
    slow.get_session()["late"] = True
    fast.invalidate()
    await fast.save()
    with pytest.raises(VersionConflict):
        await slow.save()
    assert (await reloaded(store, id_)).is_new


async def test_27l_after_invalidate_a_new_one_can_be_written() -> None:
    store = SpyStore()
    id_ = await stored(store, user="ada")
    turn = await reloaded(store, id_)
    turn.invalidate()
    turn.get_session()["user"] = "bob"
    await turn.save()
    assert turn.id != id_
    assert dict((await reloaded(store, turn.id)).get_session()) == {"user": "bob"}


async def test_27m_invalidate_needs_no_load() -> None:
    store = SpyStore()
    id_ = await stored(store, user="ada")
    turn = session(store, id_)
    turn.invalidate()
    await turn.save()
    assert store.calls == ["delete"]


async def test_27n_rotate_gives_a_new_id_and_ends_the_old_one() -> None:
    store = SpyStore()
    id_ = await stored(store, user="ada")
    turn = await reloaded(store, id_)
    turn.rotate()
    await turn.save()
    assert turn.id != id_
    assert dict((await reloaded(store, turn.id)).get_session()) == {"user": "ada"}
    assert (await reloaded(store, id_)).is_new


async def test_27o_rotate_loses_no_concurrent_write() -> None:
    store = SpyStore()
    id_ = await stored(store, user="ada")
    rotating, writing = await reloaded(store, id_), await reloaded(store, id_)
    writing.get_session()["cart"] = [1]
    await writing.save()
    rotating.rotate()
    rotating.get_session()["role"] = "admin"
    await rotating.save()
    again = await reloaded(store, rotating.id)
    assert dict(again.get_session()) == {"user": "ada", "cart": [1], "role": "admin"}
    assert (await reloaded(store, id_)).is_new


async def test_27p_rotate_after_the_response_began_is_refused() -> None:
    store = SpyStore()
    turn = await reloaded(store, await stored(store, n=1))
    turn.response_started(cookie_sent=True)
    with pytest.raises(SessionError, match="after the response began"):
        turn.rotate()


async def test_17n_a_second_turn_is_refused_until_the_first_is_saved() -> None:
    store = SpyStore()
    id_ = await stored(store, n=1)
    first, second = session(store, id_), session(store, id_)
    await first.load(lease_seconds=LEASE)
    with pytest.raises(LeaseHeld) as held:
        await second.load(lease_seconds=LEASE)
    assert held.value.retry_after == LEASE
    first.get_session()["n"] = 2
    await first.save()
    await second.load(lease_seconds=LEASE)
    assert second.get_session()["n"] == 2


@pytest.mark.parametrize("how", ["release", "save"])
async def test_17o_a_turn_that_changed_nothing_frees_the_session(how: str) -> None:
    store = SpyStore()
    id_ = await stored(store, n=1)
    first = session(store, id_)
    await first.load(lease_seconds=LEASE)
    await (first.release() if how == "release" else first.save())
    await first.release()
    assert store.calls == ["load+lease", "release"]
    await session(store, id_).load(lease_seconds=LEASE)


async def test_17p_a_load_that_is_cancelled_leaves_no_lease() -> None:
    store = SpyStore()
    id_ = await stored(store, n=1)
    store.gate.clear()
    loading = asyncio.create_task(session(store, id_).load(lease_seconds=LEASE))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    store.gate.set()

    async def is_free() -> bool:
        try:
            await session(store, id_).load(lease_seconds=LEASE)
        except LeaseHeld:
            return False
        return True

    await eventually(is_free)


async def test_17q_a_load_without_an_answer_leaves_no_lease() -> None:
    store = SpyStore()
    id_ = await stored(store, n=1)
    store.gate.clear()
    with pytest.raises(StoreUnavailable, match="did not answer within"):
        await session(store, id_, io_timeout=0.05).load(lease_seconds=LEASE)
    store.gate.set()

    async def is_free() -> bool:
        return store.calls.count("release") > 0

    await eventually(is_free)
    await session(store, id_).load(lease_seconds=LEASE)


async def test_17r_a_save_that_is_cancelled_is_carried_out() -> None:
    store = SpyStore()
    id_ = await stored(store, n=1)
    turn = session(store, id_)
    await turn.load(lease_seconds=LEASE)
    turn.get_session()["n"] = 2
    store.gate.clear()
    saving = asyncio.create_task(turn.save())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    store.gate.set()
    await turn.save()  # waits for the one that is running
    assert store.calls == ["load+lease", "save+release"]
    assert (await reloaded(store, id_)).get_session()["n"] == 2


async def test_28d_a_save_that_fails_is_told_and_gives_the_lease_up() -> None:
    store = SpyStore()
    id_ = await stored(store, n=1)
    turn = session(store, id_)
    await turn.load(lease_seconds=LEASE)
    turn.get_session()["n"] = 2
    store.down = True
    with pytest.raises(StoreUnavailable, match="down for this test"):
        await turn.save()
    store.down = False

    async def is_free() -> bool:
        try:
            await session(store, id_).load(lease_seconds=LEASE)
        except LeaseHeld:
            return False
        return True

    await eventually(is_free)


async def test_28y_a_release_that_fails_raises_nothing() -> None:
    store = SpyStore()
    turn = session(store, await stored(store, n=1))
    await turn.load(lease_seconds=LEASE)
    store.down = True
    await turn.release()
    await turn.release()


async def test_17_1_one_acknowledged_release_is_not_believed() -> None:
    """A store that was paused may take the lease only after it has given it back."""
    store = SpyStore()
    LeaseReturner(store, 2.0).give_back("s", "late")

    async def is_acknowledged() -> bool:
        return "release" in store.calls

    await eventually(is_acknowledged)
    await store.load("s", lease=Lease("late", LEASE))

    async def is_free() -> bool:
        try:
            await store.load("s", lease=Lease("next", LEASE))
        except LeaseHeld:
            return False
        return True

    await eventually(is_free)


async def test_27_8_a_shorter_absolute_time_counts_for_old_sessions_too() -> None:
    store = SpyStore()
    id_ = await stored(store, n=1)
    store.clock.now += 500
    context = SessionContext(store, LeaseReturner(store, 2.0), store.clock, 2.0, 1000.0, 400.0)
    turn = Session(context, id_)
    await turn.load()
    assert turn.is_new


async def test_28e_a_save_is_bounded() -> None:
    store = SpyStore()
    turn = session(store, await stored(store, n=1), io_timeout=0.05)
    await turn.load()
    turn.get_session()["n"] = 2
    store.gate.clear()
    with pytest.raises(StoreUnavailable, match=r"did not answer within 0\.05 s"):
        await turn.save()


async def test_28f_a_failed_load_can_be_tried_again() -> None:
    store = SpyStore()
    turn = session(store, await stored(store, n=1))
    store.down = True
    with pytest.raises(StoreUnavailable):
        await turn.load()
    with pytest.raises(SessionNotLoaded):
        turn.get_session()
    store.down = False
    await turn.load()
    assert turn.get_session()["n"] == 1


async def test_25g_writes_to_different_attributes_are_merged() -> None:
    store = SpyStore()
    id_ = await stored(store, history=["hi"], theme="light", old=1)
    turn, page = session(store, id_), await reloaded(store, id_)
    await turn.load(lease_seconds=LEASE)
    page.get_session()["theme"] = "dark"
    page.get_session()["seen"] = True
    del page.get_session()["old"]
    await page.save()
    turn.get_session()["history"].append("hello")
    await turn.save()
    merged = {"history": ["hi", "hello"], "theme": "dark", "seen": True}
    assert dict((await reloaded(store, id_)).get_session()) == merged
    assert dict(turn.get_session()) == merged


async def test_25h_writes_to_the_same_attribute_are_a_conflict() -> None:
    store = SpyStore()
    id_ = await stored(store, history=["hi"])
    first, second = await reloaded(store, id_), await reloaded(store, id_)
    first.get_session()["history"].append("a")
    second.get_session()["history"].append("b")
    await first.save()
    with pytest.raises(VersionConflict):
        await second.save()
    assert (await reloaded(store, id_)).get_session()["history"] == ["hi", "a"]


async def test_25h_two_that_counted_to_the_same_number_are_a_conflict() -> None:
    store = SpyStore()
    id_ = await stored(store, visits=5)
    first, second = await reloaded(store, id_), await reloaded(store, id_)
    first.get_session()["visits"] += 1
    second.get_session()["visits"] += 1
    await first.save()
    with pytest.raises(VersionConflict):
        await second.save()


async def test_25i_many_writers_of_different_attributes_lose_nothing() -> None:
    store = SpyStore()
    id_ = await stored(store, first=True)
    writers = [await reloaded(store, id_) for _ in range(4)]
    for number, writer in enumerate(writers):
        writer.get_session()[f"w{number}"] = number
    await asyncio.gather(*(writer.save() for writer in writers))
    assert set((await reloaded(store, id_)).get_session()) == {"first", "w0", "w1", "w2", "w3"}


async def test_25j_a_lease_taken_later_reads_again_and_keeps_what_was_written() -> None:
    store = SpyStore()
    id_ = await stored(store, a=1, b=1)
    mine, other = await reloaded(store, id_), await reloaded(store, id_)
    mine.get_session()["a"] = 2
    other.get_session()["b"] = 2
    await other.save()
    await mine.load(lease_seconds=LEASE)
    assert dict(mine.get_session()) == {"a": 2, "b": 2}
    await mine.save()
    assert dict((await reloaded(store, id_)).get_session()) == {"a": 2, "b": 2}


async def test_25k_what_is_no_json_is_named() -> None:
    store = SpyStore()
    turn = await reloaded(store, await stored(store, n=1))
    turn.get_session()["odd"] = object()
    with pytest.raises(InvalidSessionData, match="'odd'"):
        await turn.save()


async def test_27q_attributes_are_not_there_before_load() -> None:
    with pytest.raises(SessionNotLoaded):
        session(SpyStore()).get_session()


async def test_27r_ids_have_256_random_bits() -> None:
    ids = {session(SpyStore()).id for _ in range(100)}
    assert len(ids) == 100
    assert all(len(id_) == 43 for id_ in ids)


async def test_17s_a_lease_of_no_length_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        await session(SpyStore()).load(lease_seconds=0)
