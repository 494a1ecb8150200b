"""What is done to the tables within a transaction: each function takes the connection that is in one."""

import sqlite3

from fastersession import Lease, LeaseHeld, StoredSession, VersionConflict
from fastersession.records import Append, Change, Tail, Window


def version_of(db: sqlite3.Connection, id_: str, now: float) -> int:
    """The session's version, 0 for none."""
    row = db.execute("SELECT version FROM sessions WHERE id = ? AND expires_at > ?", [id_, now]).fetchone()
    return 0 if row is None else int(row[0])


def _holder(db: sqlite3.Connection, id_: str, now: float) -> tuple[str, float] | None:
    """Who has the lease, and until when."""
    sql = "SELECT owner, expires_at FROM leases WHERE session_id = ? AND expires_at > ?"
    found: tuple[str, float] | None = db.execute(sql, [id_, now]).fetchone()
    return found


def take(db: sqlite3.Connection, id_: str, lease: Lease, now: float) -> None:
    """Take the lease, and let the session live as long as it. Raises LeaseHeld."""
    holder, end = _holder(db, id_, now), now + lease.seconds
    if holder is not None and holder[0] != lease.owner:
        raise LeaseHeld(holder[1] - now)
    db.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", [id_, lease.owner, end])
    db.execute(
        "UPDATE sessions SET expires_at = max(expires_at, ?) WHERE id = ? AND expires_at > ?", [end, id_, now]
    )


def release(db: sqlite3.Connection, id_: str, owner: str) -> None:
    """Give a lease back, if `owner` has it."""
    db.execute("DELETE FROM leases WHERE session_id = ? AND owner = ?", [id_, owner])


def load(db: sqlite3.Connection, id_: str, window: Window, now: float) -> StoredSession | None:
    """The session with the newest part of each journal."""
    row = db.execute(
        "SELECT attributes, created_at, accessed_at, max_inactive_interval, version FROM sessions"
        " WHERE id = ? AND expires_at > ?",
        [id_, now],
    ).fetchone()
    if row is None:
        return None
    journals = db.execute("SELECT name, total FROM journals WHERE session_id = ?", [id_]).fetchall()
    tails = {name: _newest(db, id_, name, total, window) for name, total in journals}
    attributes, created_at, accessed_at, interval, version = row
    return StoredSession(attributes, created_at, accessed_at, interval, version, tails)


def _newest(db: sqlite3.Connection, id_: str, name: str, total: int, window: Window) -> Tail:
    rows = db.execute(
        "SELECT position, entry FROM entries WHERE session_id = ? AND journal = ?"
        " ORDER BY position DESC LIMIT ?",
        [id_, name, window.entries],
    )
    start, size, taken = total, 0, list[str]()
    for position, entry in rows:
        size += len(entry.encode())
        if taken and size > window.bytes:
            break
        taken.append(entry)
        start = position
    return Tail(start, tuple(reversed(taken)))


def _was_made(db: sqlite3.Connection, id_: str, change: Change) -> bool:
    """Whether the change was the session's last write, or its entries are there."""
    sql = "SELECT 1 FROM sessions WHERE id = ? AND mark = ?"
    if db.execute(sql, [id_, change.mark]).fetchone() is not None:
        return True
    sql = "SELECT 1 FROM entries WHERE session_id = ? AND journal = ? AND position >= ? AND mark = ? LIMIT 1"
    return any(
        db.execute(sql, [id_, name, append.after, change.mark]).fetchone() is not None
        for name, append in change.appends.items()
    )


def write(
    db: sqlite3.Connection, id_: str, change: Change, ttl: float, release: str | None, now: float
) -> int:
    """Make the change, once; the version that SessionStore.save returns. Raises VersionConflict."""
    version = version_of(db, id_, now)
    if version and _was_made(db, id_, change):
        return version if change.record is None else change.expected_version + 1
    _check_version(change, version)
    holder = _holder(db, id_, now)
    if release is not None:
        _check_lease(holder, release, change, version)
    if version == 0:
        db.execute("DELETE FROM sessions WHERE id = ?", [id_])  # it expired: entries and all
    made = version + 1
    _write_head(db, id_, change, made, _end(now + ttl, holder, release))
    for name, append in change.appends.items():
        _append(db, id_, name, append, change.mark, may_begin=name in change.journals)
    return made


def _end(expires_at: float, holder: tuple[str, float] | None, release: str | None = None) -> float:
    """When a session ends: not before the lease of whoever keeps it, who counts on the session."""
    if holder is None or holder[0] == release:
        return expires_at
    return max(expires_at, holder[1])


def touch(db: sqlite3.Connection, id_: str, ttl: float, accessed_at: float, now: float) -> None:
    """Let a session live on, if there is one."""
    db.execute(
        "UPDATE sessions SET expires_at = ?, accessed_at = max(accessed_at, ?)"
        " WHERE id = ? AND expires_at > ?",
        [_end(now + ttl, _holder(db, id_, now)), accessed_at, id_, now],
    )


def _check_version(change: Change, version: int) -> None:
    expected = change.expected_version
    if (version == 0 and expected != 0) or (change.record is not None and version != expected):
        raise VersionConflict(f"the session is at version {version}, not {expected}")


def _check_lease(holder: tuple[str, float] | None, release: str, change: Change, version: int) -> None:
    if holder is not None and holder[0] != release:
        raise VersionConflict("another request took the session's lease over")
    if holder is None and version != change.expected_version:
        raise VersionConflict("the session's lease was lost, and somebody wrote since")


def _write_head(db: sqlite3.Connection, id_: str, change: Change, version: int, end: float) -> None:
    record = change.record
    if record is None:
        sql = "UPDATE sessions SET version = ?, mark = ?, accessed_at = ?, expires_at = ? WHERE id = ?"
        db.execute(sql, [version, change.mark, change.accessed_at, end, id_])
        return
    db.execute(
        "INSERT INTO sessions (id, attributes, created_at, accessed_at, max_inactive_interval, version, mark,"
        " expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " attributes = excluded.attributes, created_at = excluded.created_at,"
        " accessed_at = excluded.accessed_at, max_inactive_interval = excluded.max_inactive_interval,"
        " version = excluded.version, mark = excluded.mark, expires_at = excluded.expires_at",
        [
            *(id_, record.attributes, record.created_at, change.accessed_at),
            *(record.max_inactive_interval, version, change.mark, end),
        ],
    )
    known = db.execute("SELECT name FROM journals WHERE session_id = ?", [id_]).fetchall()
    for (name,) in known:
        if name not in change.journals:
            db.execute("DELETE FROM journals WHERE session_id = ? AND name = ?", [id_, name])


def _append(
    db: sqlite3.Connection, id_: str, name: str, append: Append, mark: str, *, may_begin: bool
) -> None:
    if may_begin:
        db.execute("INSERT INTO journals VALUES (?, ?, 0) ON CONFLICT DO NOTHING", [id_, name])
    sql = "SELECT total FROM journals WHERE session_id = ? AND name = ?"
    known = db.execute(sql, [id_, name]).fetchone()
    if known is None or known[0] < append.after:
        raise VersionConflict("the journal is gone, or is another one")
    total = known[0] + len(append.entries)
    db.execute("UPDATE journals SET total = ? WHERE session_id = ? AND name = ?", [total, id_, name])
    rows = [(id_, name, known[0] + n, entry, mark) for n, entry in enumerate(append.entries)]
    db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", rows[-append.limit :])
    db.execute(
        "DELETE FROM entries WHERE session_id = ? AND journal = ? AND position < ?",
        [id_, name, total - append.limit],
    )


def copy(db: sqlite3.Connection, id_: str, new_id: str, end: float) -> None:
    db.execute(
        "INSERT INTO sessions SELECT ?, attributes, created_at, accessed_at, max_inactive_interval, version,"
        " mark, ? FROM sessions WHERE id = ?",
        [new_id, end, id_],
    )
    for table, columns in (("journals", "name, total"), ("entries", "journal, position, entry, mark")):
        sql = f"INSERT INTO {table} SELECT ?, {columns} FROM {table} WHERE session_id = ?"  # noqa: S608 (constants)
        db.execute(sql, [new_id, id_])
