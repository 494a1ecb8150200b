"""The example of a store in SQL: it keeps the contract, its limits, and what it acknowledged."""

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from fastersession import EncryptedStore, Lease, SessionStore
from fastersession.errors import StoreBusy, StoreFailed, StoreTimeout, StoreUnreachable
from fastersession.records import Append, Change, StoredSession
from fastersession.testing import StoreConformance
from sql_sessions.store import SqlStore
from sql_sessions.worker import Worker

START = 1_800_000_000.0
OLD, NEW = "old-key-0123456789", "new-key-0123456789"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


class Clock:
    """Unix seconds that stand still until they are moved."""

    now = START

    def __call__(self) -> float:
        return self.now


class TestSqlStore(StoreConformance):
    short = 10.0
    path: Path
    clock: Clock

    @pytest.fixture(autouse=True)
    def use(self, tmp_path: Path) -> None:
        self.path, self.clock = tmp_path / "sessions.sqlite3", Clock()

    async def make_store(self) -> SessionStore:
        return SqlStore(self.path, clock=self.clock)

    async def make_twin(self, store: SessionStore) -> SessionStore:
        return await self.make_store()

    async def let_pass(self, seconds: float) -> None:
        self.clock.now += seconds


class TestEncryptedSqlStore(TestSqlStore):
    async def make_store(self) -> SessionStore:
        return EncryptedStore(await super().make_store(), [OLD, NEW])

    async def make_twin(self, store: SessionStore) -> SessionStore:
        return EncryptedStore(SqlStore(self.path, clock=self.clock), [NEW, OLD])


def creation(journal: str = "j") -> Change:
    record = StoredSession('{"a":1}', START, START, 900.0)
    return Change(0, START, record, (journal,), {journal: Append(0, ('"entry"',), 10)})


def rows(path: Path) -> int:
    """How many rows there are in all tables of sessions."""
    tables = ("sessions", "journals", "entries", "leases")
    with contextlib.closing(sqlite3.connect(path)) as db:
        return sum(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (it changes in another thread)
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def opened(path: Path, *, timeout: float = 2.0) -> AsyncIterator[SqlStore]:  # noqa: ASYNC109 (the store's)
    store = SqlStore(path, timeout=timeout)
    try:
        yield store
    finally:
        await store.aclose()


async def test_what_has_expired_leaves_the_file_without_traffic(tmp_path: Path) -> None:
    path, clock = tmp_path / "s", Clock()
    store = SqlStore(path, sweep_interval=0.05, clock=clock)
    await store.load("s", lease=Lease("a", 5))
    await store.save("s", creation(), ttl=5)
    await store.save("t", creation(), ttl=500)
    assert rows(path) == 7
    clock.now += 10
    await eventually(lambda: rows(path) == 3)
    assert await store.load("t") is not None
    await store.aclose()


async def test_a_file_that_somebody_else_holds_is_busy_and_free_again(tmp_path: Path) -> None:
    async with opened(tmp_path / "s") as store:
        await store.save("s", creation(), ttl=60)
        with contextlib.closing(sqlite3.connect(tmp_path / "s", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            begin = time.monotonic()
            with pytest.raises(StoreBusy, match="locked"):
                await store.ping()
            assert time.monotonic() - begin < 3
            assert await store.load("s") is not None  # readers need no lock
            other.execute("ROLLBACK")
        await store.ping()


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [("missing/folder", None, StoreUnreachable), ("s", b"no database at all " * 100, StoreFailed)],
)
async def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, content: bytes | None, error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    if content is not None:
        tmp_path.joinpath(name).write_bytes(content)
    async with opened(tmp_path / name) as store:
        with pytest.raises(error, match=name):
            await store.load("s")
    assert "not cleaned up" in caplog.text


async def test_it_comes_back_once_the_file_can_be_made(tmp_path: Path) -> None:
    async with opened(tmp_path / "late" / "s") as store:
        with pytest.raises(StoreUnreachable):
            await store.ping()
        tmp_path.joinpath("late").mkdir()
        await store.ping()


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    schema = "CREATE TABLE IF NOT EXISTS t (x)"
    return Worker(tmp_path / "s", schema, lambda _: None, timeout=1.0, chore_interval=60)


async def test_a_query_that_does_not_end_is_ended(worker: Worker) -> None:
    with pytest.raises(StoreTimeout):
        await worker.run(lambda db: db.execute(ENDLESS).fetchone(), writes=False)
    assert await worker.run(lambda db: db.execute("SELECT 7").fetchone(), writes=False) == (7,)
    await worker.aclose()


async def test_a_job_that_fails_leaves_nothing_behind(worker: Worker) -> None:
    def half_done(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO t VALUES (1)")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await worker.run(half_done, writes=True)
    assert await worker.run(lambda db: db.execute("SELECT * FROM t").fetchall(), writes=False) == []
    await worker.aclose()


async def test_what_nobody_waits_for_any_more_is_not_begun(worker: Worker) -> None:
    go_on, begun = threading.Event(), list[str]()
    first = asyncio.create_task(worker.run(lambda _: go_on.wait(5), writes=False))
    second = asyncio.create_task(worker.run(lambda _: begun.append("second"), writes=False))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    go_on.set()
    assert await first
    assert await worker.run(lambda _: begun, writes=False) == []
    await worker.aclose()


async def test_who_waits_too_long_for_a_turn_is_told(worker: Worker) -> None:
    go_on = threading.Event()
    waiting = [asyncio.create_task(worker.run(lambda _: go_on.wait(5), writes=False)) for _ in range(2)]
    done = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in done] == [StoreTimeout, StoreTimeout]
    go_on.set()
    await worker.aclose()


async def test_a_closed_store_is_out_of_reach(tmp_path: Path) -> None:
    async with opened(tmp_path / "s") as store:
        await store.ping()
        await store.aclose()
        with pytest.raises(StoreUnreachable, match="closed"):
            await store.load("s")
