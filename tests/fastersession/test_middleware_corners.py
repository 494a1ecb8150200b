"""The rarer ways of responses: other kinds of messages, sends that fail, errors after the answer."""

import asyncio
import json
import logging
from collections.abc import Sequence

import pytest

from fastersession import Lease, LeaseHeld, StoreUnavailable, register_type
from fastersession.asgi import ASGIApp, Message, Receive, Scope, Send
from fastersession.cookies import IdSigner
from tests.fastersession.apps import count, middleware, peek, the_session
from tests.fastersession.browser import KEY, Browser, by_path, reply_with
from tests.fastersession.spy import SpyStore, eventually

START: Message = {"type": "http.response.start", "status": 200, "headers": []}


class Stubborn:
    """Cannot be stored, and fails in a way of its own."""

    def to_json(self) -> object:
        raise LookupError("for this test")


register_type(Stubborn, "tests.Stubborn", to_json=Stubborn.to_json, from_json=lambda _: Stubborn())


async def sent(store: SpyStore, *messages: Message) -> list[str]:
    """What the store and the server hear, in order, when a session that was written to sends these."""
    heard: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for index, message in enumerate(messages):
            the_session(scope).get_session()["n"] = index
            await send(message)

    async def hear(message: Message) -> None:
        heard.extend([*store.calls, message["type"].removeprefix("http.response.")])
        store.calls.clear()

    await Browser(middleware(store, app)).ask(send=hear)
    return heard + store.calls


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([START, {"type": "http.response.pathsend", "path": "/x"}], ["save", "start", "save", "pathsend"]),
        (
            [START, {"type": "http.response.zerocopysend", "file": 1}],
            ["save", "start", "save", "zerocopysend"],
        ),
        (
            [
                {**START, "trailers": True},
                {"type": "http.response.body", "body": b"1", "more_body": False},
                {"type": "http.response.trailers", "headers": [], "more_trailers": False},
            ],
            ["save", "start", "save", "body", "trailers", "save"],
        ),
        (
            [
                {"type": "http.response.early_hint", "links": []},
                {"type": "http.response.debug", "info": {}},
                START,
                {"type": "http.response.push", "path": "/x"},
                {"type": "http.response.of_the_future"},
                {"type": "http.response.body"},
            ],
            ["early_hint", "debug", "save", "start", "push", "of_the_future", "save", "body"],
        ),
    ],
)
async def test_27_60_every_message_passes_and_the_last_one_comes_after_the_save(
    messages: Sequence[Message], expected: list[str]
) -> None:
    assert await sent(SpyStore(), *messages) == expected


async def test_27_61_messages_pass_as_they_came() -> None:
    hint: Message = {"type": "http.response.early_hint", "links": [b"</a>"], "more": object()}
    trailers: Message = {"type": "http.response.trailers", "headers": [(b"a", b"b")]}
    body: Message = {"type": "http.response.body", "body": b"1"}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in (hint, START, body, trailers):
            await send(message)

    reply = await Browser(middleware(SpyStore(), app)).ask()
    assert reply.messages == [hint, START, body, trailers]


@pytest.mark.parametrize("status", [204, 304])
async def test_27_62_a_response_without_a_body_sets_the_cookie(status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        the_session(scope).get_session()["n"] = 1
        await reply_with(send, status=status)

    browser = Browser(middleware(SpyStore(), by_path(write=app, peek=peek)))
    assert (await browser.ask("/write", method="HEAD")).status == status
    assert (await browser.ask("/peek")).body == b'{"n": 1}'


@pytest.mark.parametrize("at", ["http.response.start", "http.response.body"])
async def test_27_63_a_client_that_is_gone_when_it_is_sent_to_loses_no_write(at: str) -> None:
    async def gone(message: Message) -> None:
        if message["type"] == at:
            raise OSError("the client is gone")

    store = SpyStore()
    browser = Browser(middleware(store))
    await browser.ask("/count")
    with pytest.raises(OSError, match="gone"):
        await browser.ask("/count", send=gone)
    assert (await browser.ask("/count")).body == b"3"


async def test_27_64_a_request_that_is_cancelled_while_it_is_saved_is_saved() -> None:
    store = SpyStore()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        store.gate.clear()  # from here a save waits
        await count(scope, receive, send)

    async def is_saving() -> bool:
        return "save" in store.calls

    browser = Browser(middleware(store, by_path(count=count, held=app)))
    await browser.ask("/count")
    store.calls.clear()
    asked = asyncio.create_task(browser.ask("/held"))
    await eventually(is_saving)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    store.gate.set()
    assert (await browser.ask("/count")).body == b"3"


async def test_28_60_who_goes_on_after_the_503_fails_quietly(caplog: pytest.LogCaptureFixture) -> None:
    """The client has its answer and the log its line: no second error comes out of the application."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        the_session(scope).get_session()["n"] = 2
        store.down = True
        await send(START)
        await send({"type": "http.response.body", "body": b"token", "more_body": True})
        await the_session(scope).save()

    caplog.set_level(logging.INFO)
    store = SpyStore()
    browser = Browser(middleware(store, by_path(count=count, turn=app)))
    await browser.ask("/count")
    reply = await browser.ask("/turn")
    assert (reply.status, json.loads(reply.body)["error"]) == (503, "session_store_unavailable")
    assert [message["type"] for message in reply.messages] == ["http.response.start", "http.response.body"]
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


async def test_28_61_an_error_after_the_response_began_is_the_applications() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        store.down = True
        the_session(scope).get_session()["n"] = 2
        await the_session(scope).save()

    store = SpyStore()
    browser = Browser(middleware(store, by_path(count=count, turn=app)))
    await browser.ask("/count")
    with pytest.raises(StoreUnavailable):
        await browser.ask("/turn")


@pytest.mark.parametrize("late", [True, False])
async def test_17_31_a_lease_is_given_back_whatever_goes_wrong_at_the_end(late: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        session = the_session(scope)
        if late:
            await send(START)
        await session.load(lease_seconds=300)
        if not late:
            await send(START)
        ids.append(session.id)
        session.get_session()["it"] = Stubborn()
        await send({"type": "http.response.body", "body": b"1"})

    ids: list[str] = []
    store = SpyStore()
    with pytest.raises(LookupError):
        await Browser(middleware(store, app)).ask()

    async def is_free() -> bool:
        try:
            await store.load(ids[0], lease=Lease("another", 1))
        except LeaseHeld:
            return False
        return True

    await eventually(is_free)


def late(*, leased: bool = False, ends: bool = False, writes: bool = True, saves: bool = False) -> ASGIApp:
    """Begins its response before it does anything with the session."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        session = the_session(scope)
        await send(START)
        await session.load(lease_seconds=300 if leased else None)
        if ends:
            session.invalidate()
        if writes:
            session.get_session()["late"] = 1
        if saves:
            await session.save()
        await send({"type": "http.response.body", "body": session.id.encode()})

    return app


@pytest.mark.parametrize("autoload", [True, False])
@pytest.mark.parametrize("leased", [True, False])
@pytest.mark.parametrize("saves", [True, False])
@pytest.mark.parametrize("cookie", ["", f"__Host-session={IdSigner(KEY).sign('u' * 43)}"])
async def test_27_66_what_no_client_could_come_back_to_is_not_stored(
    autoload: bool, leased: bool, saves: bool, cookie: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = SpyStore()
    app = middleware(store, late(leased=leased, saves=saves), autoload=autoload)
    reply = await Browser(app).ask(cookie=cookie.encode())
    assert (reply.headers("set-cookie"), len(store.memory)) == ([], 0)
    assert [record.message for record in caplog.records if "after the response began" in record.message]
    assert len(caplog.records) == 1


@pytest.mark.parametrize("writes", [True, False])
async def test_27_67_an_end_after_the_response_began_is_an_end(
    writes: bool, caplog: pytest.LogCaptureFixture
) -> None:
    store = SpyStore()
    browser = Browser(middleware(store, by_path(count=count, end=late(ends=True, writes=writes))))
    await browser.ask("/count")
    await browser.ask("/end")
    assert len(store.memory) == 0
    assert ("after the response began" in caplog.text) is writes
    assert (await browser.ask("/count")).body == b"1"


@pytest.mark.parametrize("leased", [True, False])
async def test_27_68_what_is_known_is_written_to_however_late(leased: bool) -> None:
    store = SpyStore()
    app = by_path(count=count, late=late(leased=leased), peek=peek)
    browser = Browser(middleware(store, app))
    await browser.ask("/count")
    browser.app = middleware(store, app, autoload=False)
    await browser.ask("/late")
    assert (await browser.ask("/peek")).body == b'{"n": 1, "late": 1}'


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ([], {"vary": ["Cookie"], "cache-control": ["no-store"]}),
        ([(b"vary", b"Accept")], {"vary": ["Accept", "Cookie"], "cache-control": ["no-store"]}),
        ([(b"Cache-Control", b"private")], {"vary": ["Cookie"], "cache-control": []}),
        ([(b"cache-control", b"no-cache")], {"vary": ["Cookie"], "cache-control": ["no-cache"]}),
    ],
)
async def test_26_61_no_shared_cache_gives_one_browsers_cookie_to_another(
    own: list[tuple[bytes, bytes]], expected: dict[str, list[str]]
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        the_session(scope).get_session()["n"] = 1
        await send({**START, "headers": own})
        await send({"type": "http.response.body"})

    reply = await Browser(middleware(SpyStore(), app)).ask()
    assert {name: reply.headers(name) for name in expected} == expected


async def test_26_62_what_shows_a_session_varies_with_its_cookie_and_nothing_else_does() -> None:
    async def public(scope: Scope, receive: Receive, send: Send) -> None:
        await reply_with(send)

    browser = Browser(middleware(SpyStore(), by_path(count=count, peek=peek, public=public)))
    assert (await browser.ask("/peek")).headers("vary") == ["Cookie"]
    await browser.ask("/count")
    seen, unseen = await browser.ask("/peek"), await browser.ask("/public")
    assert (seen.headers("vary"), seen.headers("cache-control")) == (["Cookie"], [])
    assert unseen.messages[0]["headers"] == []
