"""Liveness by signs of life, readiness by the first of them, and the metrics' page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from chatstream_operator.handlers.pulse import Pulse
from chatstream_operator.handlers.web import build_health_app, build_metrics_app, serve
from chatstream_operator.reconcile import Metrics
from chatstream_operator.reconcile.metrics import CONDITIONS
from tests.operator.waiting import until


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pulse(clock: Clock) -> Pulse:
    return Pulse(["pods", "services"], limit=100, clock=clock)


def test_it_is_alive_until_a_watch_is_silent_for_too_long(pulse: Pulse, clock: Clock) -> None:
    clock.now = 99
    assert pulse.problems() == []
    pulse.beat("pods")
    clock.now = 101
    assert pulse.problems() == ["services silent for 101 s"]
    pulse.beat("services")
    assert pulse.problems() == []


def test_it_is_ready_when_all_watches_were_heard(pulse: Pulse) -> None:
    pulse.beat("pods")
    assert (pulse.is_ready(), pulse.has_beaten(["pods"])) == (False, True)
    pulse.beat("services")
    assert pulse.is_ready()


def test_silence_of_the_api_server_is_excused_and_makes_nothing_ready(pulse: Pulse, clock: Clock) -> None:
    clock.now = 90
    pulse.excuse("pods", "services")
    clock.now = 180
    assert (pulse.problems(), pulse.is_ready(), pulse.has_beaten(["pods"])) == ([], False, False)
    clock.now = 191
    assert len(pulse.problems()) == 2


def test_a_late_loop_is_a_problem(pulse: Pulse) -> None:
    pulse.lag = 11.0
    assert pulse.problems() == ["event loop late by 11.0 s"]


async def test_the_loops_lag_is_measured(pulse: Pulse) -> None:
    pulse.lag = 99.0
    task = asyncio.create_task(pulse.measure_lag(every=0.001))
    await until(lambda: pulse.lag != 99.0)
    task.cancel()
    assert pulse.lag < 10


@asynccontextmanager
async def fetching(app: web.Application, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
    async with (
        serve(app, 0, "127.0.0.1") as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as response,
    ):
        yield response


async def test_healthz_says_what_is_silent(pulse: Pulse, clock: Clock) -> None:
    app = build_health_app(pulse, lambda: True)
    async with fetching(app, "/healthz") as response:
        assert (response.status, await response.text()) == (200, "ok")
    clock.now = 101
    async with fetching(build_health_app(pulse, lambda: True), "/healthz") as response:
        assert response.status == 503
        assert await response.text() == "pods silent for 101 s; services silent for 101 s"


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
async def test_readyz_follows_readiness(pulse: Pulse, ready: bool, status: int) -> None:
    async with fetching(build_health_app(pulse, lambda: ready), "/readyz") as response:
        assert response.status == status


async def test_metrics_have_their_names() -> None:
    registry = CollectorRegistry()
    Metrics(registry).reconcile_errors.labels("Unavailable").inc()
    async with fetching(build_metrics_app(registry), "/metrics") as response:
        text = await response.text()
        assert response.headers["Content-Type"].startswith("text/plain")
    assert 'chatstream_operator_reconcile_errors_total{reason="Unavailable"} 1.0' in text
    assert "chatstream_operator_reconcile_seconds_bucket" in text
    for condition in CONDITIONS:
        assert f'chatstream_resources{{condition="{condition}"}} 0.0' in text
