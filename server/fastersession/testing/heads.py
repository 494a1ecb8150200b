"""Records: what is saved is loaded, versions, conflicts, deleting."""

import json

from fastersession.errors import VersionConflict
from fastersession.testing.base import (
    LONG,
    START,
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

ODD = ['"', "\\", "'; DROP TABLE x; --", "%s{}$1?", "a:b{c}d", "grüße 👋 \u202e", "\t\n", "x" * 2000]


class Heads(Hooks):
    """The head of a session: attributes, times, version."""

    async def test_what_was_saved_is_loaded(self) -> None:
        value = {"text": "grüße 👋", "list": [1, 2.5, None, True], "nested": {"a": {"b": []}}}
        async with self.stores() as (store, twin):
            id_ = fresh()
            version = await store.save(id_, written(0, value, accessed=START + 1.125), ttl=LONG)
            assert version == 1, f"a session's first version is 1, not {version}"
            for each in (store, twin):
                record = await found(each, id_)
                assert attributes(record) == value, "the attributes came back changed"
                assert record.version == 1, "load() gives the version that save() returned"
                times = (record.created_at, record.last_accessed_at, record.max_inactive_interval)
                assert times == (START, START + 1.125, 900.5), f"the times came back changed: {times}"

    async def test_an_unknown_session_is_none(self) -> None:
        async with self.opened() as store:
            assert await store.load(fresh()) is None, "load() of what was never saved is None"

    async def test_versions_count_every_write(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            versions = [
                await store.save(id_, written(0), ttl=LONG),
                await store.save(id_, written(1, {"n": 1}, {journal: adding(1)}), ttl=LONG),
                await store.save(id_, appended(2, {journal: adding(2, after=1)}), ttl=LONG),
                await store.save(id_, written(3, {"n": 2}, journals=(journal,)), ttl=LONG),
            ]
            assert versions == [1, 2, 3, 4], f"each write counts the version up by 1: {versions}"
            record = await found(store, id_)
            assert (record.version, attributes(record)) == (4, {"n": 2}), "the last write is what is loaded"

    async def test_a_write_without_a_record_keeps_the_attributes(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, {"kept": 1}, {journal: adding("a")}), ttl=LONG)
            change = appended(1, {journal: adding("b", after=1)}, accessed=START + 7)
            await store.save(id_, change, ttl=LONG)
            record = await found(store, id_)
            assert attributes(record) == {"kept": 1}, "a change without a record leaves the attributes"
            assert record.created_at == START, "a change without a record leaves created_at"
            assert record.max_inactive_interval == 900.5, "... and max_inactive_interval"
            assert record.last_accessed_at == START + 7, "a change's accessed_at is the time of access"

    async def test_a_write_upon_another_version_changes_nothing(self) -> None:
        async with self.stores() as (store, twin):
            id_, journal = fresh(), key()
            await store.save(id_, written(0, {"kept": 1}, {journal: adding("a")}), ttl=LONG)
            await store.save(id_, written(1, {"kept": 2}, journals=(journal,)), ttl=LONG)
            before = await found(store, id_)
            for expected in (0, 1, 3):
                change = written(expected, {"lost": 1}, {key(): adding("lost")}, accessed=START + 9)
                with refused(VersionConflict, f"the version is 2, the writer expected {expected}"):
                    await twin.save(id_, change, ttl=LONG)
                await must_be(store, id_, before, "after a VersionConflict")

    async def test_what_is_gone_does_not_come_back(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: adding("a")}), ttl=LONG)
            await store.delete(id_)
            with refused(VersionConflict, "the session was deleted since it was read"):
                await store.save(id_, written(1, {"back": 1}, journals=(journal,)), ttl=LONG)
            for appends in ({journal: adding("b", after=1)}, {}):
                with refused(VersionConflict, "there is no session that could be written to"):
                    await store.save(id_, appended(1, appends), ttl=LONG)
            assert await store.load(id_) is None, "a refused write must not make the session anew"

    async def test_delete_removes_everything(self) -> None:
        async with self.stores() as (store, twin):
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: adding("a", "b")}), ttl=LONG)
            await twin.delete(id_)
            await twin.delete(id_)  # gone is gone
            assert await store.load(id_) is None, "delete() removes the record"
            tail = await store.read(id_, journal, start=0, limit=10)
            assert tail.entries == (), "delete() removes the journals"
            await store.save(id_, written(0, None, journals=(journal,)), ttl=LONG)
            assert entries(await found(store, id_), journal) == (0, []), "old entries came back"

    async def test_delete_can_insist_on_a_version(self) -> None:
        async with self.opened() as store:
            id_ = fresh()
            await store.save(id_, written(0), ttl=LONG)
            before = await found(store, id_)
            for expected in (0, 2):
                with refused(VersionConflict, f"the version is 1, not {expected}"):
                    await store.delete(id_, expected_version=expected)
                await must_be(store, id_, before, "after a delete() that was refused")
            await store.delete(id_, expected_version=1)
            assert await store.load(id_) is None, "delete() of the right version removes the session"
            with refused(VersionConflict, "there is no session, so none of version 1"):
                await store.delete(id_, expected_version=1)

    async def test_odd_ids_are_just_ids(self) -> None:
        async with self.opened() as store:
            begin, journal = fresh(), key()
            ids = [begin, *(begin + odd for odd in ODD), begin.swapcase()]
            for number, id_ in enumerate(ids):
                await store.save(id_, written(0, {"n": number}, {journal: adding(number)}), ttl=LONG)
            for number, id_ in enumerate(ids):
                record = await found(store, id_)
                assert attributes(record) == {"n": number}, f"the session {id_[:60]!r} is another one's"
                assert entries(record, journal) == (0, [number]), "the journal is another session's"
            await store.delete(begin)
            for id_ in ids[1:]:
                await found(store, id_)

    async def test_odd_and_large_attributes_come_back(self) -> None:
        value = {odd: odd for odd in ODD} | {"": "", "$type": {"$data": 1}, "large": "é" * 500_000}
        async with self.opened() as store:
            id_ = fresh()
            await store.save(id_, written(0, value), ttl=LONG)
            assert attributes(await found(store, id_)) == value, "odd attributes came back changed"

    async def test_the_spelling_of_numbers_is_kept(self) -> None:
        value = {"large": 2**63, "small": 1e-300, "exact": 0.1, "minus": -0.0, "whole": 1.0}
        async with self.opened() as store:
            id_ = fresh()
            await store.save(id_, written(0, value), ttl=LONG)
            record = await found(store, id_)
            assert json.loads(record.attributes) == value, "numbers came back changed"

    async def test_ping_answers(self) -> None:
        async with self.opened() as store:
            await store.ping()
