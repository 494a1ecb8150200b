"""The floor: no session at all, but as many round trips to Redis of the same sizes, by redis-py alone."""

from __future__ import annotations

import os

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_redis = Redis.from_url(os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1"))


async def visits(_: Request) -> Response:
    """A trivial endpoint."""
    return JSONResponse({"visits": 1})


async def begin(request: Request) -> Response:
    """Make what is read."""
    size = request.query_params["read"]
    await _redis.set(f"floor:{size}", "x" * int(size))
    return JSONResponse({})


async def turn(request: Request) -> Response:
    """One GET, one SET."""
    size = request.query_params["read"]
    value = await _redis.get(f"floor:{size}")
    await _redis.set("floor:written", "x" * int(request.query_params["write"]), ex=3600)
    return JSONResponse({"read": len(value or "")})


app = Starlette(
    routes=[
        Route("/visits", visits, methods=["POST"]),
        Route("/begin", begin, methods=["POST"]),
        Route("/turn", turn, methods=["POST"]),
    ]
)
