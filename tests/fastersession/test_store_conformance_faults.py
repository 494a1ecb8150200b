"""The suite for stores finds what it is there to find: stores with one fault each."""

import asyncio
import inspect
from dataclasses import replace

import pytest

from fastersession import Change, Lease, MemoryStore, SessionStore, StoredSession, Tail, Window
from fastersession.errors import SessionError, VersionConflict
from fastersession.records import DEFAULT_WINDOW
from fastersession.testing import StoreConformance
from tests.fastersession.stores import Clock

WIDE = Window(entries=1_000_000, bytes=1_000_000_000)


class Store(MemoryStore):
    """Without fault; what the others differ in is in `altered`, the change that is carried out."""

    async def load(
        self, session_id: str, /, *, lease: Lease | None = None, window: Window = DEFAULT_WINDOW
    ) -> StoredSession | None:
        return await super().load(session_id, lease=lease, window=window)

    async def save(
        self, session_id: str, /, change: Change, *, ttl: float, release: str | None = None
    ) -> int:
        change = await self.altered(session_id, change)
        return await super().save(session_id, change, ttl=ttl, release=release)

    async def altered(self, session_id: str, change: Change) -> Change:
        return change


class KnowsNoMarks(Store):
    async def altered(self, session_id: str, change: Change) -> Change:
        return Change(
            change.expected_version, change.accessed_at, change.record, change.journals, change.appends
        )


class LastWriteWins(Store):
    async def altered(self, session_id: str, change: Change) -> Change:
        found = await self.load(session_id)
        return replace(change, expected_version=0 if found is None else found.version)


class ComparesTooEarly(Store):
    async def altered(self, session_id: str, change: Change) -> Change:
        found = await self.load(session_id)
        version = 0 if found is None else found.version
        if version != change.expected_version:
            raise VersionConflict
        await asyncio.sleep(0)  # where a store asks its database a second time
        found = await self.load(session_id)
        return replace(change, expected_version=0 if found is None else found.version)


class DropsNoEntries(Store):
    async def altered(self, session_id: str, change: Change) -> Change:
        appends = {name: replace(append, limit=10**9) for name, append in change.appends.items()}
        return replace(change, appends=appends)


class KeepsOldJournals(Store):
    async def altered(self, session_id: str, change: Change) -> Change:
        found = await self.load(session_id)
        known = () if found is None else tuple(found.journals)
        return replace(change, journals=(*change.journals, *(k for k in known if k not in change.journals)))


class AppendsUnsorted(Store):
    async def altered(self, session_id: str, change: Change) -> Change:
        appends = {
            name: replace(append, entries=append.entries[::-1]) for name, append in change.appends.items()
        }
        return replace(change, appends=appends)


class ForgetsTheTime(Store):
    async def altered(self, session_id: str, change: Change) -> Change:
        return replace(change, accessed_at=1_800_000_000.0) if change.record is None else change


class NeverEnds(Store):
    async def save(
        self, session_id: str, /, change: Change, *, ttl: float, release: str | None = None
    ) -> int:
        return await super().save(session_id, change, ttl=1e9, release=release)


class KeepsTheLease(Store):
    async def save(
        self, session_id: str, /, change: Change, *, ttl: float, release: str | None = None
    ) -> int:
        return await super().save(session_id, change, ttl=ttl)


class ReadsEverything(Store):
    async def load(
        self, session_id: str, /, *, lease: Lease | None = None, window: Window = DEFAULT_WINDOW
    ) -> StoredSession | None:
        return await super().load(session_id, lease=lease, window=WIDE)


class CountsNoBytes(Store):
    async def load(
        self, session_id: str, /, *, lease: Lease | None = None, window: Window = DEFAULT_WINDOW
    ) -> StoredSession | None:
        return await super().load(session_id, lease=lease, window=replace(window, bytes=10**9))


class NumbersAnew(Store):
    async def load(
        self, session_id: str, /, *, lease: Lease | None = None, window: Window = DEFAULT_WINDOW
    ) -> StoredSession | None:
        found = await super().load(session_id, lease=lease, window=window)
        if found is None:
            return None
        return replace(found, journals={name: Tail(0, tail.entries) for name, tail in found.journals.items()})


class LetsEverybodyIn(Store):
    async def load(
        self, session_id: str, /, *, lease: Lease | None = None, window: Window = DEFAULT_WINDOW
    ) -> StoredSession | None:
        return await super().load(session_id, window=window)


class ReleasesForAnybody(Store):
    async def release(self, session_id: str, owner: str, /) -> None:
        self._leases.pop(session_id, None)


class NeverTouches(Store):
    async def touch(self, session_id: str, /, *, ttl: float, accessed_at: float) -> None:
        pass


class DeletesAnyVersion(Store):
    async def delete(self, session_id: str, /, *, expected_version: int | None = None) -> None:
        await super().delete(session_id)


class CopiesTheHeadAlone(Store):
    async def copy(self, session_id: str, new_id: str, /, *, ttl: float) -> int | None:
        found = await self.load(session_id)
        if found is None:
            return None
        await super().save(new_id, Change(0, found.last_accessed_at, found), ttl=ttl)
        return found.version


class CopiesOverOthers(Store):
    async def copy(self, session_id: str, new_id: str, /, *, ttl: float) -> int | None:
        await self.delete(new_id)
        return await super().copy(session_id, new_id, ttl=ttl)


class ReadsFromTheBeginning(Store):
    async def read(self, session_id: str, journal: str, /, *, start: int, limit: int) -> Tail:
        return await super().read(session_id, journal, start=0, limit=limit)


FAULTS = Store.__subclasses__()


def suite(store: type[MemoryStore]) -> type[StoreConformance]:
    class Suite(StoreConformance):
        short = 10.0

        async def make_store(self) -> SessionStore:
            self.clock = Clock()
            return store(clock=self.clock)

        async def let_pass(self, seconds: float) -> None:
            self.clock.now += seconds

    return Suite


async def failures(tested: type[StoreConformance]) -> list[str]:
    """The tests that this store does not pass."""
    failed = []
    for name, test in inspect.getmembers(tested, inspect.iscoroutinefunction):
        if name.startswith("test_"):
            try:
                await test(tested())
            except (AssertionError, SessionError):
                failed.append(name)
    return failed


async def test_a_store_without_fault_passes() -> None:
    assert await failures(suite(Store)) == []


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_is_found(fault: type[Store]) -> None:
    assert await failures(suite(fault)) != []


async def test_a_failure_says_what_the_contract_is() -> None:
    with pytest.raises(AssertionError, match="second owner"):
        await suite(LetsEverybodyIn)().test_two_owners_never_both_hold_a_lease()
