"""Writes that are sent again, as after an answer that was lost: they are made once."""

from fastersession.errors import LeaseHeld, VersionConflict
from fastersession.records import Change, Lease
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


class Repeats(Hooks):
    """`Change.mark`."""

    async def test_a_write_that_is_sent_again_is_made_once(self) -> None:
        async with self.stores() as (store, twin):
            id_, journal = fresh(), key()
            changes: list[Change] = [
                written(0, {"n": 0}, {journal: adding("a")}),
                appended(1, {journal: adding("b", after=1)}),
                written(2, {"n": 2}, {journal: adding("c", after=2)}),
                written(3, {"n": 3}, journals=(journal,)),
            ]
            for change in changes:
                version = await store.save(id_, change, ttl=LONG)
                before = await found(store, id_)
                for each in (twin, store):
                    again = await each.save(id_, change, ttl=LONG)
                    assert again == version, "a write that is sent again gives the version that it made"
                    await must_be(store, id_, before, "a write that was sent again")
            assert entries(await found(store, id_), journal) == (0, ["a", "b", "c"])

    async def test_even_after_others_wrote(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: adding("a")}), ttl=LONG)
            change = appended(1, {journal: adding("mine", after=1)})
            await store.save(id_, change, ttl=LONG)
            for n in range(2, 60):
                await store.save(id_, appended(n, {journal: adding(n, after=n)}), ttl=LONG)
            before = await found(store, id_)
            await store.save(id_, change, ttl=LONG)
            await must_be(store, id_, before, "a write that was sent again")

    async def test_the_lease_is_given_back_the_second_time_too(self) -> None:
        async with self.opened() as store:
            id_ = fresh()
            await store.load(id_, lease=Lease("a", 30.0))
            change = written(0, {"n": 1})
            await store.save(id_, change, ttl=LONG, release="a")
            await store.save(id_, change, ttl=LONG, release="a")
            await store.load(id_, lease=Lease("b", 30.0))
            await store.save(id_, change, ttl=LONG, release="a")
            with refused(LeaseHeld, "a write that is sent again frees nobody else's lease"):
                await store.load(id_, lease=Lease("c", 30.0))

    async def test_another_write_of_the_same_is_another_write(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, {"n": 1}, {journal: adding("a")}), ttl=LONG)
            with refused(VersionConflict, "it is another write, upon a version that is gone"):
                await store.save(id_, written(0, {"n": 1}, {journal: adding("a")}), ttl=LONG)
            await store.save(id_, appended(1, {journal: adding("a", after=1)}), ttl=LONG)
            await store.save(id_, appended(1, {journal: adding("a", after=1)}), ttl=LONG)
            record = await found(store, id_)
            assert attributes(record) == {"n": 1}, "the attributes were changed"
            assert entries(record, journal) == (0, ["a", "a", "a"]), "equal entries of two writes are two"
