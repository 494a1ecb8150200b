"""Leases: one owner at a time, whoever asks first, and until their end at the latest."""

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

A, B = Lease("owner-a", 30.0), Lease('owner-"b"', 30.0)


class Leases(Hooks):
    """`load(lease=…)`, `save(release=…)`, `release`."""

    async def test_two_owners_never_both_hold_a_lease(self) -> None:
        async with self.stores() as (store, twin):
            id_ = fresh()
            await store.save(id_, written(0), ttl=LONG)
            assert await store.load(id_, lease=A) is not None, "a load with a lease reads the session too"
            try:
                await twin.load(id_, lease=B)
            except LeaseHeld as held:
                left = held.retry_after
                assert A.seconds - 10 < left <= A.seconds, (
                    f"retry_after is what is left of {A.seconds} s, not {left}"
                )
            else:
                raise AssertionError("load() gave the lease to a second owner")

    async def test_a_lease_needs_no_session(self) -> None:
        async with self.opened() as store:
            id_ = fresh()
            assert await store.load(id_, lease=A) is None, "there is no session"
            with refused(LeaseHeld, "the lease was taken all the same"):
                await store.load(id_, lease=B)

    async def test_reading_needs_no_lease(self) -> None:
        async with self.opened() as store:
            id_ = fresh()
            await store.save(id_, written(0), ttl=LONG)
            await store.load(id_, lease=A)
            await found(store, id_)

    async def test_the_save_gives_the_lease_back(self) -> None:
        async with self.stores() as (store, twin):
            id_, journal = fresh(), key()
            await store.load(id_, lease=A)
            await store.save(id_, written(0, None, {journal: adding(1)}), ttl=LONG, release=A.owner)
            await twin.load(id_, lease=B)
            change = appended(1, {journal: adding(2, after=1)})
            await twin.save(id_, change, ttl=LONG, release=B.owner)
            await store.load(id_, lease=A)

    async def test_a_save_without_release_keeps_the_lease(self) -> None:
        async with self.opened() as store:
            id_ = fresh()
            await store.load(id_, lease=A)
            await store.save(id_, written(0), ttl=LONG)
            with refused(LeaseHeld, "a save without `release` leaves the lease"):
                await store.load(id_, lease=B)

    async def test_release_frees_only_ones_own(self) -> None:
        async with self.opened() as store:
            id_ = fresh()
            await store.load(id_, lease=A)
            await store.release(id_, B.owner)
            with refused(LeaseHeld, "release() by another owner does nothing"):
                await store.load(id_, lease=B)
            await store.release(id_, A.owner)
            await store.release(id_, A.owner)
            await store.load(id_, lease=B)
            await store.release(id_, A.owner)
            with refused(LeaseHeld, "a release() that comes late frees nobody else's lease"):
                await store.load(id_, lease=A)

    async def test_a_lease_ends_by_itself(self) -> None:
        async with self.opened() as store:
            id_ = fresh()
            await store.load(id_, lease=Lease("crashed", self.short))
            await self.let_pass(2 * self.short)
            await store.load(id_, lease=B)

    async def test_its_owner_can_renew_it(self) -> None:
        async with self.opened() as store:
            id_ = fresh()
            await store.load(id_, lease=Lease(A.owner, self.short))
            await store.load(id_, lease=A)
            await self.let_pass(2 * self.short)
            with refused(LeaseHeld, "its owner renewed the lease"):
                await store.load(id_, lease=B)

    async def test_who_lost_the_lease_to_another_writes_nothing(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, {"n": 0}, {journal: adding("a")}), ttl=LONG)
            await store.load(id_, lease=Lease(A.owner, self.short))
            await self.let_pass(2 * self.short)
            await store.load(id_, lease=B)
            before = await found(store, id_)
            late = {journal: adding("late", after=1)}
            for change in (written(1, {"late": 1}, late), appended(1, late)):
                with refused(VersionConflict, "another owner holds the lease"):
                    await store.save(id_, change, ttl=LONG, release=A.owner)
                await must_be(store, id_, before, "a write of a lease that was lost")
            await store.save(id_, written(1, {"in": "time"}, journals=(journal,)), ttl=LONG, release=B.owner)

    async def test_a_lease_that_ran_out_is_no_conflict_while_nobody_wrote(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: adding("a")}), ttl=LONG)
            for version in (1, 2):
                await store.load(id_, lease=Lease(A.owner, self.short))
                await self.let_pass(2 * self.short)
                change = (
                    appended(version, {journal: adding("b", after=1)})
                    if version == 1
                    else written(version, {"n": 2}, journals=(journal,))
                )
                made = await store.save(id_, change, ttl=LONG, release=A.owner)
                assert made == version + 1, "nobody has the lease, nobody wrote: the write is made"
            record = await found(store, id_)
            assert (attributes(record), entries(record, journal)) == ({"n": 2}, (0, ["a", "b"]))

    async def test_a_lease_that_ran_out_is_a_conflict_once_somebody_wrote(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: adding("a")}), ttl=LONG)
            await store.load(id_, lease=Lease(A.owner, self.short))
            await self.let_pass(2 * self.short)
            await store.load(id_, lease=B)
            change = appended(1, {journal: adding("b", after=1)})
            await store.save(id_, change, ttl=LONG, release=B.owner)
            before = await found(store, id_)
            late = appended(1, {journal: adding("late", after=1)})
            with refused(VersionConflict, "the lease was lost and somebody wrote since"):
                await store.save(id_, late, ttl=LONG, release=A.owner)
            await must_be(store, id_, before, "a write of a lease that was lost")

    async def test_a_conflict_leaves_the_lease(self) -> None:
        async with self.opened() as store:
            id_ = fresh()
            await store.save(id_, written(0), ttl=LONG)
            await store.load(id_, lease=A)
            with refused(VersionConflict, "the version is 1, not 4"):
                await store.save(id_, written(4), ttl=LONG, release=A.owner)
            with refused(LeaseHeld, "on a conflict nothing is changed, the lease neither"):
                await store.load(id_, lease=B)

    async def test_deleting_leaves_the_lease(self) -> None:
        async with self.opened() as store:
            id_ = fresh()
            await store.save(id_, written(0), ttl=LONG)
            await store.load(id_, lease=A)
            await store.delete(id_)
            with refused(LeaseHeld, "record and lease are independent"):
                await store.load(id_, lease=B)
