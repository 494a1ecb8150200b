"""Windows: a load reads the newest part of each journal, as much as was asked for."""

import json

from fastersession.records import Append, Window
from fastersession.store import SessionStore
from fastersession.testing.base import LONG, Hooks, adding, appended, entries, found, fresh, key, written


async def with_entries(store: SessionStore, values: list[object], *, limit: int = 10_000) -> tuple[str, str]:
    """A new session and its one journal."""
    id_, journal = fresh(), key()
    await store.save(id_, written(0, None, {journal: adding(*values, limit=limit)}), ttl=LONG)
    return id_, journal


class Windows(Hooks):
    """What `load(window=…)` reads."""

    async def test_the_newest_entries_are_read(self) -> None:
        async with self.opened() as store:
            id_, journal = await with_entries(store, list(range(20)))
            for count in (1, 7, 20, 21):
                kept = entries(await found(store, id_, Window(entries=count)), journal)
                start = max(0, 20 - count)
                assert kept == (start, list(range(start, 20))), f"the newest {count} of 20 entries: {kept}"

    async def test_the_standard_window_is_a_thousand_entries(self) -> None:
        async with self.opened() as store:
            id_, journal = await with_entries(store, list(range(1_003)))
            record = await store.load(id_)
            assert record is not None, "load() gave None for a session that was saved"
            assert entries(record, journal) == (3, list(range(3, 1_003))), "the newest 1,000"

    async def test_entries_are_read_up_to_so_many_bytes(self) -> None:
        values: list[object] = ["é" * 49 for _ in range(5)]  # as JSON with \\u escapes or as UTF-8
        async with self.opened() as store:
            id_, journal = await with_entries(store, values)
            size = len(json.dumps(values[0]))
            for limit, count in [(size * 2, 2), (size * 3 - 1, 2), (size * 3, 3), (size * 5, 5)]:
                start, kept = entries(await found(store, id_, Window(bytes=limit)), journal)
                assert len(kept) == count, f"{limit} bytes hold {count} entries of {size}, not {len(kept)}"
                assert start == 5 - count, "the newest ones, and numbered as they are"

    async def test_bytes_are_those_of_utf_8(self) -> None:
        async with self.opened() as store:
            id_, journal = fresh(), key()
            texts = tuple(f'"{"é" * 49}"' for _ in range(4))  # 51 characters, 100 bytes
            await store.save(id_, written(0, None, {journal: Append(0, texts, 10)}), ttl=LONG)
            _, kept = entries(await found(store, id_, Window(bytes=299)), journal)
            assert len(kept) == 2, f"299 bytes hold 2 entries of 100 bytes in UTF-8, not {len(kept)}"

    async def test_the_newest_entry_is_always_read(self) -> None:
        async with self.opened() as store:
            id_, journal = await with_entries(store, ["small", "x" * 10_000])
            kept = entries(await found(store, id_, Window(bytes=100)), journal)
            assert kept == (1, ["x" * 10_000]), "the newest entry is read however long it is"

    async def test_a_long_entry_ends_the_window(self) -> None:
        async with self.opened() as store:
            id_, journal = await with_entries(store, ["old", "x" * 10_000, "new"])
            kept = entries(await found(store, id_, Window(bytes=100)), journal)
            assert kept == (2, ["new"]), "a window has no holes: what is older than a long entry is not read"

    async def test_each_journal_has_the_whole_window(self) -> None:
        async with self.opened() as store:
            id_, one, two = fresh(), key(), key()
            appends = {one: adding(1, 2, 3), two: adding(4, 5, 6)}
            await store.save(id_, written(0, None, appends), ttl=LONG)
            record = await found(store, id_, Window(entries=2))
            assert entries(record, one) == (1, [2, 3]), "the window counts for each journal"
            assert entries(record, two) == (1, [5, 6]), "the window counts for each journal"

    async def test_a_window_on_what_a_limit_left(self) -> None:
        async with self.opened() as store:
            id_, journal = await with_entries(store, list(range(6)), limit=4)
            await store.save(id_, appended(1, {journal: adding(6, after=6, limit=4)}), ttl=LONG)
            assert entries(await found(store, id_, Window(entries=2)), journal) == (5, [5, 6])
            assert entries(await found(store, id_, Window(entries=9)), journal) == (3, [3, 4, 5, 6])
