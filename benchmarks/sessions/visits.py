"""A trivial endpoint that counts visits in its session: ours in memory and in Redis, and Starlette's."""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fastersession import FasterSessionMiddleware, MemoryStore, RedisStore, SessionStore

_KEY = "a key for benchmarks, on loopback only"


async def visits(request: Request) -> Response:
    session = request.state.session.get_session()
    session["visits"] = session.get("visits", 0) + 1
    return JSONResponse({"visits": session["visits"]})


async def cookie_visits(request: Request) -> Response:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JSONResponse({"visits": request.session["visits"]})


def _ours(store: SessionStore) -> Starlette:
    middleware = Middleware(FasterSessionMiddleware, secret_key=_KEY, store=store)
    return Starlette(routes=[Route("/visits", visits, methods=["POST"])], middleware=[middleware])


def in_memory() -> Starlette:
    """Ours in memory."""
    return _ours(MemoryStore())


def in_redis() -> Starlette:
    """Ours in Redis."""
    return _ours(RedisStore.from_url(os.environ["BENCH_REDIS_URL"]))


def in_cookie() -> Starlette:
    """Starlette's: everything is in the cookie."""
    routes = [Route("/visits", cookie_visits, methods=["POST"])]
    return Starlette(routes=routes, middleware=[Middleware(SessionMiddleware, secret_key=_KEY)])
