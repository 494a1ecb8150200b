"""Encryption at rest: without the key nobody can read what a store keeps, or put anything of theirs there."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from fastersession.codec import SEALED
from fastersession.errors import InvalidSessionData
from fastersession.keys import KeyRing
from fastersession.records import DEFAULT_WINDOW, Append, Change, Lease, StoredSession, Tail, Window
from fastersession.sealing import OVERHEAD, Place, Sealer
from fastersession.store import SessionStore

_WHOLE = Window(entries=1_000_000_000, bytes=1_000_000_000_000)
_FILLER, _FILLERS, _UNFINISHED_TTL = "0", 10_000, 60.0


class EncryptedStore:
    """Any store, with attributes and entries sealed by AES-256-GCM (see Sealer) before it sees them.

    The first of `keys` seals, each opens; give a KeyRing to replace them while serving. What was sealed with
    a key that is gone raises InvalidSessionData.

    Each value is bound to its session's id and its journal, and the attributes name the journals. Noticed, as
    InvalidSessionData, is any change of a value, a value of another session or journal, and plain text. Not
    noticed is what only moves, repeats or removes whole values of one and the same journal, the return of an
    older state of the same session, and changes of the times. Not hidden are ids, the times, how many
    entries there are and how long each is.
    """

    def __init__(self, store: SessionStore, keys: str | Sequence[str] | KeyRing) -> None:
        self._store = store
        self._sealer = Sealer(KeyRing.of(keys))

    @property
    def inner(self) -> SessionStore:
        """The store that keeps what is sealed."""
        return self._store

    async def load(
        self, session_id: str, /, *, lease: Lease | None = None, window: Window = DEFAULT_WINDOW
    ) -> StoredSession | None:
        """See SessionStore.load."""
        record = await self._store.load(session_id, lease=lease, window=_widened(window))
        return None if record is None else self._open(session_id, record, window)

    async def save(
        self, session_id: str, /, change: Change, *, ttl: float, release: str | None = None
    ) -> int:
        """See SessionStore.save."""
        record = None if change.record is None else self._seal_record(session_id, change.record)
        appends = {
            journal: replace(append, entries=self._seal_entries(session_id, journal, append.entries))
            for journal, append in change.appends.items()
        }
        sealed = replace(change, record=record, appends=appends)
        return await self._store.save(session_id, sealed, ttl=ttl, release=release)

    async def read(self, session_id: str, journal: str, /, *, start: int, limit: int) -> Tail:
        """See SessionStore.read."""
        tail = await self._store.read(session_id, journal, start=start, limit=limit)
        place = self._sealer.place("entry", session_id, journal)
        return Tail(tail.start, tuple(_open_entry(place, entry) for entry in tail.entries))

    async def copy(self, session_id: str, new_id: str, /, *, ttl: float) -> int | None:
        """See SessionStore.copy. All is read, and sealed again for the new id, with the key of now."""
        record = await self._store.load(session_id, window=_WHOLE)
        if record is None:
            return None
        changes = list(_rebuilding(self._open(session_id, record, _WHOLE)))
        for change in changes[:-1]:
            await self.save(new_id, change, ttl=min(ttl, _UNFINISHED_TTL))
        await self.save(new_id, changes[-1], ttl=ttl)
        return record.version

    async def touch(self, session_id: str, /, *, ttl: float, accessed_at: float) -> None:
        """See SessionStore.touch."""
        await self._store.touch(session_id, ttl=ttl, accessed_at=accessed_at)

    async def delete(self, session_id: str, /, *, expected_version: int | None = None) -> None:
        """See SessionStore.delete."""
        await self._store.delete(session_id, expected_version=expected_version)

    async def release(self, session_id: str, owner: str, /) -> None:
        """See SessionStore.release."""
        await self._store.release(session_id, owner)

    async def ping(self) -> None:
        """See SessionStore.ping."""
        await self._store.ping()

    async def aclose(self) -> None:
        """Close the store."""
        await self._store.aclose()

    def _seal_record(self, id_: str, record: StoredSession) -> StoredSession:
        sealed = self._sealer.place("attributes", id_).seal(record.attributes)
        return replace(record, attributes=json.dumps({SEALED: sealed}))

    def _seal_entries(self, id_: str, journal: str, entries: Sequence[str]) -> tuple[str, ...]:
        place = self._sealer.place("entry", id_, journal)
        # Neither a fingerprint nor base64 holds what JSON would have to escape.
        return tuple(f'"{place.seal(entry)}"' for entry in entries)

    def _open(self, id_: str, record: StoredSession, window: Window) -> StoredSession:
        attributes = self._sealer.place("attributes", id_).open(_sealed_in(record.attributes))
        tails = {name: self._open_tail(id_, name, tail, window) for name, tail in record.journals.items()}
        return replace(record, attributes=attributes, journals=tails)

    def _open_tail(self, id_: str, journal: str, tail: Tail, window: Window) -> Tail:
        """The part of a tail that lies in the window, which is measured in what entries were before."""
        place, taken, size = self._sealer.place("entry", id_, journal), list[str](), 0
        for entry in reversed(tail.entries):
            text = _open_entry(place, entry)
            size += len(text.encode())
            if taken and size > window.bytes:
                break
            taken.append(text)
        return Tail(tail.start + len(tail.entries) - len(taken), tuple(reversed(taken)))


def _open_entry(place: Place, entry: str) -> str:
    if len(entry) < 2 or not entry[0] == '"' == entry[-1]:
        raise InvalidSessionData("a stored entry is not encrypted")
    return place.open(entry[1:-1])


def _sealed_in(attributes: str) -> str:
    try:
        found = json.loads(attributes)
    except (ValueError, RecursionError):
        # From None: the original error holds the text.
        raise InvalidSessionData("the stored attributes are no JSON") from None
    match found:
        case dict() if len(found) == 1 and isinstance(sealed := found.get(SEALED), str):
            return sealed
    raise InvalidSessionData("the stored attributes are not encrypted")


def _widened(window: Window) -> Window:
    """A window on sealed entries that reaches at least as far as this one does on what is in them."""
    longest = window.bytes * 4 // 3 + OVERHEAD * (min(window.entries, window.bytes) + 1)
    return replace(window, bytes=longest)


def _rebuilding(record: StoredSession) -> Iterator[Change]:
    """Writes that make the same session where there is none, its entries under their old numbers."""
    journals: Mapping[str, Tail] = record.journals
    dropped = max((tail.start for tail in journals.values()), default=0)
    version = 0
    for done in range(0, dropped, _FILLERS):
        # The numbers of entries that were dropped are taken by others, which are dropped in their turn.
        counts = {name: min(_FILLERS, tail.start - done) for name, tail in journals.items()}
        fillers = {name: Append(done, (_FILLER,) * count, 1) for name, count in counts.items() if count > 0}
        yield _step(version, record, fillers)
        version += 1
    rest = {
        name: Append(tail.start, tail.entries, len(tail.entries))
        for name, tail in journals.items()
        if tail.entries
    }
    yield _step(version, record, rest)


def _step(version: int, record: StoredSession, appends: Mapping[str, Append]) -> Change:
    first = version == 0
    return Change(
        version,
        record.last_accessed_at,
        record if first else None,
        tuple(record.journals) if first else (),
        appends,
    )
