"""Journals that somebody else has been at: refused by whatever meets it, and left as they are."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from redis.asyncio import Redis

from fastersession import Append, Change, InvalidSessionData, Lease, RedisStore, Window
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.stores import START, record

KEY = "chatstream:session:{s}"
ENTRIES = {"j": Append(0, tuple(map(str, range(100))), 1000)}
GROWN = {"j": Append(100, ("100",), 1000)}
ALL = Window(1_000_000, 1_000_000_000)

Plant = Callable[[Redis], Awaitable[object]]
Call = Callable[[RedisStore], Awaitable[object]]

CALLS: dict[str, Call] = {
    "load": lambda store: store.load("s", window=Window(2)),
    "lease": lambda store: store.load("s", lease=Lease("a", 30)),
    "save": lambda store: store.save("s", Change(1, START, record(), ("j",)), ttl=60),
    "append": lambda store: store.save("s", Change(1, START, None, (), GROWN), ttl=60),
    "read": lambda store: store.read("s", "j", start=0, limit=3),
    "copy": lambda store: store.copy("s", "t", ttl=60),
    "touch": lambda store: store.touch("s", ttl=60, accessed_at=START),
    "delete": lambda store: store.delete("s", expected_version=1),
}


def counters(text: str) -> Plant:
    return lambda client: client.hset(KEY, "journals", text)


async def another_type(client: Redis) -> None:
    await client.delete(KEY)
    await client.rpush(KEY, "0", "1")


async def only_entries(client: Redis) -> None:
    await client.hdel(KEY, "record", "version", "accessed", "writer", "journals")


STRUCTURES: dict[str, Plant] = {
    "a list": another_type,
    "no head": only_entries,
    "an entry of the middle is gone": lambda client: client.hdel(KEY, "50:0"),
    "the newest entry is gone": lambda client: client.hdel(KEY, "99:0"),
    "an entry more": lambda client: client.hset(KEY, "100:0", "0123456789"),
    "a field of somebody else": lambda client: client.hset(KEY, "note", "x" * 1_000_000),
    "no counters": lambda client: client.hdel(KEY, "journals"),
    "empty counters": counters(""),
    "words": counters("j zero one two"),
    "a negative counter": counters("j 0 -1 99"),
    "a fraction": counters("j 0 0.5 100.5"),
    "the wrong way round": counters("j 0 100 0"),
    "more than there are": counters("j 0 0 101"),
    "beyond all numbers": counters(f"j 0 0 {'9' * 400}"),
    "too many to count": counters(f"j 0 0 {'9' * 14}"),
    "a word too many": counters("j 0 0 100 100"),
    "a huge text": counters("j 0 0 100" * 100_000),
    "control characters": counters("j\x00 0 \x000 100"),
}


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """A Redis that holds one session."""
    store = RedisStore.from_url(redis_server.url, password=redis_server.password)
    async with Redis.from_url(redis_server.url, password=redis_server.password) as opened:
        await opened.flushall()
        await store.save("s", Change(0, START, record(), ("j",), ENTRIES), ttl=60)
        await store.aclose()
        yield opened


@pytest.fixture
async def store(redis_server: RedisServer, client: Redis) -> AsyncIterator[RedisStore]:
    opened = RedisStore.from_url(redis_server.url, password=redis_server.password)
    yield opened
    await opened.aclose()


@pytest.mark.parametrize("plant", STRUCTURES.values(), ids=STRUCTURES.keys())
async def test_25_60_broken_journals_are_refused_and_stay_as_they_are(
    plant: Plant, client: Redis, store: RedisStore
) -> None:
    await plant(client)
    before = await client.dump(KEY)
    for name, call in CALLS.items():
        with pytest.raises(InvalidSessionData):
            await call(store)
        assert await client.dump(KEY) == before, name
    assert await client.keys("*") == [KEY.encode()]  # no lease, no copy


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"7",
        b'"an entry without a mark"',
        b"0123456\x1e7",
        b"01234567\x1e7\x1e8",
        b"01234567\x1e\xff",
    ],
    ids=["another number", "empty", "short", "no mark", "a short mark", "two in one", "no UTF-8"],
)
async def test_25_61_an_entry_that_is_none_is_refused(
    value: bytes | None, client: Redis, store: RedisStore
) -> None:
    await client.hdel(KEY, "98:0")
    field, planted = ("198:0", b"01234567\x1e7") if value is None else ("98:0", value)
    await client.hset(KEY, field, planted)
    before = await client.dump(KEY)
    for reading in (
        lambda: store.load("s", window=Window(2)),
        lambda: store.load("s", window=ALL),
        lambda: store.read("s", "j", start=98, limit=1),
    ):
        with pytest.raises(InvalidSessionData):
            await reading()
    found = await store.load("s", window=Window(1))  # which does not reach it
    assert found is not None
    assert found.journals["j"].entries == ("99",)
    assert await client.dump(KEY) == before


async def test_25_62_a_huge_entry_that_is_not_wanted_ends_the_window(
    client: Redis, store: RedisStore
) -> None:
    await client.hset(KEY, "90:0", b"01234567\x1e" + b'"' + b"x" * 20_000_000 + b'"')
    found = await store.load("s", window=Window(50, 1_000_000))
    assert found is not None
    assert found.journals["j"].start == 91


async def test_17_60_a_lease_of_another_type_is_refused(client: Redis, store: RedisStore) -> None:
    await client.rpush(f"{KEY}:lease", "a")
    before = await client.dump(KEY)
    change = Change(1, START, None, (), GROWN)
    with pytest.raises(InvalidSessionData):
        await store.load("s", lease=Lease("a", 30))
    with pytest.raises(InvalidSessionData):
        await store.save("s", change, ttl=60, release="a")
    await store.release("s", "a")
    assert (await client.dump(KEY), await client.llen(f"{KEY}:lease")) == (before, 1)


async def test_25_63_what_is_deleted_without_a_version_goes_whatever_it_is(
    client: Redis, store: RedisStore
) -> None:
    await another_type(client)
    await store.delete("s")
    assert await client.keys("*") == []


def test_25_64_entries_that_cannot_be_told_apart_are_not_sent() -> None:
    store = RedisStore.from_url("redis://127.0.0.1:1")
    change = Change(1, START, None, (), {"j": Append(0, ('"a\x1eb"',), 10)})
    with pytest.raises(InvalidSessionData):
        store.save("s", change, ttl=60).send(None)


def test_25_65_a_new_session_needs_a_record() -> None:
    store = RedisStore.from_url("redis://127.0.0.1:1")
    with pytest.raises(ValueError, match="record"):
        store.save("s", Change(0, START, None, (), {}), ttl=60).send(None)
