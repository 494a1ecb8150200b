"""Small applications behind the middleware."""

import json

from fastersession import FasterSessionMiddleware, Session
from fastersession.asgi import ASGIApp, Receive, Scope, Send
from tests.fastersession.browser import KEY, Browser, by_path, reply_with
from tests.fastersession.spy import SpyStore


def the_session(scope: Scope) -> Session:
    session = scope["state"]["session"]
    assert isinstance(session, Session)
    return session


async def count(scope: Scope, receive: Receive, send: Send) -> None:
    """Counts the requests of a session."""
    attributes = the_session(scope).get_session()
    attributes["n"] = attributes.get("n", 0) + 1
    await reply_with(send, str(attributes["n"]).encode())


async def peek(scope: Scope, receive: Receive, send: Send) -> None:
    session = the_session(scope)
    if not session.loaded:
        await session.load()
    await reply_with(send, json.dumps(dict(session.get_session())).encode())


async def log_in(scope: Scope, receive: Receive, send: Send) -> None:
    the_session(scope).rotate()
    the_session(scope).get_session()["user"] = "ada"
    await reply_with(send)


async def log_out(scope: Scope, receive: Receive, send: Send) -> None:
    the_session(scope).invalidate()
    await reply_with(send)


async def explode(scope: Scope, receive: Receive, send: Send) -> None:
    the_session(scope).get_session()["half"] = "done"
    raise ZeroDivisionError


async def turn(scope: Scope, receive: Receive, send: Send) -> None:
    """A stream that takes the lease, writes to the session while it runs, and saves it by itself."""
    session = the_session(scope)
    await session.load(lease_seconds=300)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"token ", "more_body": True})
    history = session.get_session().setdefault("history", [])
    history.append("token")
    await session.save()
    await send({"type": "http.response.body", "body": b"done"})


APP = by_path(count=count, peek=peek, log_in=log_in, log_out=log_out, explode=explode, turn=turn)


def middleware(store: SpyStore, app: ASGIApp = APP, *, autoload: bool = True) -> FasterSessionMiddleware:
    return FasterSessionMiddleware(
        app, secret_key=KEY, store=store, secure=True, clock=store.clock, autoload=autoload, idle_timeout=1000
    )


def session_id(browser: Browser) -> str:
    """The id in a browser's cookie."""
    return next(iter(browser.cookies.values())).partition(".")[0]
