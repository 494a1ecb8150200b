"""What a suite for stores needs: the hooks that its subclass gives, and small helpers."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from fastersession.cookies import new_id
from fastersession.journal import Journal
from fastersession.records import Append, Change, StoredSession, Window
from fastersession.store import SessionStore

START = 1_800_000_000.25
"""Unix seconds: when the suite's sessions begin. A store takes the records' times as they are given."""

LONG = 3600.0
"""Seconds: a lifetime that does not end in a test."""

ALL = Window(entries=1_000_000, bytes=1_000_000_000)


class Hooks:
    """What the store's author gives. Each test makes its own stores and closes them."""

    short: float = 0.5
    """Seconds: the shortest lifetime of a session or a lease that the store keeps exactly enough.

    What lives so long is gone once twice that time has passed.
    """

    async def make_store(self) -> SessionStore:
        """A store that is ready; what others left in it does no harm, ids are random."""
        raise NotImplementedError("make_store() gives the store that is tested")

    async def make_twin(self, store: SessionStore) -> SessionStore:
        """A second store object on the same data, as another process has; `store` itself where none can."""
        return store

    async def let_pass(self, seconds: float) -> None:
        """Let the store's time pass; with a clock of one's own, move it."""
        await asyncio.sleep(seconds)

    @asynccontextmanager
    async def stores(self) -> AsyncIterator[tuple[SessionStore, SessionStore]]:
        """A store and its twin, closed afterwards."""
        store = await self.make_store()
        try:
            twin = await self.make_twin(store)
            try:
                yield store, twin
            finally:
                if twin is not store:
                    await twin.aclose()
        finally:
            await store.aclose()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[SessionStore]:
        """A store, closed afterwards."""
        async with self.stores() as (store, _):
            yield store


def head(attributes: object = None, *, accessed: float = START, interval: float = 900.5) -> StoredSession:
    """A record with these attributes, `{"a": 1}` if none are given."""
    text = json.dumps({"a": 1} if attributes is None else attributes)
    return StoredSession(text, START, accessed, interval)


def written(
    version: int,
    attributes: object = None,
    appends: Mapping[str, Append] | None = None,
    *,
    journals: tuple[str, ...] | None = None,
    accessed: float = START,
) -> Change:
    """A write of attributes upon `version`; they refer to `journals` (None: those in `appends`)."""
    kept = tuple(appends or ()) if journals is None else journals
    return Change(version, accessed, head(attributes, accessed=accessed), kept, appends or {})


def appended(version: int, appends: Mapping[str, Append], *, accessed: float = START) -> Change:
    """A write that leaves the attributes alone."""
    return Change(version, accessed, None, (), appends)


def adding(*entries: object, after: int = 0, limit: int = 10_000) -> Append:
    """Entries, each as its JSON text."""
    return Append(after, tuple(json.dumps(entry) for entry in entries), limit)


async def found(store: SessionStore, id_: str, window: Window = ALL) -> StoredSession:
    """The session, which must be there."""
    record = await store.load(id_, window=window)
    assert record is not None, "load() gave None for a session that was saved"
    return record


def attributes(record: StoredSession) -> object:
    """The attributes, as JSON means them: a store may keep another spelling of the same."""
    return json.loads(record.attributes)


def entries(record: StoredSession, journal: str) -> tuple[int, list[object]]:
    """Where a journal's part begins, and its entries; (0, []) where there is no journal."""
    tail = record.journals.get(journal)
    return (0, []) if tail is None else (tail.start, [json.loads(text) for text in tail.entries])


async def must_be(store: SessionStore, id_: str, before: StoredSession, why: str) -> None:
    """The session is still what it was."""
    now = await found(store, id_)
    assert now.version == before.version, f"{why}: the version is another one"
    assert attributes(now) == attributes(before), f"{why}: the attributes were changed"
    assert now.last_accessed_at == before.last_accessed_at, f"{why}: the time of access was changed"
    names = {name for record in (now, before) for name in record.journals}
    for name in names:
        assert entries(now, name) == entries(before, name), f"{why}: a journal was changed"


@contextmanager
def refused(error: type[Exception], why: str) -> Iterator[None]:
    """What is within must raise exactly this kind of error; `why` is what the contract says."""
    try:
        yield
    except error:
        return
    raise AssertionError(f"{error.__name__} was not raised: {why}")


def fresh() -> str:
    """An id that nobody used before."""
    return new_id()


def key() -> str:
    """A journal's key that nobody used before."""
    return Journal().key
