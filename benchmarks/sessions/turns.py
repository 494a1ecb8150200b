"""Turns of a conversation as ChatStream takes them: ours in Redis, the messages in a journal."""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks.redis_server import async_round_trips
from benchmarks.sessions.conversation import WINDOW, answer, characters, messages, next_turn
from fastersession import FasterSessionMiddleware, Journal, RedisStore, Window

_LEASE_SECONDS = 60.0
_URL = os.environ["BENCH_REDIS_URL"]


async def begin(request: Request) -> Response:
    """A conversation of that many messages; it keeps this length, so each turn costs what the first did."""
    count = int(request.query_params["messages"])
    session = request.state.session
    await session.load(lease_seconds=_LEASE_SECONDS)
    journal = Journal(limit=count)
    journal.extend(messages(count))
    session.get_session()["messages"] = journal
    await session.save()
    return JSONResponse({})


async def turn(request: Request) -> Response:
    """Load a window with a lease, add two messages, save with the lease's release."""
    session = request.state.session
    await session.load(lease_seconds=_LEASE_SECONDS)
    journal = session.get_session()["messages"]
    new = next_turn(journal[-1])
    read = len(journal)
    journal.extend(new)
    await session.save()
    return JSONResponse(answer(read, new))


async def used_turn(request: Request) -> Response:
    """The same, using the text of every message of the window."""
    session = request.state.session
    await session.load(lease_seconds=_LEASE_SECONDS)
    journal = session.get_session()["messages"]
    window = journal[-WINDOW:]
    new = next_turn(window[-1])
    journal.extend(new)
    await session.save()
    return JSONResponse(answer(characters(window), new))


async def counted_turn(request: Request) -> Response:
    """The same turn, counting how often Redis reads from a client in its load, in its save."""
    session = request.state.session
    before = await async_round_trips(_URL)
    await session.load(lease_seconds=_LEASE_SECONDS)
    loaded = await async_round_trips(_URL)
    journal = session.get_session()["messages"]
    journal.extend(next_turn(journal[-1]))
    await session.save()
    saved = await async_round_trips(_URL)
    return JSONResponse({"load": loaded - before, "save": saved - loaded})


app = Starlette(
    routes=[
        Route("/begin", begin, methods=["POST"]),
        Route("/turn", turn, methods=["POST"]),
        Route("/used", used_turn, methods=["POST"]),
        Route("/counted", counted_turn, methods=["POST"]),
    ],
    middleware=[
        Middleware(
            FasterSessionMiddleware,
            secret_key="a key for benchmarks, on loopback only",
            store=RedisStore.from_url(_URL),
            autoload=False,
            window=Window(entries=WINDOW),
        )
    ],
)
