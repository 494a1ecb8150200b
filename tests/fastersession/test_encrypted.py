"""Encryption at rest: what is stored cannot be read, moved or changed, and keys can be replaced."""

import base64
import json
import traceback
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from fastersession import (
    Append,
    Change,
    EncryptedStore,
    InvalidSessionData,
    KeyRing,
    MemoryStore,
    RedisStore,
    SessionStore,
    StoredSession,
    StoreFailed,
    Tail,
    VersionConflict,
    Window,
)
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.stores import START, Clock

OLD, NEW = "old-key-0123456789", "new-key-0123456789"
MARKER = "the-words-of-a-user"
ALL = Window(entries=1_000_000, bytes=1_000_000_000)


def head(attributes: str = f'{{"{MARKER}":"{MARKER}"}}') -> StoredSession:
    return StoredSession(attributes, START, START, 900.0)


def creation(*journals: str, entries: tuple[str, ...] = (f'"{MARKER}"', '"b"')) -> Change:
    appends = {journal: Append(0, entries, 10) for journal in journals}
    return Change(0, START, head(), journals, appends)


async def plant(store: SessionStore, id_: str, record: StoredSession) -> None:
    """Put this under an id, whatever was there: what somebody does who may write to the store."""
    await store.delete(id_)
    appends = {name: Append(0, tail.entries, 1_000) for name, tail in record.journals.items()}
    await store.save(id_, Change(0, START, record, tuple(appends), appends), ttl=60)


async def stored(store: SessionStore, id_: str) -> StoredSession:
    record = await store.load(id_, window=ALL)
    assert record is not None
    return record


async def refused(store: EncryptedStore, id_: str, because: str = ".", *, journal: str | None = None) -> None:
    """Loading gives nothing, and neither does reading the journal; the errors show no text and no key."""
    with pytest.raises(InvalidSessionData, match=because) as loading:
        await store.load(id_, window=ALL)
    errors: list[BaseException] = [loading.value]
    if journal is not None:
        with pytest.raises(InvalidSessionData, match=because) as reading:
            await store.read(id_, journal, start=0, limit=10)
        errors.append(reading.value)
    for error in errors:
        assert error.__cause__ is None
        shown = "".join(traceback.format_exception(error))
        for secret in (MARKER, base64.b64encode(MARKER.encode()).decode(), OLD, NEW):
            assert secret not in shown


async def test_nothing_in_redis_can_be_read(redis_server: RedisServer) -> None:
    inner = RedisStore.from_url(redis_server.url, password=redis_server.password)
    store = EncryptedStore(inner, OLD)
    client = Redis.from_url(redis_server.url, password=redis_server.password)
    await client.flushall()
    await store.save("s", creation("j"), ttl=60)
    await store.save("s", Change(1, START, None, appends={"j": Append(2, (f'"{MARKER}"',), 10)}), ttl=60)
    await store.copy("s", "t", ttl=60)
    found = [await client.dump(key) async for key in client.scan_iter()]
    fields = [await client.hgetall(key) async for key in client.scan_iter()]
    everything = repr((found, fields)).encode()
    assert len(found) == 2
    assert (await stored(store, "t")).journals["j"].entries == (f'"{MARKER}"', '"b"', f'"{MARKER}"')
    for text in (MARKER, f'"{MARKER}"', OLD):
        assert text.encode() not in everything
        assert base64.b64encode(text.encode()).rstrip(b"=")[:-1] not in everything
    await store.aclose()
    await client.aclose()


async def test_values_of_another_session_are_noticed() -> None:
    inner = MemoryStore()
    store = EncryptedStore(inner, OLD)
    for id_ in ("s", "t"):
        await store.save(id_, creation("j"), ttl=60)
    one, other = await stored(inner, "s"), await stored(inner, "t")
    await plant(inner, "s", other)
    await refused(store, "s", "belongs elsewhere", journal="j")
    await plant(inner, "s", replace(one, journals=other.journals))  # the head its own
    await refused(store, "s", "belongs elsewhere", journal="j")
    await plant(inner, "s", replace(one, attributes=other.attributes))  # the entries its own
    await refused(store, "s", "belongs elsewhere")
    await plant(inner, "s", one)
    assert (await stored(store, "s")).attributes == head().attributes


async def test_values_of_another_place_in_the_session_are_noticed() -> None:
    inner = MemoryStore()
    store = EncryptedStore(inner, OLD)
    await store.save("s", creation("j", "k"), ttl=60)
    record = await stored(inner, "s")
    swapped = {"j": record.journals["k"], "k": record.journals["j"]}
    await plant(inner, "s", replace(record, journals=swapped))
    await refused(store, "s", "belongs elsewhere", journal="j")
    sealed = json.loads(record.attributes)["$sealed"]
    await plant(inner, "s", replace(record, journals={"j": Tail(0, (json.dumps(sealed),))}))
    await refused(store, "s", "belongs elsewhere", journal="j")
    entry = json.loads(record.journals["j"].entries[0])
    await plant(inner, "s", replace(record, attributes=json.dumps({"$sealed": entry}), journals={}))
    await refused(store, "s", "belongs elsewhere")


async def test_the_order_within_a_journal_is_not_protected() -> None:
    """As its docstring says: whole entries of one journal can be moved, repeated and removed."""
    inner = MemoryStore()
    store = EncryptedStore(inner, OLD)
    await store.save("s", creation("j"), ttl=60)
    record = await stored(inner, "s")
    first, second = record.journals["j"].entries
    await plant(inner, "s", replace(record, journals={"j": Tail(0, (second, first, second))}))
    assert (await stored(store, "s")).journals["j"].entries == ('"b"', f'"{MARKER}"', '"b"')


@pytest.mark.parametrize(
    "attributes",
    [
        head().attributes,
        "{}",
        '{"$sealed":"x"}',
        '{"$sealed":7}',
        '{"$sealed":{"a":1}}',
        f'{{"$sealed":"{MARKER}","more":1}}',
        f'["{MARKER}"]',
        f"{MARKER}",
        "",
    ],
)
async def test_plain_attributes_that_somebody_planted_are_refused(attributes: str) -> None:
    inner = MemoryStore()
    await plant(inner, "s", head(attributes))
    await refused(EncryptedStore(inner, OLD), "s", "encrypted|no JSON")


@pytest.mark.parametrize("entry", [f'"{MARKER}"', f'{{"text":"{MARKER}"}}', "7", "null", MARKER, ""])
async def test_plain_entries_that_somebody_planted_are_refused(entry: str) -> None:
    inner = MemoryStore()
    store = EncryptedStore(inner, OLD)
    await store.save("s", creation("j"), ttl=60)
    record = await stored(inner, "s")
    await plant(inner, "s", replace(record, journals={"j": Tail(0, (entry,))}))
    await refused(store, "s", "encrypted|no JSON", journal="j")


async def test_nothing_may_stand_beside_what_is_sealed() -> None:
    inner = MemoryStore()
    store = EncryptedStore(inner, OLD)
    await store.save("s", creation("j"), ttl=60)
    record = await stored(inner, "s")
    more = json.dumps(json.loads(record.attributes) | {"user": "admin"})
    await plant(inner, "s", replace(record, attributes=more))
    await refused(store, "s", "not encrypted")


async def test_any_change_of_what_is_stored_is_noticed() -> None:
    inner = MemoryStore()
    store = EncryptedStore(inner, OLD)
    await store.save("s", creation("j"), ttl=60)
    record = await stored(inner, "s")
    sealed, (entry, _) = json.loads(record.attributes)["$sealed"], record.journals["j"].entries
    for at in range(len(sealed)):
        other = "B" if sealed[at] == "A" else "A"
        changed = json.dumps({"$sealed": sealed[:at] + other + sealed[at + 1 :]})
        await plant(inner, "s", replace(record, attributes=changed))
        await refused(store, "s")
    for at in range(len(entry)):
        other = "B" if entry[at] == "A" else "A"
        changed = entry[:at] + other + entry[at + 1 :]
        await plant(inner, "s", replace(record, journals={"j": Tail(0, (changed,))}))
        await refused(store, "s", journal="j")


async def test_keys_are_replaced_while_serving() -> None:
    inner, ring = MemoryStore(), KeyRing(OLD)
    store = EncryptedStore(inner, ring)
    old, new = KeyRing(OLD).fingerprints()[0], KeyRing(NEW).fingerprints()[0]
    await store.save("s", creation("j"), ttl=60)
    ring.replace([NEW, OLD])
    await store.save("s", Change(1, START, None, appends={"j": Append(2, ('"c"',), 10)}), ttl=60)
    record, raw = await stored(store, "s"), await stored(inner, "s")
    assert record.journals["j"].entries == (f'"{MARKER}"', '"b"', '"c"')
    assert [entry[1:9] for entry in raw.journals["j"].entries] == [old, old, new]
    ring.replace([NEW])
    await refused(store, "s", f"the key {old}, which is not there", journal="j")
    assert (await store.read("s", "j", start=2, limit=1)).entries == ('"c"',)


async def test_another_key_reads_nothing() -> None:
    inner = MemoryStore()
    await EncryptedStore(inner, OLD).save("s", creation("j"), ttl=60)
    await refused(EncryptedStore(inner, NEW), "s", KeyRing(OLD).fingerprints()[0], journal="j")


async def test_a_copy_is_sealed_anew_with_the_key_of_now() -> None:
    inner, ring = MemoryStore(), KeyRing(OLD)
    store = EncryptedStore(inner, ring)
    await store.save("s", creation("j"), ttl=60)
    ring.replace([NEW, OLD])
    assert await store.copy("s", "t", ttl=60) == 1
    ring.replace([NEW])
    record = await stored(store, "t")
    assert record.attributes == head().attributes
    assert record.journals["j"].entries == (f'"{MARKER}"', '"b"')
    await refused(store, "s", KeyRing(OLD).fingerprints()[0])


@pytest.mark.parametrize("dropped", [1, 9_999, 10_000, 20_001])
async def test_a_copy_keeps_the_numbers_of_its_entries(dropped: int) -> None:
    store = EncryptedStore(MemoryStore(), OLD)
    entries = tuple(str(n) for n in range(dropped + 2))
    appends = {"j": Append(0, entries, 2), "k": Append(0, ("1",), 2), "l": Append(0, (), 2)}
    await store.save("s", Change(0, START, head(), ("j", "k", "l"), appends), ttl=60)
    await store.copy("s", "t", ttl=60)
    record = await stored(store, "t")
    assert record.journals["j"] == Tail(dropped, entries[-2:])
    assert record.journals["k"] == Tail(0, ("1",))
    more = Change(record.version, START, None, appends={"j": Append(dropped + 2, ("7",), 2)})
    await store.save("t", more, ttl=60)
    assert (await stored(store, "t")).journals["j"] == Tail(dropped + 1, (entries[-1], "7"))


class Failing(MemoryStore):
    """Fails at the third write."""

    writes = 0

    async def save(
        self, session_id: str, /, change: Change, *, ttl: float, release: str | None = None
    ) -> int:
        self.writes += 1
        if self.writes == 3:
            raise StoreFailed("for this test")
        return await super().save(session_id, change, ttl=ttl, release=release)


async def test_what_a_copy_that_failed_left_behind_soon_ends() -> None:
    clock = Clock()
    inner = Failing(clock=clock)
    store = EncryptedStore(inner, OLD)
    change = Change(0, START, head(), ("j",), {"j": Append(0, ("1", "2", "3"), 2)})
    await store.save("s", change, ttl=3600)
    with pytest.raises(StoreFailed):
        await store.copy("s", "t", ttl=3600)
    assert await inner.load("t") is not None
    clock.now += 60
    assert await inner.load("t") is None


async def test_a_copy_overwrites_nothing_even_in_steps() -> None:
    store = EncryptedStore(MemoryStore(), OLD)
    change = Change(0, START, head(), ("j",), {"j": Append(0, ("1", "2", "3"), 2)})
    await store.save("s", change, ttl=60)
    await store.save("t", creation("j"), ttl=60)
    with pytest.raises(VersionConflict):
        await store.copy("s", "t", ttl=60)
    assert (await stored(store, "t")).version == 1


@pytest.mark.parametrize("length", [100, 10_000])
async def test_the_window_counts_what_entries_were_before(length: int) -> None:
    """It is widened for what is sealed, which is longer; what is read in excess is dropped."""
    store = EncryptedStore(MemoryStore(), OLD)
    entries = tuple(f'"{"x" * (length - 2)}"' for _ in range(20))
    change = Change(0, START, head(), ("j",), {"j": Append(0, entries, 100)})
    await store.save("s", change, ttl=60)
    for count in (1, 2, 3, 10, 20):
        for size in (count * length, (count + 1) * length - 1):
            record = await store.load("s", window=Window(entries=count, bytes=size))
            assert record is not None
            assert len(record.journals["j"].entries) == count


def test_keys_are_checked_at_once_and_never_shown() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        EncryptedStore(MemoryStore(), "short")
    store = EncryptedStore(MemoryStore(), OLD)
    assert OLD not in repr(vars(store))
