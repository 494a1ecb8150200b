"""The real prober against a real server: what it reads, and that silence is an answer in time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web

from chatstream_operator.handlers.web import serve
from chatstream_operator.reconcile.probes import PROBE_SECONDS, HttpProber
from chatstream_operator.status import Probe
from tests.operator.pods import good_pod

POD = replace(good_pod(), ip="127.0.0.1")
STATUS = {
    "engine": {"up": True, "model_id": "x"},
    "sessions": {
        "store": "redis",
        "reachable": False,
        "error": "connection refused",
        "keys": ["aaaaaaaa", "bbbbbbbb"],
        "encryption_keys": ["cccccccc"],
    },
    "load": {},
    "draining": False,
    "plain_http_with_secure_cookie": 2,
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def probing(handler: Handler) -> AsyncIterator[HttpProber]:
    app = web.Application()
    app.add_routes([web.get("/status", handler)])
    async with serve(app, 0, "127.0.0.1") as port, aclosing(HttpProber(port)) as prober:
        yield prober


def answering(text: str, status: int = 200) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=text, status=status)

    return handler


async def test_what_a_server_says_is_read() -> None:
    async with probing(answering(json.dumps(STATUS))) as prober:
        assert await prober.probe(POD) == Probe(
            "demo-1", True, False, "connection refused", 2, ("aaaaaaaa", "bbbbbbbb"), ("cccccccc",)
        )


@pytest.mark.parametrize("keys", [None, "aaaaaaaa", [1, {}], {"a": 1}])
async def test_a_server_that_says_nothing_of_its_keys_has_answered(keys: object) -> None:
    status = {"sessions": {"reachable": True, "keys": keys}}
    async with probing(answering(json.dumps(status))) as prober:
        probe = await prober.probe(POD)
    assert (probe.answered, probe.session_keys, probe.encryption_keys) == (True, (), ())


@pytest.mark.parametrize(
    ("text", "status"),
    [("", 200), ("[]", 200), ("{}", 200), ("null", 200), ('{"sessions": {}}', 200), ("oops", 500)],
)
async def test_what_is_no_status_counts_as_silence(text: str, status: int) -> None:
    async with probing(answering(text, status)) as prober:
        assert not (await prober.probe(POD)).answered


async def test_a_server_that_hangs_is_waited_for_in_bounds() -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with probing(hang) as prober:
        start = time.monotonic()
        probe = await prober.probe(POD)
    assert not probe.answered
    assert PROBE_SECONDS * 0.9 < time.monotonic() - start < PROBE_SECONDS + 5


async def test_a_server_that_is_not_there_counts_as_silence() -> None:
    async with aclosing(HttpProber(1)) as prober:
        assert not (await prober.probe(POD)).answered
