"""Lifetimes: a session ends with all that is its own, a touch lets it live on."""

from fastersession.errors import VersionConflict
from fastersession.records import Lease
from fastersession.testing.base import (
    LONG,
    START,
    Hooks,
    adding,
    appended,
    entries,
    found,
    fresh,
    key,
    refused,
    written,
)


class Lifetimes(Hooks):
    """`ttl`, and what may lengthen it."""

    async def test_a_session_ends_after_its_time(self) -> None:
        async with self.stores() as (store, twin):
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: adding("a")}), ttl=self.short)
            await self.let_pass(2 * self.short)
            assert await store.load(id_) is None, "the session lives `ttl` seconds"
            assert await twin.load(id_) is None, "the session lives `ttl` seconds"
            tail = await store.read(id_, journal, start=0, limit=9)
            assert tail.entries == (), "its journals end with it"
            with refused(VersionConflict, "it has ended"):
                await store.save(id_, appended(1, {journal: adding("b", after=1)}), ttl=LONG)
            await store.delete(id_)

    async def test_an_id_whose_session_ended_begins_empty(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, {"old": 1}, {journal: adding("old")}), ttl=self.short)
            await self.let_pass(2 * self.short)
            change = written(0, {"new": 1}, {journal: adding("new")})
            assert await store.save(id_, change, ttl=LONG) == 1, "what has ended is as if it never was"
            kept = entries(await found(store, id_), journal)
            assert kept == (0, ["new"]), f"entries of the session that ended came back: {kept}"

    async def test_each_write_sets_the_lifetime_anew(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: adding("a")}), ttl=self.short)
            await store.save(id_, appended(1, {journal: adding("b", after=1)}), ttl=LONG)
            await self.let_pass(2 * self.short)
            assert entries(await found(store, id_), journal) == (0, ["a", "b"]), (
                "`ttl` seconds from the write"
            )
            await store.save(id_, written(2, None, journals=(journal,)), ttl=self.short)
            await self.let_pass(2 * self.short)
            assert await store.load(id_) is None, (
                "the last write's `ttl` counts, if it is the shorter one too"
            )

    async def test_a_touch_slides_the_end_and_tells_the_time(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: adding("a")}), ttl=self.short)
            await store.touch(id_, ttl=LONG, accessed_at=START + 50.5)
            await self.let_pass(2 * self.short)
            record = await found(store, id_)
            assert record.last_accessed_at == START + 50.5, "touch() tells the time of access"
            assert record.version == 1, "touch() is no write: it counts no version up"
            assert entries(record, journal) == (0, ["a"]), "touch() lets the journals live on too"

    async def test_a_touch_makes_nothing(self) -> None:
        async with self.opened() as store:
            id_ = fresh()
            await store.touch(id_, ttl=LONG, accessed_at=START)
            assert await store.load(id_) is None, "touch() of nothing does nothing"
            await store.save(id_, written(0), ttl=self.short)
            await self.let_pass(2 * self.short)
            await store.touch(id_, ttl=LONG, accessed_at=START)
            assert await store.load(id_) is None, "touch() brings back nothing that has ended"

    async def test_what_is_leased_lives_as_long_as_its_lease(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: adding("a")}), ttl=self.short)
            await store.load(id_, lease=Lease("at-work", 30.0))
            await self.let_pass(2 * self.short)
            change = appended(1, {journal: adding("b", after=1)})
            assert await store.save(id_, change, ttl=LONG, release="at-work") == 2
            kept = entries(await found(store, id_), journal)
            assert kept == (0, ["a", "b"]), f"a leased session's journals outlive its time with it: {kept}"

    async def test_nobody_else_ends_what_is_leased(self) -> None:
        async with self.stores() as (store, twin):
            touched, saved, journal = fresh(), fresh(), key()
            for id_ in (touched, saved):
                await store.save(id_, written(0, None, {journal: adding("a")}), ttl=LONG)
                await store.load(id_, lease=Lease("worker", LONG))
            await twin.touch(touched, ttl=self.short, accessed_at=START)
            await twin.save(saved, appended(1, {journal: adding("b", after=1)}), ttl=self.short)
            await self.let_pass(2 * self.short)
            assert await store.load(touched) is not None, "touch() ended a session before its lease"
            assert await store.load(saved) is not None, "save() ended a session before another's lease"

    async def test_a_short_lease_shortens_no_session(self) -> None:
        async with self.opened() as store:
            id_ = fresh()
            await store.save(id_, written(0), ttl=LONG)
            await store.load(id_, lease=Lease("brief", self.short))
            await self.let_pass(2 * self.short)
            await found(store, id_)

    async def test_reading_lengthens_nothing(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: adding("a")}), ttl=self.short)
            await store.load(id_)
            await store.read(id_, journal, start=0, limit=1)
            await self.let_pass(2 * self.short)
            assert await store.load(id_) is None, "a load without a lease leaves the lifetime"
