"""Ends that were not expected: told to the application, and never told falsely."""

from contextlib import suppress

import pytest

from fastersession import FasterSessionMiddleware, Lease, MemoryStore, StoreUnavailable
from fastersession.asgi import Receive, Scope, Send
from tests.fastersession.apps import count, middleware, peek, session_id, the_session
from tests.fastersession.browser import KEY, Browser, by_path, reply_with
from tests.fastersession.spy import SpyStore
from tests.fastersession.test_session import LEASE, reloaded, session, stored


async def ended(scope: Scope, receive: Receive, send: Send) -> None:
    current = the_session(scope)
    if not current.loaded:
        await current.load()
    await reply_with(send, str(current.previous_ended).encode())


async def turn(scope: Scope, receive: Receive, send: Send) -> None:
    """A leased stream that fails before it has anything to store."""
    current = the_session(scope)
    await current.load(lease_seconds=LEASE)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/turn_release":
        await current.release()
    if scope["path"] == "/turn_raise":
        raise ZeroDivisionError
    await send({"type": "http.response.body", "body": b"nothing"})


APP = by_path(count=count, peek=peek, ended=ended, turn=turn, turn_release=turn, turn_raise=turn)


async def test_27_50_a_first_visit_is_no_end() -> None:
    browser = Browser(middleware(SpyStore(), APP))
    assert (await browser.ask("/ended")).body == b"False"
    await browser.ask("/count")
    assert (await browser.ask("/ended")).body == b"False"


@pytest.mark.parametrize("how", ["expired", "deleted"])
async def test_27_51_a_session_that_is_gone_is_told(how: str) -> None:
    store = SpyStore()
    browser = Browser(middleware(store, APP))
    await browser.ask("/count")
    if how == "expired":
        store.clock.now += 1001
    else:
        await store.delete(session_id(browser))
    assert (await browser.ask("/ended")).body == b"True"


async def test_27_52_a_forged_cookie_is_no_end() -> None:
    browser = Browser(middleware(SpyStore(), APP))
    forged = b"__Host-session=" + b"A" * 43 + b"." + b"A" * 43
    assert (await browser.ask("/ended", cookie=forged)).body == b"False"


async def test_27_53_a_store_that_is_away_is_no_end() -> None:
    store = SpyStore()
    current = session(store, await stored(store, n=1))
    store.down = True
    with pytest.raises(StoreUnavailable):
        await current.load()
    assert not current.previous_ended


async def test_27_54_with_a_lease_it_is_told_too() -> None:
    current = session(SpyStore(), "A" * 43)
    await current.load(lease_seconds=LEASE)
    assert current.previous_ended


@pytest.mark.parametrize("how", ["turn", "turn_release", "turn_raise"])
@pytest.mark.parametrize("autoload", [True, False])
async def test_27_55_a_cookie_that_was_sent_has_a_record(how: str, autoload: bool) -> None:
    store = SpyStore()
    browser = Browser(middleware(store, APP, autoload=autoload))
    with suppress(ZeroDivisionError):
        await browser.ask(f"/{how}")
    assert store.calls == ["load+lease", "save+release"]
    assert len(store.memory) == 1  # and no lease
    if how != "turn_raise":  # of which this browser saw no end
        record = await store.load(session_id(browser), lease=Lease("next", 1))
        assert record is not None
        assert (record.attributes, record.version) == ("{}", 1)
        assert (await browser.ask("/ended")).body == b"False"


async def test_27_56_a_browser_that_is_known_is_given_no_empty_record() -> None:
    store = SpyStore()
    browser = Browser(middleware(store, APP))
    await browser.ask("/count")
    store.calls.clear()
    await browser.ask("/turn_release")
    assert store.calls == ["load", "load+lease", "release", "touch"]


async def test_27_57_a_new_session_is_kept_for_its_cookie_to_come_back() -> None:
    store = SpyStore()
    app = FasterSessionMiddleware(
        APP, secret_key=KEY, store=store, secure=True, clock=store.clock, unconfirmed_timeout=60
    )
    lost, kept = Browser(app), Browser(app)
    for browser in (lost, kept):
        await browser.ask("/count")
    store.clock.now += 50
    assert (await kept.ask("/peek")).body == b'{"n": 1}'  # to look is enough
    store.clock.now += 50
    assert (await kept.ask("/count")).body == b"2"
    store.clock.now += 80_000
    assert (await kept.ask("/count")).body == b"3"
    assert (await lost.ask("/ended")).body == b"True"


async def test_27_58_written_to_again_in_its_first_request_it_is_still_new() -> None:
    store = SpyStore()
    current = session(store)
    await current.load()
    for n in range(2):
        current.get_session()["n"] = n
        await current.save()
        await current.load(lease_seconds=LEASE)
    await current.release()
    assert current.is_new


async def test_27_59_a_flood_evicts_only_itself() -> None:
    store = SpyStore()
    store.memory = MemoryStore(max_sessions=100, clock=store.clock)
    known = [await stored(store, n=n) for n in range(50)]
    for id_ in known:
        await reloaded(store, id_)
    newcomer = await stored(store, n=50)
    for _ in range(1_000):
        await stored(store, n=0)
    assert len(store.memory) == 100
    assert [(await reloaded(store, id_)).is_new for id_ in known] == [False] * 50
    assert (await reloaded(store, newcomer)).is_new


async def test_27_60_in_a_store_full_of_known_ones_there_is_room_for_new_ones() -> None:
    for most in (1, 2, 10, 25):
        store = SpyStore()
        store.memory = MemoryStore(max_sessions=most, clock=store.clock)
        for _ in range(3 * most):
            id_ = await stored(store, n=1)
            assert not (await reloaded(store, id_)).is_new
        assert len(store.memory) <= most


async def test_27_61_what_may_have_been_created_ends_too() -> None:
    store = SpyStore()
    current = session(store)
    await current.load()
    current.get_session()["n"] = 1
    store.lost = {"save"}
    with pytest.raises(StoreUnavailable):
        await current.save()
    current.invalidate()
    await current.save()
    assert len(store.memory) == 0
