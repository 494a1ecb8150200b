"""The middleware as applications and browsers see it."""

import asyncio
import json

import pytest

from fastersession import Lease, LeaseHeld, StoreUnavailable
from fastersession.asgi import Message, Receive, Scope, Send
from tests.fastersession.apps import count, middleware, peek, session_id, the_session
from tests.fastersession.browser import Browser, by_path, reply_with
from tests.fastersession.spy import SpyStore, eventually


async def test_19c_the_second_request_of_a_browser_sees_the_first() -> None:
    app = middleware(SpyStore())
    ada, bob = Browser(app), Browser(app)
    assert [(await ada.ask("/count")).body, (await ada.ask("/count")).body] == [b"1", b"2"]
    assert (await bob.ask("/count")).body == b"1"


async def test_27s_reading_makes_no_cookie_and_no_record() -> None:
    store = SpyStore()
    reply = await Browser(middleware(store)).ask("/peek")
    assert (reply.headers("set-cookie"), store.calls, len(store.memory)) == ([], [], 0)


async def test_27t_a_request_that_only_reads_slides_the_end() -> None:
    store = SpyStore()
    browser = Browser(middleware(store))
    await browser.ask("/count")
    for _ in range(3):
        store.clock.now += 900
        assert (await browser.ask("/peek")).body == b'{"n": 1}'
    assert store.calls[1:] == ["load", "touch"] * 3


async def test_27u_log_in_changes_the_id_log_out_ends_it() -> None:
    browser = Browser(middleware(SpyStore()))
    await browser.ask("/count")
    before = dict(browser.cookies)
    await browser.ask("/log_in")
    during = dict(browser.cookies)
    assert before != during
    assert (await browser.ask("/peek")).body == b'{"n": 1, "user": "ada"}'
    assert (await browser.ask("/log_out")).headers("set-cookie")[0].startswith("__Host-session=; Max-Age=0")
    assert browser.cookies == {}
    for replayed in (before, during):
        cookie = f"__Host-session={replayed['__Host-session']}".encode()
        assert (await browser.ask("/peek", cookie=cookie)).body == b"{}"


async def test_27v_the_session_is_stored_before_the_client_can_ask_again() -> None:
    store = SpyStore()
    order: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        the_session(scope).get_session()["a"] = 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"1", "more_body": True})
        the_session(scope).get_session()["b"] = 1
        await send({"type": "http.response.body", "body": b"2"})

    async def seen(message: Message) -> None:
        order.extend([*store.calls, message["type"] + str(message.get("body", ""))])
        store.calls.clear()

    await Browser(middleware(store, app)).ask(send=seen)
    kinds = ["save", "http.response.start", "http.response.bodyb'1'", "save", "http.response.bodyb'2'"]
    assert order == kinds


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
async def test_27w_other_methods_are_no_exception(method: str) -> None:
    browser = Browser(middleware(SpyStore()))
    await browser.ask("/count", method=method)
    assert (await browser.ask("/count")).body == b"2"


async def test_27x_who_writes_to_a_new_session_too_late_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        the_session(scope).get_session()["late"] = 1
        await send({"type": "http.response.body", "body": b""})

    store = SpyStore()
    await Browser(middleware(store, app)).ask()
    assert "after the response began" in caplog.text
    assert store.calls == []


async def test_27y_a_request_that_fails_before_it_answers_changes_nothing() -> None:
    store = SpyStore()
    browser = Browser(middleware(store))
    await browser.ask("/count")
    with pytest.raises(ZeroDivisionError):
        await browser.ask("/explode")
    assert (await browser.ask("/peek")).body == b'{"n": 1}'


async def test_27z_other_scopes_pass_untouched() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    for kind in ("websocket", "lifespan"):
        scope: Scope = {"type": kind}

        async def nothing() -> Message:
            return {}

        async def drop(message: Message) -> None: ...

        await middleware(SpyStore(), app)(scope, nothing, drop)
    assert seen == [{"type": "websocket"}, {"type": "lifespan"}]


@pytest.mark.parametrize("autoload", [True, False])
async def test_28g_a_turn_saves_itself_and_the_middleware_adds_nothing(autoload: bool) -> None:
    store = SpyStore()
    browser = Browser(middleware(store, autoload=autoload))
    reply = await browser.ask("/turn")
    assert reply.headers("set-cookie") != []  # the record comes later, the cookie can come only now
    assert store.calls == ["load+lease", "save+release"]
    store.calls.clear()
    await browser.ask("/turn")
    assert store.calls == (["load"] if autoload else []) + ["load+lease", "save+release"]
    assert (await browser.ask("/peek")).body == b'{"history": ["token", "token"]}'


async def test_28h_an_absent_store_is_a_503_never_an_empty_session(caplog: pytest.LogCaptureFixture) -> None:
    store = SpyStore()
    browser = Browser(middleware(store))
    await browser.ask("/count")
    cookies = dict(browser.cookies)
    store.down = True
    reply = await browser.ask("/peek")
    assert reply.status == 503
    assert reply.headers("retry-after") == ["2"]
    error = json.loads(reply.body)
    assert set(error) == {"error", "detail"}
    assert error["error"] == "session_store_unavailable"
    assert "down for this test" in caplog.text  # the cause names hosts: it is for the log, not for clients
    assert "down for this test" not in error["detail"]
    assert reply.headers("set-cookie") == []
    store.down = False
    assert browser.cookies == cookies
    assert (await browser.ask("/count")).body == b"2"


async def test_28i_what_needs_no_session_works_without_the_store() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply_with(send, b"fine")

    store = SpyStore()
    browser = Browser(middleware(store, by_path(count=count, static=app)))
    await browser.ask("/count")
    store.down = True
    assert (await browser.ask("/static")).body == b"fine"


async def test_28j_a_write_that_cannot_be_stored_is_a_503_and_not_a_success() -> None:
    store = SpyStore()
    store.down = True
    browser = Browser(middleware(store))
    reply = await browser.ask("/count")
    assert (reply.status, browser.cookies) == (503, {})
    assert [message["type"] for message in reply.messages] == ["http.response.start", "http.response.body"]


async def test_28k_a_store_that_goes_during_a_stream_does_not_break_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = SpyStore()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        session = the_session(scope)
        await session.load(lease_seconds=300)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        store.down = True
        session.get_session()["n"] = 1
        with pytest.raises(StoreUnavailable):
            await session.save()
        await send({"type": "http.response.body", "body": b"warning, then done"})

    reply = await Browser(middleware(store, app)).ask()
    assert (reply.status, reply.body) == (200, b"warning, then done")
    assert "the session was not saved" in caplog.text


async def test_17t_an_unhandled_held_lease_is_a_409_with_retry_after() -> None:
    store = SpyStore()
    browser = Browser(middleware(store, autoload=False))
    await browser.ask("/turn")
    await store.load(session_id(browser), lease=Lease("another pod", 12.3))
    reply = await browser.ask("/turn")
    assert (reply.status, reply.headers("retry-after")) == (409, ["13"])
    assert json.loads(reply.body)["error"] == "session_busy"


@pytest.mark.parametrize("start", [True, False])
async def test_17u_a_lease_that_nobody_gave_back_is_given_back(start: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await the_session(scope).load(lease_seconds=300)
        if start:
            await reply_with(send)
        raise ZeroDivisionError

    store = SpyStore()
    browser = Browser(middleware(store, by_path(count=count, turn=app)))
    await browser.ask("/count")
    with pytest.raises(ZeroDivisionError):
        await browser.ask("/turn")
    await store.load(session_id(browser), lease=Lease("another", 1))


async def test_17v_a_turn_that_is_cancelled_is_saved_and_frees_the_session() -> None:
    started = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        session = the_session(scope)
        await session.load(lease_seconds=300)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        session.get_session()["partial"] = "tok"
        started.set()
        await asyncio.Event().wait()

    store = SpyStore()
    browser = Browser(middleware(store, by_path(count=count, turn=app, peek=peek)))
    await browser.ask("/count")
    running = asyncio.create_task(browser.ask("/turn"))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await browser.ask("/peek")).body == b'{"n": 1, "partial": "tok"}'

    async def is_free() -> bool:
        try:
            await store.load(session_id(browser), lease=Lease("another", 1))
        except LeaseHeld:
            return False
        return True

    await eventually(is_free)
