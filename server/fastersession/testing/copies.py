"""Copies: a session under a new id, whole."""

from fastersession.errors import LeaseHeld, VersionConflict
from fastersession.records import Lease
from fastersession.testing.base import (
    LONG,
    Hooks,
    adding,
    appended,
    attributes,
    entries,
    found,
    fresh,
    key,
    must_be,
    refused,
    written,
)


class Copies(Hooks):
    """`copy`, which a rotation of ids is made of."""

    async def test_a_copy_is_the_session_under_another_id(self) -> None:
        async with self.stores() as (store, twin):
            id_, new, journal = fresh(), fresh(), key()
            await store.save(id_, written(0, {"n": 1}, {journal: adding("a", "b")}), ttl=LONG)
            await store.save(id_, appended(1, {journal: adding("c", after=2)}), ttl=LONG)
            before = await found(store, id_)
            assert await store.copy(id_, new, ttl=LONG) == 2, "copy() returns the version that it copied"
            record = await found(twin, new)
            assert attributes(record) == {"n": 1}, "the attributes are copied"
            assert entries(record, journal) == (0, ["a", "b", "c"]), "the journals are copied"
            times = (record.created_at, record.last_accessed_at, record.max_inactive_interval)
            old = (before.created_at, before.last_accessed_at, before.max_inactive_interval)
            assert times == old, "the times are copied"
            await must_be(store, id_, before, "copy() leaves the session as it is")

    async def test_copy_and_session_are_apart(self) -> None:
        async with self.opened() as store:
            id_, new, journal = fresh(), fresh(), key()
            await store.save(id_, written(0, {"n": 1}, {journal: adding("a")}), ttl=LONG)
            await store.copy(id_, new, ttl=LONG)
            version = (await found(store, new)).version
            await store.save(new, appended(version, {journal: adding("new", after=1)}), ttl=LONG)
            await store.save(id_, appended(1, {journal: adding("old", after=1)}), ttl=LONG)
            assert entries(await found(store, new), journal) == (0, ["a", "new"]), "an append reached both"
            assert entries(await found(store, id_), journal) == (0, ["a", "old"]), "an append reached both"
            await store.delete(id_)
            assert entries(await found(store, new), journal) == (0, ["a", "new"]), "delete() reached the copy"

    async def test_a_copy_has_all_entries(self) -> None:
        async with self.opened() as store:
            id_, new, journal = fresh(), fresh(), key()
            await store.save(id_, written(0, None, {journal: adding(*range(2_500), limit=2_400)}), ttl=LONG)
            await store.copy(id_, new, ttl=LONG)
            kept = entries(await found(store, new), journal)[1]
            assert kept == list(range(100, 2_500)), "more than a window's entries are copied"
            version = (await found(store, new)).version
            await store.save(new, appended(version, {journal: adding("end", after=2_500)}), ttl=LONG)
            assert entries(await found(store, new), journal)[1][-2:] == [2_499, "end"], "and it goes on"

    async def test_nothing_is_copied_from_nothing(self) -> None:
        async with self.opened() as store:
            id_, new = fresh(), fresh()
            assert await store.copy(id_, new, ttl=LONG) is None, "there is no such session"
            assert await store.load(new) is None, "nothing may have been made"
            await store.save(id_, written(0), ttl=self.short)
            await self.let_pass(2 * self.short)
            assert await store.copy(id_, new, ttl=LONG) is None, "the session has ended"

    async def test_a_copy_overwrites_nothing(self) -> None:
        async with self.opened() as store:
            id_, new, journal = fresh(), fresh(), key()
            await store.save(id_, written(0, {"n": 1}, {journal: adding("a")}), ttl=LONG)
            await store.save(new, written(0, {"n": 2}, {journal: adding("b")}), ttl=LONG)
            before = await found(store, new)
            with refused(VersionConflict, "there is a session under the new id"):
                await store.copy(id_, new, ttl=LONG)
            await must_be(store, new, before, "after a copy() that was refused")

    async def test_a_copy_has_its_own_lifetime(self) -> None:
        async with self.opened() as store:
            id_, brief, long = fresh(), fresh(), fresh()
            await store.save(id_, written(0), ttl=self.short)
            await store.copy(id_, brief, ttl=self.short)
            await store.copy(id_, long, ttl=LONG)
            await self.let_pass(2 * self.short)
            assert await store.load(brief) is None, "a copy lives `ttl` seconds"
            await found(store, long)

    async def test_leases_are_not_copied(self) -> None:
        async with self.opened() as store:
            id_, new = fresh(), fresh()
            await store.save(id_, written(0), ttl=LONG)
            await store.load(id_, lease=Lease("a", 30.0))
            await store.copy(id_, new, ttl=LONG)
            await store.load(new, lease=Lease("b", 30.0))
            with refused(LeaseHeld, "copy() leaves the lease of the session"):
                await store.load(id_, lease=Lease("b", 30.0))
