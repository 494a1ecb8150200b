"""Sessions in a SQLite file: a SessionStore of one's own, in nothing but the standard library."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from fastersession import Lease, StoredSession, VersionConflict
from fastersession.records import DEFAULT_WINDOW, Change, Tail, Window
from sql_sessions import tables
from sql_sessions.worker import Worker

_SCHEMA = Path(__file__).with_name("schema.sql").read_text()


class SqlStore:
    """A SessionStore in one file, which any number of processes of one machine may share.

    Each method is one transaction, in a thread of the store's own, and ends within `timeout` seconds. What
    has expired leaves the file within `sweep_interval` seconds. `clock` gives unix seconds.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        timeout: float = 1.8,
        sweep_interval: float = 30.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._worker = Worker(
            Path(path), _SCHEMA, self._sweep, timeout=timeout, chore_interval=sweep_interval
        )

    async def load(
        self, session_id: str, /, *, lease: Lease | None = None, window: Window = DEFAULT_WINDOW
    ) -> StoredSession | None:
        """See SessionStore.load."""

        def job(db: sqlite3.Connection) -> StoredSession | None:
            now = self._clock()
            if lease is not None:
                tables.take(db, session_id, lease, now)
            return tables.load(db, session_id, window, now)

        return await self._worker.run(job, writes=lease is not None)

    async def save(
        self, session_id: str, /, change: Change, *, ttl: float, release: str | None = None
    ) -> int:
        """See SessionStore.save."""

        def job(db: sqlite3.Connection) -> int:
            version = tables.write(db, session_id, change, ttl, release, self._clock())
            if release is not None:
                tables.release(db, session_id, release)
            return version

        return await self._worker.run(job, writes=True)

    async def read(self, session_id: str, journal: str, /, *, start: int, limit: int) -> Tail:
        """See SessionStore.read."""

        def job(db: sqlite3.Connection) -> Tail:
            rows = db.execute(
                "SELECT position, entry FROM entries JOIN sessions ON id = session_id WHERE session_id = ?"
                " AND journal = ? AND position >= ? AND expires_at > ? ORDER BY position LIMIT ?",
                [session_id, journal, start, self._clock(), limit],
            ).fetchall()
            return Tail(rows[0][0] if rows else start, tuple(entry for _, entry in rows))

        return await self._worker.run(job, writes=False)

    async def copy(self, session_id: str, new_id: str, /, *, ttl: float) -> int | None:
        """See SessionStore.copy."""

        def job(db: sqlite3.Connection) -> int | None:
            now = self._clock()
            version = tables.version_of(db, session_id, now)
            if version == 0:
                return None
            if tables.version_of(db, new_id, now):
                raise VersionConflict("there is a session under the new id")
            db.execute("DELETE FROM sessions WHERE id = ?", [new_id])
            tables.copy(db, session_id, new_id, now + ttl)
            return version

        return await self._worker.run(job, writes=True)

    async def touch(self, session_id: str, /, *, ttl: float, accessed_at: float) -> None:
        """See SessionStore.touch."""

        def job(db: sqlite3.Connection) -> None:
            tables.touch(db, session_id, ttl, accessed_at, self._clock())

        await self._worker.run(job, writes=True)

    async def delete(self, session_id: str, /, *, expected_version: int | None = None) -> None:
        """See SessionStore.delete."""

        def job(db: sqlite3.Connection) -> None:
            version = tables.version_of(db, session_id, self._clock())
            if expected_version is not None and version != expected_version:
                raise VersionConflict(f"the session is at version {version}, not {expected_version}")
            db.execute("DELETE FROM sessions WHERE id = ?", [session_id])

        await self._worker.run(job, writes=True)

    async def release(self, session_id: str, owner: str, /) -> None:
        """See SessionStore.release."""
        await self._worker.run(lambda db: tables.release(db, session_id, owner), writes=True)

    async def ping(self) -> None:
        """See SessionStore.ping. It writes: from a full disk one can still read."""

        def job(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR REPLACE INTO probe VALUES (1, ?)", [self._clock()])

        await self._worker.run(job, writes=True)

    async def aclose(self) -> None:
        """Close the file."""
        await self._worker.aclose()

    def _sweep(self, db: sqlite3.Connection) -> None:
        now = self._clock()
        db.execute("DELETE FROM sessions WHERE expires_at <= ?", [now])
        db.execute("DELETE FROM leases WHERE expires_at <= ?", [now])
