"""Between our records and what the scripts take and answer; what is none of ours is an InvalidSessionData."""

from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import quote, unquote

from fastersession.errors import InvalidSessionData, VersionConflict
from fastersession.records import Append, Change, StoredSession, Tail

SEPARATOR = "\x1e"
"""RS: between marks and JSON texts, inside of which it cannot stand."""

_MARK = 8
"""Characters: enough to tell a write from those that were made since the writer read the session."""

_SEPARATOR = SEPARATOR.encode()

_EMPTY = "%"

_CONFLICTS = {
    b"lease": "the session's lease was lost, to another request or by its end",
    b"journal": "another request removed a journal of the session",
}

Args = list[str | bytes | int | float]


def written(change: Change, *, ttl: int, owner: str) -> Args:
    """What SAVE takes; `ttl` in milliseconds. Raises ValueError, InvalidSessionData for no JSON."""
    if change.record is None and change.expected_version < 1:
        raise ValueError("a new session needs a record")
    head = "" if change.record is None else change.record.to_json()
    kept = " ".join(map(_name, change.journals))
    args: Args = [_mark(change.mark), change.expected_version, repr(change.accessed_at), ttl]
    args += [owner, head, kept]
    for journal, append in change.appends.items():
        args += [_name(journal), append.after, append.limit, len(append.entries), *_entries(append)]
    return args


def asked(journal: str, start: int, limit: int) -> Args:
    """What READ takes."""
    return [_name(journal), start, limit]


def checked(answer: list[Any], expected: int | None = None) -> list[Any]:
    """The answer of a script that did what it was asked for. Raises InvalidSessionData, VersionConflict."""
    outcome = answer[0]
    if outcome == b"invalid":
        raise InvalidSessionData(f"Redis holds no session under the name of one: {answer[-1].decode()}")
    if outcome == b"version":
        raise VersionConflict(f"the session is at version {int(answer[1])}, not {expected}")
    if outcome in _CONFLICTS:
        raise VersionConflict(_CONFLICTS[outcome])
    return answer


def stored_session(answer: Sequence[Any]) -> StoredSession:
    """The record that LOAD found. Raises InvalidSessionData."""
    record, version, accessed, *journals = answer
    try:
        accessed_at, tails = float(accessed), dict(_tails(journals))
    except ValueError as error:
        raise InvalidSessionData(f"the stored session cannot be read: {type(error).__name__}") from error
    return StoredSession.from_json(record, version=int(version), accessed_at=accessed_at, journals=tails)


def tail(start: int, count: int, chunks: Sequence[bytes]) -> Tail:
    """Entries as READ and LOAD give them: a mark and a text each. Raises InvalidSessionData."""
    try:
        parts = _SEPARATOR.join(chunks[::-1]).decode().split(SEPARATOR) if count else []
    except UnicodeDecodeError as error:
        raise InvalidSessionData("a stored entry is no UTF-8") from error
    if len(parts) != 2 * count or not {_MARK}.issuperset(map(len, parts[::2])):
        raise InvalidSessionData("a stored entry is none of ours")
    return Tail(start, tuple(parts[1::2]))


def _tails(parts: Sequence[Any]) -> Iterator[tuple[str, Tail]]:
    for at in range(0, len(parts), 4):
        journal, start, count, chunks = parts[at : at + 4]
        if start or count:  # of one that never had an entry there is nothing to tell
            yield _journal(journal), tail(start, count, chunks)


def _mark(mark: str) -> str:
    return urlsafe_b64encode(sha256(mark.encode()).digest())[:_MARK].decode()


def _name(journal: str) -> str:
    """A journal's key without spaces, of which SAVE makes lists."""
    return quote(journal, safe="") or _EMPTY


def _journal(name: bytes) -> str:
    return "" if name == _EMPTY.encode() else unquote(name.decode(), errors="strict")


def _entries(append: Append) -> tuple[str, ...]:
    if any(SEPARATOR in entry for entry in append.entries):
        raise InvalidSessionData("an entry is no JSON")
    return append.entries
