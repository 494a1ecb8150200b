"""Journals: appended to, numbered for ever, bounded, and gone once nobody refers to them."""

import json

from fastersession.errors import VersionConflict
from fastersession.records import Append
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

ODD_ENTRIES: list[object] = [
    None,
    True,
    0,
    "",
    "null",
    '"',
    "grüße 👋",
    {"$type": "x"},
    [[]],
    "x" * 200_000,
    "\u0000\n",
]


class Journals(Hooks):
    """Appending, limits, removal, reading."""

    async def test_entries_are_kept_in_order(self) -> None:
        async with self.stores() as (store, twin):
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: adding("a", "b")}), ttl=LONG)
            await twin.save(id_, appended(1, {journal: adding("c", after=2)}), ttl=LONG)
            await store.save(id_, written(2, {"n": 3}, {journal: adding("d", after=3)}), ttl=LONG)
            for each in (store, twin):
                kept = entries(await found(each, id_), journal)
                assert kept == (0, ["a", "b", "c", "d"]), f"entries are kept in order, from 0 on: {kept}"

    async def test_a_write_without_entries_keeps_those_that_are_there(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: adding("a")}), ttl=LONG)
            await store.save(id_, written(1, {"n": 1}, journals=(journal,)), ttl=LONG)
            await store.save(id_, appended(2, {}), ttl=LONG)
            await store.save(id_, appended(3, {journal: adding(after=1)}), ttl=LONG)
            kept = entries(await found(store, id_), journal)
            assert kept == (0, ["a"]), f"a write that appends nothing changed a journal: {kept}"

    async def test_odd_entries_come_back(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: adding(*ODD_ENTRIES)}), ttl=LONG)
            assert entries(await found(store, id_), journal) == (0, ODD_ENTRIES), "entries came back changed"
            tail = await store.read(id_, journal, start=0, limit=100)
            assert [json.loads(text) for text in tail.entries] == ODD_ENTRIES, "read() changed entries"

    async def test_texts_need_no_escapes(self) -> None:
        texts = ('"grüße 👋 \u2028 \x7f"', '{"é":["\U0010ffff"]}', " [1,\n2] ", '"\\ud800"')
        async with self.stores() as (store, twin):
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: Append(0, texts, 10)}), ttl=LONG)
            expected = [json.loads(text) for text in texts]
            kept = entries(await found(twin, id_), journal)
            assert kept == (0, expected), f"entries are JSON in UTF-8, escaped or not: {kept}"

    async def test_equal_entries_are_all_kept(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: adding("x", "x")}), ttl=LONG)
            await store.save(id_, appended(1, {journal: adding("x", after=2)}), ttl=LONG)
            kept = entries(await found(store, id_), journal)
            assert kept == (0, ["x", "x", "x"]), f"a writer may append the same text again: {kept}"

    async def test_journals_of_a_session_are_apart(self) -> None:
        async with self.opened() as store:
            id_, other, one, two = fresh(), fresh(), key(), key()
            await store.save(id_, written(0, None, {one: adding(1), two: adding(2, 2)}), ttl=LONG)
            await store.save(other, written(0, None, {one: adding(3)}), ttl=LONG)
            await store.save(id_, appended(1, {two: adding(4, after=2)}), ttl=LONG)
            record = await found(store, id_)
            assert entries(record, one) == (0, [1]), "an append reached another journal"
            assert entries(record, two) == (0, [2, 2, 4]), "an append reached another journal"
            assert entries(await found(store, other), one) == (0, [3]), "... of another session"

    async def test_a_journal_keeps_its_newest_and_counts_on(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: adding(0, 1, 2, limit=3)}), ttl=LONG)
            await store.save(id_, appended(1, {journal: adding(3, 4, after=3, limit=3)}), ttl=LONG)
            kept = entries(await found(store, id_), journal)
            assert kept == (2, [2, 3, 4]), f"the newest 3 stay, numbered as they were: {kept}"
            await store.save(id_, appended(2, {journal: adding(*range(5, 10), after=5, limit=2)}), ttl=LONG)
            kept = entries(await found(store, id_), journal)
            assert kept == (8, [8, 9]), f"more entries than the limit in one write: {kept}"
            tail = await store.read(id_, journal, start=0, limit=10)
            assert (tail.start, tail.entries) == (8, ("8", "9")), f"what was dropped is gone: {tail.start}"

    async def test_journals_that_nobody_refers_to_go(self) -> None:
        async with self.stores() as (store, twin):
            id_, kept, gone = fresh(), key(), key()
            await store.save(id_, written(0, None, {kept: adding("k"), gone: adding("g")}), ttl=LONG)
            await twin.save(id_, written(1, {"n": 1}, journals=(kept,)), ttl=LONG)
            record = await found(store, id_)
            assert entries(record, kept) == (0, ["k"]), "a journal that is referred to stays"
            assert entries(record, gone) == (0, []), "a journal that is not referred to goes with its entries"
            assert (await store.read(id_, gone, start=0, limit=9)).entries == (), "read() still finds it"
            await store.save(id_, written(2, {"n": 2}, journals=(kept, gone)), ttl=LONG)
            assert entries(await found(store, id_), gone)[1] == [], "its entries came back"

    async def test_a_journal_is_replaced_in_one_write(self) -> None:
        async with self.opened() as store:
            id_, old, new = fresh(), key(), key()
            await store.save(id_, written(0, None, {old: adding("o")}), ttl=LONG)
            await store.save(id_, written(1, {"n": 1}, {new: adding("n")}), ttl=LONG)
            record = await found(store, id_)
            assert (entries(record, old), entries(record, new)) == ((0, []), (0, ["n"])), "one for the other"

    async def test_an_append_needs_no_newest_version(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, {"n": 0}, {journal: adding("a")}), ttl=LONG)
            await store.save(id_, written(1, {"n": 1}, {journal: adding("theirs", after=1)}), ttl=LONG)
            version = await store.save(id_, appended(1, {journal: adding("mine", after=1)}), ttl=LONG)
            record = await found(store, id_)
            assert version == record.version == 3, "save() returns the version that it made"
            assert attributes(record) == {"n": 1}, "an append overwrote attributes"
            kept = entries(record, journal)
            assert kept == (0, ["a", "theirs", "mine"]), f"entries go to the end whatever version: {kept}"

    async def test_an_append_to_a_journal_that_is_gone_is_a_conflict(self) -> None:
        async with self.opened() as store:
            id_, gone = fresh(), key()
            await store.save(id_, written(0, {"n": 0}, {gone: adding("a")}), ttl=LONG)
            await store.save(id_, written(1, {"n": 1}, journals=()), ttl=LONG)
            before = await found(store, id_)
            with refused(VersionConflict, "the journal was removed since it was read"):
                await store.save(id_, appended(1, {gone: adding("b", after=1)}), ttl=LONG)
            await must_be(store, id_, before, "after a conflict")

    async def test_an_append_to_a_journal_that_lost_entries_is_a_conflict(self) -> None:
        async with self.opened() as store:
            id_, known, new = fresh(), key(), key()
            await store.save(id_, written(0, {"n": 0}, {known: adding("a")}), ttl=LONG)
            before = await found(store, id_)
            for change in (
                appended(1, {known: adding("b", after=2)}),
                written(1, {"n": 1}, {known: adding("b", after=2)}),
                written(1, {"n": 1}, {known: adding("b", after=1), new: adding("c", after=1)}),
            ):
                with refused(VersionConflict, "there are fewer entries than the writer knew of"):
                    await store.save(id_, change, ttl=LONG)
                await must_be(store, id_, before, "after a conflict")

    async def test_a_conflict_appends_and_removes_nothing(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            await store.save(id_, written(0, {"n": 0}, {journal: adding("a", "b")}), ttl=LONG)
            await store.save(id_, written(1, {"n": 1}, journals=(journal,)), ttl=LONG)
            before = await found(store, id_)
            with refused(VersionConflict, "attributes were written since"):
                await store.save(
                    id_, written(1, {"n": 2}, {journal: adding("c", after=2, limit=1)}), ttl=LONG
                )
            with refused(VersionConflict, "attributes were written since"):
                await store.save(id_, written(1, {"n": 2}, journals=()), ttl=LONG)
            await must_be(store, id_, before, "after a conflict")

    async def test_older_entries_can_be_read(self) -> None:
        async with self.stores() as (store, twin):
            id_, journal = fresh(), key()
            await store.save(id_, written(0, None, {journal: adding(*range(10), limit=8)}), ttl=LONG)
            for start, limit, expected in [
                (0, 3, (2, ["2", "3", "4"])),  # 0 and 1 were dropped: from the oldest that is kept
                (5, 2, (5, ["5", "6"])),
                (8, 100, (8, ["8", "9"])),
            ]:
                tail = await twin.read(id_, journal, start=start, limit=limit)
                assert (tail.start, list(tail.entries)) == expected, f"read(start={start}, limit={limit})"
            assert (await store.read(id_, journal, start=10, limit=5)).entries == (), "beyond the end"

    async def test_reading_what_is_not_there_is_empty(self) -> None:
        async with self.opened() as store:
            id_ = fresh()
            assert (await store.read(id_, key(), start=0, limit=5)).entries == (), "no such session"
            await store.save(id_, written(0), ttl=LONG)
            assert (await store.read(id_, key(), start=0, limit=5)).entries == (), "no such journal"
