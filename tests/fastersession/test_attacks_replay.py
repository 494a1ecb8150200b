"""Stolen cookies that are used in the very moment in which their session ends or changes its id."""

import asyncio
import json
from collections.abc import Awaitable

import pytest

from fastersession import FasterSessionMiddleware, SessionStore
from fastersession.asgi import ASGIApp, Receive, Scope, Send
from tests.fastersession.apps import APP, count, log_in, log_out, middleware, peek, the_session
from tests.fastersession.browser import KEY, Browser, Reply, by_path, reply_with
from tests.fastersession.spy import SpyStore
from tests.fastersession.stores import StoreUnderTest

NAME = "__Host-session"


def served(store: SessionStore, app: ASGIApp = APP) -> FasterSessionMiddleware:
    return FasterSessionMiddleware(app, secret_key=KEY, store=store, secure=True)


async def seen_with(app: ASGIApp, cookie: bytes) -> dict[str, object]:
    """What whoever has this cookie sees."""
    seen: dict[str, object] = json.loads((await Browser(app).ask("/peek", cookie=cookie)).body)
    return seen


async def race(*requests: Awaitable[Reply]) -> list[Reply]:
    """All at once; a stream whose session is gone may break off."""
    replies = await asyncio.gather(*requests, return_exceptions=True)
    return [reply for reply in replies if isinstance(reply, Reply)]


async def test_27_50_a_session_that_ended_stays_ended_however_it_is_replayed(
    under_test: StoreUnderTest,
) -> None:
    app = served(under_test.store)
    for round_ in range(12):
        ada, thieves = Browser(app), [Browser(app) for _ in range(6)]
        await ada.ask("/count")
        stolen = f"{NAME}={ada.cookies[NAME]}".encode()
        paths = ["/count", "/turn", "/peek"] * 2
        replays = [thief.ask(path, cookie=stolen) for thief, path in zip(thieves, paths, strict=True)]
        requests = [*replays[: round_ % 7], ada.ask("/log_out"), *replays[round_ % 7 :]]
        replies = await race(*requests)
        assert {reply.status for reply in replies} <= {200, 409}
        assert ada.cookies == {}
        assert await seen_with(app, stolen) == {}
        for thief in thieves:  # what was begun for them instead has nothing of ada's
            assert (await thief.ask("/peek")).body in (b"{}", b'{"n": 1}', b'{"history": ["token"]}')


async def test_27_51_a_session_that_got_a_new_id_has_only_that_one(under_test: StoreUnderTest) -> None:
    app = served(under_test.store)
    changed = 0
    for round_ in range(12):
        ada, thieves = Browser(app), [Browser(app) for _ in range(4)]
        await ada.ask("/count")
        stolen = f"{NAME}={ada.cookies[NAME]}".encode()
        replays = [thief.ask("/count", cookie=stolen) for thief in thieves]
        requests = [*replays[: round_ % 5], ada.ask("/log_in"), *replays[round_ % 5 :]]
        await race(*requests)
        logged_in = f"{NAME}={ada.cookies[NAME]}".encode() != stolen
        changed += logged_in
        assert ("user" in (await seen_with(app, stolen))) is False
        if logged_in:
            assert await seen_with(app, stolen) == {}
            assert json.loads((await ada.ask("/peek")).body)["user"] == "ada"
        for thief in thieves:
            assert b"ada" not in (await thief.ask("/peek")).body
    assert changed


async def test_27_52_of_two_log_ins_at_once_one_session_comes(under_test: StoreUnderTest) -> None:
    app = served(under_test.store)
    for _ in range(8):
        ada, twin = Browser(app), Browser(app)
        await ada.ask("/count")
        stolen = f"{NAME}={ada.cookies[NAME]}".encode()
        twin.cookies.update(ada.cookies)
        await race(ada.ask("/log_in"), twin.ask("/log_in"))
        assert await seen_with(app, stolen) == {}
        living = [browser for browser in (ada, twin) if (await browser.ask("/peek")).body != b"{}"]
        assert len(living) == 1


def _held(go_on: asyncio.Event, started: asyncio.Event) -> ASGIApp:
    """Reads the session, then waits, then writes to it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        attributes = the_session(scope).get_session()
        started.set()
        await go_on.wait()
        attributes["n"] = 100
        await reply_with(send)

    return app


@pytest.mark.parametrize("ending", ["/log_out", "/log_in"])
async def test_27_53_who_read_a_session_before_its_end_cannot_write_it_back(ending: str) -> None:
    go_on, started = asyncio.Event(), asyncio.Event()
    handlers = by_path(count=count, peek=peek, log_in=log_in, log_out=log_out, held=_held(go_on, started))
    store = SpyStore()
    app = middleware(store, handlers)
    ada = Browser(app)
    await ada.ask("/count")
    stolen = f"{NAME}={ada.cookies[NAME]}".encode()
    replay = asyncio.create_task(Browser(app).ask("/held", cookie=stolen))
    await started.wait()
    await ada.ask(ending)
    go_on.set()
    reply = await replay
    assert (reply.status, json.loads(reply.body)["error"]) == (409, "session_conflict")
    assert reply.headers("set-cookie") == []
    assert await seen_with(app, stolen) == {}
    assert (await ada.ask("/peek")).body in (b"{}", b'{"n": 1, "user": "ada"}')
