"""A session that moves to another id: wherever it breaks off, it is whole under one of them."""

import asyncio
from typing import Any

import pytest

from fastersession import Journal, MemoryStore, Session, StoreUnavailable, VersionConflict
from fastersession.asgi import Receive, Scope, Send
from tests.fastersession.apps import middleware, session_id, the_session
from tests.fastersession.browser import Browser, by_path, reply_with
from tests.fastersession.spy import SpyStore, eventually
from tests.fastersession.test_session import LEASE, reloaded, session, stored


async def logged_out(store: SpyStore) -> str:
    journal = Journal()
    journal.extend(["a", "b"])
    return await stored(store, j=journal, n=1)


async def whole(store: SpyStore, id_: str) -> dict[str, Any] | None:
    """What is stored under the id, in plain values; None for nothing."""
    again = session(store, id_)
    await again.load()
    if again.is_new:
        return None
    return {name: list(v) if isinstance(v, Journal) else v for name, v in again.get_session().items()}


def log_in(turn: Session) -> None:
    turn.rotate()
    turn.get_session()["user"] = "ada"
    turn.get_session()["j"].append("c")


BEFORE: dict[str, object] = {"j": ["a", "b"], "n": 1}
AFTER: dict[str, object] = {"j": ["a", "b", "c"], "n": 1, "user": "ada"}


async def test_24_30_journals_move_along_and_the_old_id_is_dead() -> None:
    store = SpyStore()
    id_ = await logged_out(store)
    turn = await reloaded(store, id_)
    log_in(turn)
    await turn.save()
    assert store.calls == ["load", "copy", "save", "delete"]
    assert (await whole(store, turn.id), await whole(store, id_)) == (AFTER, None)
    turn.get_session()["j"].append("d")
    await turn.save()
    assert store.calls[-1] == "append"
    assert (await reloaded(store, turn.id)).get_session()["j"][-1] == "d"


@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize("call", ["copy", "save"])
async def test_27_30_a_move_that_fails_leaves_the_old_session_and_can_be_repeated(
    call: str, lost: bool
) -> None:
    store = SpyStore()
    id_ = await logged_out(store)
    turn = await reloaded(store, id_)
    log_in(turn)
    store.lost, store.broken = ({call}, set()) if lost else (set(), {call})
    with pytest.raises(StoreUnavailable):
        await turn.save()
    store.broken = set()
    assert await whole(store, id_) == BEFORE
    await turn.save()
    assert (await whole(store, turn.id), await whole(store, id_)) == (AFTER, None)

    async def is_tidy() -> bool:
        return len(store.memory) == 1  # what the first attempt left is gone

    await eventually(is_tidy)


@pytest.mark.parametrize("lost", [True, False])
async def test_27_31_an_old_id_that_cannot_be_deleted_is_deleted_later(lost: bool) -> None:
    store = SpyStore()
    id_ = await logged_out(store)
    turn = await reloaded(store, id_)
    log_in(turn)
    store.lost, store.broken = ({"delete"}, set()) if lost else (set(), {"delete"})
    await turn.save()
    assert await whole(store, turn.id) == AFTER
    store.broken = set()

    async def is_gone() -> bool:
        return await whole(store, id_) is None

    await eventually(is_gone)


async def test_27_32_what_others_append_while_it_moves_is_not_lost() -> None:
    store = SpyStore()
    id_ = await logged_out(store)
    turn, other = await reloaded(store, id_), await reloaded(store, id_)
    other.get_session()["j"].append("other")
    other.get_session()["theirs"] = True
    log_in(turn)
    store.meanwhile["delete"] = other.save
    await turn.save()
    assert await whole(store, turn.id) == {**AFTER, "j": ["a", "b", "other", "c"], "theirs": True}
    assert await whole(store, id_) is None
    other.get_session()["j"].append("late")
    with pytest.raises(VersionConflict):  # who is still at work under the old id is told
        await other.save()


async def test_27_33_a_session_that_ends_while_it_moves_stays_ended() -> None:
    store = SpyStore()
    id_ = await logged_out(store)
    turn, other = await reloaded(store, id_), await reloaded(store, id_)
    other.invalidate()
    log_in(turn)
    store.meanwhile["delete"] = other.save
    with pytest.raises(VersionConflict):
        await turn.save()

    async def is_empty() -> bool:
        return len(store.memory) == 0

    await eventually(is_empty)


@pytest.mark.parametrize("call", ["copy", "delete"])
async def test_27_34_a_conflict_of_attributes_moves_nothing(call: str) -> None:
    store = SpyStore()
    id_ = await logged_out(store)
    turn, other = await reloaded(store, id_), await reloaded(store, id_)
    other.get_session()["user"] = "bob"
    log_in(turn)
    store.meanwhile[call] = other.save
    with pytest.raises(VersionConflict):
        await turn.save()
    assert await whole(store, id_) == {**BEFORE, "user": "bob"}


async def test_27_35_a_move_that_is_cancelled_goes_on() -> None:
    store = SpyStore()
    id_ = await logged_out(store)
    turn = await reloaded(store, id_)
    log_in(turn)
    store.gate.clear()
    saving = asyncio.create_task(turn.save())
    await store.called("save")
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    store.gate.set()
    await turn.save()
    assert (await whole(store, turn.id), await whole(store, id_)) == (AFTER, None)


@pytest.mark.parametrize("silent", ["copy", "save", "delete"])
async def test_27_36_a_store_that_falls_silent_while_it_moves_loses_nothing(silent: str) -> None:
    store = SpyStore()
    id_ = await logged_out(store)
    turn = session(store, id_, io_timeout=0.2)
    await turn.load()
    log_in(turn)
    store.meanwhile[silent] = asyncio.Event().wait
    try:
        await turn.save()
    except StoreUnavailable:
        assert await whole(store, id_) == BEFORE
        await turn.save()
    assert await whole(store, turn.id) == AFTER


async def test_27_37_ended_after_it_was_moved_both_ids_are_dead() -> None:
    store = SpyStore()
    id_ = await logged_out(store)
    turn = await reloaded(store, id_)
    log_in(turn)
    await turn.save()
    turn.rotate()
    turn.invalidate()
    await turn.save()
    assert len(store.memory) == 0


async def test_27_38_twice_moved_is_moved_once() -> None:
    store = SpyStore()
    id_ = await logged_out(store)
    turn = await reloaded(store, id_)
    turn.rotate()
    log_in(turn)
    await turn.save()
    assert store.calls == ["load", "copy", "save", "delete"]
    assert (await whole(store, turn.id), await whole(store, id_)) == (AFTER, None)


async def test_27_39_an_unanswered_save_is_settled_before_it_moves() -> None:
    store = SpyStore()
    id_ = await logged_out(store)
    turn = await reloaded(store, id_)
    turn.get_session()["j"].append("unanswered")
    store.lost = {"append"}
    with pytest.raises(StoreUnavailable):
        await turn.save()
    log_in(turn)
    await turn.save()
    assert await whole(store, turn.id) == {**AFTER, "j": ["a", "b", "unanswered", "c"]}


async def test_27_40_a_moving_session_can_still_be_exported() -> None:
    store = SpyStore()
    id_ = await logged_out(store)
    turn = await reloaded(store, id_)
    log_in(turn)
    assert [entry async for entry in turn.entries(turn.get_session()["j"])] == ["a", "b", "c"]


async def test_24_31_a_turn_that_logs_in_is_moved_before_the_client_learns_the_id() -> None:
    order: list[str] = []

    async def turn(scope: Scope, receive: Receive, send: Send) -> None:
        current = the_session(scope)
        await current.load(lease_seconds=LEASE)
        current.rotate()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        order.extend(call for call in store.calls if call != "release")  # of the former id: in the background
        assert current.has_lease
        current.get_session()["user"] = "ada"
        await current.save()
        await send({"type": "http.response.body", "body": b"done"})

    async def count(scope: Scope, receive: Receive, send: Send) -> None:
        the_session(scope).get_session()["n"] = 1
        await reply_with(send)

    store = SpyStore()
    browser = Browser(middleware(store, by_path(count=count, turn=turn), autoload=True))
    await browser.ask("/count")
    store.calls.clear()
    await browser.ask("/turn")
    assert order == ["load", "load+lease", "copy", "save", "delete", "load+lease"]
    assert await whole(store, session_id(browser)) == {"n": 1, "user": "ada"}
    assert len(store.memory) == 1


async def test_24_33_a_lease_that_cannot_be_moved_costs_no_session() -> None:
    async def turn(scope: Scope, receive: Receive, send: Send) -> None:
        current = the_session(scope)
        await current.load(lease_seconds=LEASE)
        current.rotate()
        store.meanwhile["release"] = fail
        await reply_with(send)

    async def fail() -> None:
        store.meanwhile["load"] = fail
        if store.calls[-1] == "load+lease":
            raise StoreUnavailable("away for a moment")

    async def count(scope: Scope, receive: Receive, send: Send) -> None:
        the_session(scope).get_session()["n"] = 1
        await reply_with(send)

    store = SpyStore()
    browser = Browser(middleware(store, by_path(count=count, turn=turn)))
    await browser.ask("/count")
    before = session_id(browser)
    assert (await browser.ask("/turn")).status == 200
    store.meanwhile.clear()
    assert session_id(browser) != before
    assert await whole(store, session_id(browser)) == {"n": 1}


@pytest.mark.parametrize("silent", [False, True])
async def test_24_35_a_former_lease_that_cannot_be_given_back_costs_no_session(silent: bool) -> None:
    async def turn(scope: Scope, receive: Receive, send: Send) -> None:
        current = the_session(scope)
        await current.load(lease_seconds=LEASE)
        current.rotate()
        store.meanwhile["release"] = for_long if silent else fail
        await reply_with(send)

    async def fail() -> None:
        store.down = True
        raise StoreUnavailable("away from here on")

    async def for_long() -> None:
        await asyncio.sleep(60)

    async def count(scope: Scope, receive: Receive, send: Send) -> None:
        the_session(scope).get_session()["n"] = 1
        await reply_with(send)

    store = SpyStore()
    browser = Browser(middleware(store, by_path(count=count, turn=turn)))
    await browser.ask("/count")
    before = session_id(browser)
    assert (await browser.ask("/turn")).status == 200
    store.down = False
    assert session_id(browser) != before
    assert await whole(store, session_id(browser)) == {"n": 1}


async def test_24_32_a_log_in_that_cannot_be_stored_changes_no_cookie() -> None:
    async def turn(scope: Scope, receive: Receive, send: Send) -> None:
        the_session(scope).rotate()
        the_session(scope).get_session()["user"] = "ada"
        await reply_with(send)

    async def count(scope: Scope, receive: Receive, send: Send) -> None:
        the_session(scope).get_session()["n"] = 1
        await reply_with(send)

    store = SpyStore()
    browser = Browser(middleware(store, by_path(count=count, turn=turn)))
    await browser.ask("/count")
    before = session_id(browser)
    store.broken = {"save"}
    assert (await browser.ask("/turn")).status == 503
    store.broken = set()
    assert session_id(browser) == before
    assert await whole(store, before) == {"n": 1}


async def test_27_41_a_moved_session_is_as_well_known_as_before() -> None:
    """Otherwise a log-in would put it among those that a flood pushes out."""
    store = SpyStore()
    store.memory = MemoryStore(max_sessions=10, clock=store.clock)
    turn = await reloaded(store, await logged_out(store))
    log_in(turn)
    await turn.save()
    for _ in range(30):
        await stored(store, n=1)
    assert await whole(store, turn.id) == AFTER
