"""One SQLite file in one thread: each job is a transaction, with a time limit; what fails says why."""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fastersession.errors import (
    SessionError,
    StoreBusy,
    StoreFailed,
    StoreFull,
    StoreReadOnly,
    StoreTimeout,
    StoreUnavailable,
    StoreUnreachable,
)

logger = logging.getLogger(__name__)

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

_ERRORS: dict[int, type[StoreUnavailable]] = {
    sqlite3.SQLITE_BUSY: StoreBusy,
    sqlite3.SQLITE_LOCKED: StoreBusy,
    sqlite3.SQLITE_INTERRUPT: StoreTimeout,
    sqlite3.SQLITE_FULL: StoreFull,
    sqlite3.SQLITE_READONLY: StoreReadOnly,
    sqlite3.SQLITE_CANTOPEN: StoreUnreachable,
}
_STEPS_BETWEEN_LOOKS = 10_000  # of SQLite's machine, a millisecond or so
_PAUSE = 0.02
_SHARE = 0.9  # of a job's time: after that the thread gives up by itself, and can say why


@dataclass(frozen=True, slots=True)
class _Order:
    job: Job[Any]
    writes: bool
    latest: float  # monotonic seconds: then it is given up
    answer: "Future[Any]"


class Worker:
    """Runs jobs on the file at `path`, one after the other.

    `schema` is executed on every new connection, `chore` about every `chore_interval` seconds, whether there
    are jobs or not. A job ends within `timeout` seconds, the wait for its turn and for other processes in it.
    """

    def __init__(
        self, path: Path, schema: str, chore: Job[None], *, timeout: float, chore_interval: float
    ) -> None:
        self._path = path
        self._schema = schema
        self._chore = chore
        self._timeout = timeout
        self._chore_interval = chore_interval
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._closed = False
        self._connection: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._serve, name=f"sqlite {path.name}", daemon=True)
        self._thread.start()

    async def run(self, job: Job[T], *, writes: bool) -> T:
        """What the job returns, once it is on the disk. Raises StoreUnavailable, and what the job raises."""
        if self._closed:
            raise self._failed(StoreUnreachable, "the store is closed")
        order = self._order(job, writes)
        self._orders.put(order)
        # A caller that is cancelled cancels its order; one that runs already runs to its end.
        answer = asyncio.wrap_future(order.answer)
        try:
            # The thread watches the limit by itself; this is for a disk that hangs.
            done: T = await asyncio.wait_for(answer, self._timeout)
        except TimeoutError as error:
            raise self._failed(StoreTimeout, f"no answer within {self._timeout:g} s") from error
        return done

    async def aclose(self) -> None:
        """Finish what was ordered, then close the file."""
        if not self._closed:
            self._closed = True
            self._orders.put(None)
        await asyncio.to_thread(self._thread.join, self._timeout)

    def _order(self, job: Job[Any], writes: bool) -> _Order:
        return _Order(job, writes, time.monotonic() + self._timeout * _SHARE, Future())

    def _serve(self) -> None:
        due = time.monotonic()
        while True:
            try:
                order = self._orders.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                self._do_chore()
                due = time.monotonic() + self._chore_interval
                continue
            if order is None:
                break
            self._carry_out(order)
        if self._connection is not None:
            self._connection.close()

    def _do_chore(self) -> None:
        order = self._order(self._chore, writes=True)
        self._carry_out(order)
        error = order.answer.exception()
        if error is not None:
            logger.warning("the file of sessions was not cleaned up: %s", error)

    def _carry_out(self, order: _Order) -> None:
        if not order.answer.set_running_or_notify_cancel():
            return
        try:
            answer = self._in_transaction(order)
        except SessionError as error:
            order.answer.set_exception(error)
        except sqlite3.Error as error:
            order.answer.set_exception(self._named(error))
        except BaseException as error:  # noqa: BLE001 (whatever it is, it belongs to who waits, and the thread lives on)
            order.answer.set_exception(error)
        else:
            order.answer.set_result(answer)

    def _in_transaction(self, order: _Order) -> object:
        left = order.latest - time.monotonic()
        if left <= 0:
            raise self._failed(StoreTimeout, f"no turn within {self._timeout:g} s")
        connection = self._connection or self._connect(order.latest)
        left = order.latest - time.monotonic()
        connection.set_progress_handler(lambda: time.monotonic() > order.latest, _STEPS_BETWEEN_LOOKS)
        connection.execute(f"PRAGMA busy_timeout = {max(1, int(left * 1000))}")
        # A write takes its lock at once: one that began by reading could not get it any more after another's.
        connection.execute("BEGIN IMMEDIATE" if order.writes else "BEGIN")
        try:
            answer: object = order.job(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return answer

    def _connect(self, latest: float) -> sqlite3.Connection:
        while True:
            try:
                self._connection = self._open(latest)
            except sqlite3.OperationalError as error:
                # Two processes that make the file at once: SQLite refuses one of them without waiting.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > latest - _PAUSE:
                    raise
                time.sleep(_PAUSE)
            else:
                return self._connection

    def _open(self, latest: float) -> sqlite3.Connection:
        limit = max(0.0, latest - time.monotonic())
        connection = sqlite3.connect(self._path, timeout=limit, isolation_level=None)
        try:
            # Readers and a writer at once; what is acknowledged is on the disk.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.executescript(self._schema)
        except BaseException:
            connection.close()
            raise
        return connection

    def _named(self, error: sqlite3.Error) -> StoreUnavailable:
        # The low byte of an extended code is the plain one.
        kind = _ERRORS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, StoreFailed)
        return self._failed(kind, str(error))

    def _failed(self, kind: type[StoreUnavailable], cause: str) -> StoreUnavailable:
        return kind(f"SQLite at {self._path}: {cause}")
