"""Many at once, through two store objects: one wins each version, every append is kept once."""

import asyncio

from fastersession.errors import LeaseHeld, VersionConflict
from fastersession.records import Lease
from fastersession.store import SessionStore
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
    written,
)

WRITERS = 20


async def count_up(store: SessionStore, id_: str, times: int) -> int:
    """Add 1 to an attribute so many times, with a new attempt after each conflict. How many conflicts."""
    conflicts = 0
    while times:
        record = await found(store, id_)
        value = attributes(record)
        assert isinstance(value, dict), "the attributes are an object"
        try:
            await store.save(id_, written(record.version, {"n": value["n"] + 1}), ttl=LONG)
            times -= 1
        except VersionConflict:
            conflicts += 1
    return conflicts


class Races(Hooks):
    """Every method is atomic."""

    async def test_of_many_writers_one_wins(self) -> None:
        async with self.stores() as (store, twin):
            id_ = fresh()
            await store.save(id_, written(0), ttl=LONG)
            saves = [(store, twin)[n % 2].save(id_, written(1, {"n": n}), ttl=LONG) for n in range(WRITERS)]
            results = await asyncio.gather(*saves, return_exceptions=True)
            winners = [n for n, result in enumerate(results) if result == 2]
            losers = [result for result in results if isinstance(result, VersionConflict)]
            assert len(winners) == 1, f"{len(winners)} writers won one version: {results}"
            assert len(losers) == WRITERS - 1, f"the others get VersionConflict: {results}"
            assert attributes(await found(store, id_)) == {"n": winners[0]}, "the winner's write is stored"

    async def test_one_of_many_creates_the_session(self) -> None:
        async with self.stores() as (store, twin):
            id_, journal = fresh(), key()
            changes = [written(0, {"n": n}, {journal: adding(n)}) for n in range(WRITERS)]
            saves = [(store, twin)[n % 2].save(id_, change, ttl=LONG) for n, change in enumerate(changes)]
            results = await asyncio.gather(*saves, return_exceptions=True)
            winners = [n for n, result in enumerate(results) if result == 1]
            assert len(winners) == 1, f"{len(winners)} writers created one session: {results}"
            record = await found(store, id_)
            assert attributes(record) == {"n": winners[0]}, "the winner's write is stored"
            assert entries(record, journal) == (0, winners), "the losers' entries are not"

    async def test_every_append_is_kept_exactly_once(self) -> None:
        async with self.stores() as (store, twin):
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: adding("first")}), ttl=LONG)
            changes = [appended(1, {journal: adding([n, 0], [n, 1], after=1)}) for n in range(WRITERS)]
            saves = [(store, twin)[n % 2].save(id_, change, ttl=LONG) for n, change in enumerate(changes)]
            versions = await asyncio.gather(*saves)
            assert sorted(versions) == list(range(2, WRITERS + 2)), f"a version for each write: {versions}"
            start, kept = entries(await found(store, id_), journal)
            assert (start, kept[0], len(kept)) == (0, "first", 2 * WRITERS + 1), (
                "an append was lost or doubled"
            )
            pairs = [kept[i : i + 2] for i in range(1, len(kept), 2)]
            whole = all([[n, 0], [n, 1]] in pairs for n in range(WRITERS))
            assert whole, f"each write's entries are together and in their order: {kept}"

    async def test_counting_loses_nothing(self) -> None:
        async with self.stores() as (store, twin):
            id_ = fresh()
            await store.save(id_, written(0, {"n": 0}), ttl=LONG)
            await asyncio.gather(*(count_up(each, id_, 5) for each in (store, twin, store, twin)))
            record = await found(store, id_)
            assert attributes(record) == {"n": 20}, f"an acknowledged write was lost: {attributes(record)}"
            assert record.version == 21, "each write counted the version up once"

    async def test_one_of_many_gets_the_lease(self) -> None:
        async with self.stores() as (store, twin):
            id_ = fresh()
            loads = [(store, twin)[n % 2].load(id_, lease=Lease(f"o{n}", 30.0)) for n in range(WRITERS)]
            results = await asyncio.gather(*loads, return_exceptions=True)
            taken = sum(result is None for result in results)
            held = sum(isinstance(result, LeaseHeld) for result in results)
            assert (taken, held) == (1, WRITERS - 1), f"{taken} owners got one lease: {results}"

    async def test_a_copy_is_of_one_moment(self) -> None:
        async with self.stores() as (store, twin):
            id_, journal, new = fresh(), key(), [fresh() for _ in range(5)]
            await store.save(id_, written(0, {"n": 0}, {journal: adding(0)}), ttl=LONG)

            async def write() -> None:
                for n in range(1, 21):
                    await store.save(id_, written(n, {"n": n}, {journal: adding(n, after=n)}), ttl=LONG)

            versions = (await asyncio.gather(write(), *(twin.copy(id_, each, ttl=LONG) for each in new)))[1:]
            for each, version in zip(new, versions, strict=True):
                record = await found(store, each)
                assert version is not None, "there is a session to be copied all the time"
                kept = entries(record, journal)[1]
                assert attributes(record) == {"n": version - 1}, "head and version are of one moment"
                assert kept == list(range(version)), f"head and journals are of one moment: {kept}"

    async def test_a_load_is_of_one_moment(self) -> None:
        async with self.stores() as (store, twin):
            id_, journal = fresh(), key()
            await store.save(id_, written(0, {"n": 0}, {journal: adding(0)}), ttl=LONG)

            async def write() -> None:
                for n in range(1, 21):
                    await store.save(id_, written(n, {"n": n}, {journal: adding(n, after=n)}), ttl=LONG)

            async def read() -> None:
                for _ in range(20):
                    record = await found(twin, id_)
                    kept = entries(record, journal)[1]
                    assert attributes(record) == {"n": len(kept) - 1}, "head and journals are of one moment"
                    assert record.version == len(kept), "head and version are of one moment"

            await asyncio.gather(write(), read(), read())
