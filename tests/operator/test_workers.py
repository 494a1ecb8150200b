"""Workers: a bounded number, one at a time for a key, and none is lost to an error."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from chatstream_operator.errors import NameTaken
from chatstream_operator.handlers.workers import Workers
from chatstream_operator.reconcile import Metrics
from tests.operator.waiting import until


class Recorder:
    """Counts runs by key, and how many run at once."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self.running: dict[str, int] = defaultdict(int)
        self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.errors: list[Exception] = []
        self.again: float | None = None

    async def __call__(self, key: str) -> float | None:
        self.runs[key] += 1
        self.running[key] += 1
        assert self.running[key] == 1, "one key, twice at once"
        self.most = max(self.most, sum(self.running.values()))
        try:
            await self.gate.wait()
            if self.errors:
                raise self.errors.pop(0)
            again, self.again = self.again, None
            return again
        finally:
            self.running[key] -= 1


@asynccontextmanager
async def working(
    run: Callable[[str], Awaitable[float | None]], number: int = 2, registry: CollectorRegistry | None = None
) -> AsyncIterator[Workers[str]]:
    workers: Workers[str] = Workers(run, Metrics(registry or CollectorRegistry()), number=number)
    async with asyncio.TaskGroup() as group:
        tasks = workers.start(group)
        try:
            yield workers
        finally:
            for task in tasks:
                task.cancel()


async def test_a_key_that_is_added_is_run() -> None:
    recorder = Recorder()
    async with working(recorder) as workers:
        workers.add("a")
        await until(lambda: recorder.runs["a"] == 1)


async def test_many_keys_share_few_workers() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with working(recorder, number=3) as workers:
        for key in "abcdefgh":
            workers.add(key)
        await until(lambda: recorder.most == 3)
        recorder.gate.set()
        await until(lambda: len(recorder.runs) == 8)
    assert recorder.most == 3


async def test_changes_during_a_run_are_one_more_run() -> None:
    recorder = Recorder()
    recorder.gate.clear()
    async with working(recorder) as workers:
        workers.add("a")
        await until(lambda: recorder.runs["a"] == 1)
        for _ in range(5):
            workers.add("a")
        recorder.gate.set()
        await until(lambda: recorder.runs["a"] == 2)
        workers.add("b")
        await until(lambda: recorder.runs["b"] == 1)
    assert recorder.runs["a"] == 2


@pytest.mark.parametrize("error", [NameTaken("x"), RuntimeError("a bug")])
async def test_a_failure_is_counted_and_tried_again(error: Exception) -> None:
    recorder, registry = Recorder(), CollectorRegistry()
    recorder.errors = [error]
    async with working(recorder, registry=registry) as workers:
        workers.add("a")
        await until(lambda: recorder.runs["a"] == 2)
    reason = "NameTaken" if isinstance(error, NameTaken) else "RuntimeError"
    name = "chatstream_operator_reconcile_errors_total"
    assert registry.get_sample_value(name, {"reason": reason}) == 1
    assert registry.get_sample_value("chatstream_operator_reconcile_seconds_count") == 2


async def test_who_asks_to_be_called_again_is() -> None:
    recorder = Recorder()
    recorder.again = 0.01
    async with working(recorder) as workers:
        workers.add("a")
        await until(lambda: recorder.runs["a"] == 2)


async def test_a_key_for_later_waits_while_others_run() -> None:
    recorder = Recorder()
    async with working(recorder, number=1) as workers:
        workers.add("late", delay=3600.0)
        workers.add("soon")
        await until(lambda: recorder.runs["soon"] == 1)
    assert recorder.runs["late"] == 0
