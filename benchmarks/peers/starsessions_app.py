"""The same endpoints with starsessions in Redis: visits, and turns of a conversation that is a list."""

from __future__ import annotations

import os

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starsessions import SessionMiddleware, load_session
from starsessions.stores.redis import RedisStore

from benchmarks.sessions.conversation import WINDOW, answer, messages, next_turn


async def visits(request: Request) -> Response:
    await load_session(request)
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JSONResponse({"visits": request.session["visits"]})


async def begin(request: Request) -> Response:
    await load_session(request)
    count = int(request.query_params["messages"])
    request.session.update(messages=list(messages(count)), limit=count)
    return JSONResponse({})


async def turn(request: Request) -> Response:
    """The middleware saves when the response begins. Every message has been decoded, used or not."""
    await load_session(request)
    kept = request.session["messages"]
    window = kept[-WINDOW:]
    new = next_turn(window[-1])
    kept.extend(new)
    del kept[: -request.session["limit"]]
    return JSONResponse(answer(len(window), new))


app = Starlette(
    routes=[
        Route("/visits", visits, methods=["POST"]),
        Route("/begin", begin, methods=["POST"]),
        Route("/turn", turn, methods=["POST"]),
    ],
    middleware=[
        Middleware(
            SessionMiddleware,
            store=RedisStore(connection=Redis.from_url(os.environ["BENCH_REDIS_URL"])),
            lifetime=86400,
            cookie_https_only=False,
        )
    ],
)
