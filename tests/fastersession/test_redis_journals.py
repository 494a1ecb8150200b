"""How Redis keeps a session: one key, in which journals grow, are cut and go."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from fastersession import Append, Change, Lease, RedisStore, Tail, VersionConflict, Window
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.stores import START, record

KEY = "chatstream:session:{s}"
ALL = Window(1_000_000, 1_000_000_000)
MANY = 10_000


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """An empty Redis, seen by itself."""
    async with Redis.from_url(redis_server.url, password=redis_server.password) as opened:
        await opened.flushall()
        yield opened


@pytest.fixture
async def store(redis_server: RedisServer, client: Redis) -> AsyncIterator[RedisStore]:
    opened = RedisStore.from_url(redis_server.url, password=redis_server.password)
    yield opened
    await opened.aclose()


def texts(*numbers: int) -> tuple[str, ...]:
    return tuple(map(str, numbers))


async def begin(store: RedisStore, count: int, *, limit: int = MANY, id_: str = "s") -> None:
    appends = {"j": Append(0, texts(*range(count)), limit)}
    await store.save(id_, Change(0, START, record(), ("j",), appends), ttl=60)


async def window(store: RedisStore, entries: int, bytes_: int = 10**9, id_: str = "s") -> tuple[int, int]:
    """The number of the first entry, and how many there are."""
    found = await store.load(id_, window=Window(entries, bytes_))
    assert found is not None
    tail = found.journals["j"]
    assert tail.entries == texts(*range(tail.start, tail.start + len(tail.entries)))
    return tail.start, len(tail.entries)


async def test_25_50_ten_thousand_entries_go_all_ways(store: RedisStore, client: Redis) -> None:
    await begin(store, MANY)
    assert await window(store, MANY) == (0, MANY)
    assert (await store.read("s", "j", start=0, limit=MANY)).entries == texts(*range(MANY))
    assert await store.read("s", "j", start=4_999, limit=3) == Tail(4_999, texts(4_999, 5_000, 5_001))
    assert await store.copy("s", "t", ttl=60) == 1
    assert await window(store, MANY, id_="t") == (0, MANY)
    await store.save("s", Change(1, START, record(), ()), ttl=60)
    assert await client.hlen(KEY) == 5
    await store.delete("t", expected_version=1)
    assert await client.keys("*") == [KEY.encode()]


async def test_25_51_a_session_is_one_key_that_ends(store: RedisStore, client: Redis) -> None:
    appends = {name: Append(0, ('"x"',) * 9, 100) for name in ("j", "k", "l")}
    await store.save("s", Change(0, START, record(), tuple(appends), appends), ttl=60)
    assert await client.keys("*") == [KEY.encode()]
    assert 59_000 < await client.pttl(KEY) <= 60_000
    await store.save("s", Change(1, START, None, (), {"j": Append(9, ("1",), 100)}), ttl=90)
    assert 89_000 < await client.pttl(KEY) <= 90_000
    assert await store.copy("s", "t", ttl=30) == 2
    assert 29_000 < await client.pttl("chatstream:session:{t}") <= 30_000
    await store.delete("s")
    await store.delete("t")
    assert await client.keys("*") == []


async def test_25_52_two_writers_lose_nothing(redis_server: RedisServer, store: RedisStore) -> None:
    other = RedisStore.from_url(redis_server.url, password=redis_server.password)
    await begin(store, 0)

    async def write(who: RedisStore, name: str) -> None:
        for n in range(100):
            change = Change(1, START, None, (), {"j": Append(0, (f'"{name} {n}"',), MANY)})
            await who.save("s", change, ttl=60)

    await asyncio.gather(write(store, "a"), write(other, "b"))
    await other.aclose()
    kept = (await store.read("s", "j", start=0, limit=MANY)).entries
    assert len(kept) == 200
    for name in ("a", "b"):
        assert [entry for entry in kept if name in entry] == [f'"{name} {n}"' for n in range(100)]


@pytest.mark.parametrize(
    ("entries", "bytes_", "expected"),
    [
        (1, 10**9, (1_499, 1)),
        (40, 10**9, (1_460, 40)),
        (41, 10**9, (1_459, 41)),
        (1_200, 10**9, (300, 1_200)),
        (10**9, 10**12, (0, 1_500)),
        (40, 1, (1_499, 1)),  # the newest in any case
        (40, 8, (1_498, 2)),
        (1_500, 11, (1_498, 2)),
        (1_500, 12, (1_497, 3)),
        (1_500, 4 * 500, (1_000, 500)),
        (1_500, 4 * 500 + 3 * 600, (400, 1_100)),
    ],
)
async def test_25_53_a_window_is_cut_by_entries_and_by_bytes(
    store: RedisStore, entries: int, bytes_: int, expected: tuple[int, int]
) -> None:
    await begin(store, 1_500)
    assert await window(store, entries, bytes_) == expected


async def test_25_54_of_large_entries_few_are_read(store: RedisStore, client: Redis) -> None:
    """Small ones after large ones, and the other way: what is read in vain stays small."""
    large, small = f'"{"x" * 100_000}"', "1"
    appends = {"j": Append(0, (large,) * 100 + (small,) * 100 + (large,) * 100, MANY)}
    await store.save("s", Change(0, START, record(), ("j",), appends), ttl=60)
    await client.config_resetstat()
    found = await store.load("s", window=Window(1_000, 250_000))
    assert found is not None
    assert found.journals["j"] == Tail(298, (large, large))
    appends = {"j": Append(300, (small,) * 30, MANY)}
    await store.save("s", Change(1, START, None, (), appends), ttl=60)
    found = await store.load("s", window=Window(1_000, 250_000))
    assert found is not None
    assert found.journals["j"] == Tail(298, (large, large) + (small,) * 30)


async def test_25_55_the_oldest_go_and_the_numbers_stay(store: RedisStore, client: Redis) -> None:
    await begin(store, 10, limit=10)
    for n in range(10, 25):
        await store.save("s", Change(1, START, None, (), {"j": Append(n, texts(n), 10)}), ttl=60)
    assert await window(store, 100) == (15, 10)
    assert await client.hlen(KEY) == 5 + 10
    await store.save("s", Change(1, START, None, (), {"j": Append(25, texts(*range(25, 2525)), 3)}), ttl=60)
    assert await window(store, 100) == (2_522, 3)
    assert await client.hlen(KEY) == 5 + 3


async def test_25_56_journals_share_a_session_without_meeting(store: RedisStore, client: Redis) -> None:
    names = ("a", "b", "grüße mit Leerzeichen", "0", "%", "")
    appends = {name: Append(0, (f'"{n}"', "0"), MANY) for n, name in enumerate(names)}
    await store.save("s", Change(0, START, record(), names, appends), ttl=60)
    await store.save("s", Change(1, START, record(), names[1:], {"c": Append(0, ('"c"',), MANY)}), ttl=60)
    found = await store.load("s")
    assert found is not None
    expected = {name: Tail(0, appends[name].entries) for name in names[1:]}
    assert found.journals == {**expected, "c": Tail(0, ('"c"',))}
    assert await client.hlen(KEY) == 5 + 2 * 5 + 1


@pytest.mark.parametrize("known", [0, 2])
async def test_25_57_an_append_to_a_journal_that_was_replaced_is_refused(
    store: RedisStore, client: Redis, known: int
) -> None:
    """Nobody would ever read it: an acknowledged entry would be lost."""
    await begin(store, 2)
    await store.save("s", Change(1, START, record(), ("k",)), ttl=60)
    before = await client.dump(KEY)
    with pytest.raises(VersionConflict, match="journal"):
        await store.save("s", Change(1, START, None, (), {"j": Append(known, texts(2), MANY)}), ttl=60)
    assert await client.dump(KEY) == before


async def test_25_58_a_record_from_before_there_were_journals_works_on(
    store: RedisStore, client: Redis
) -> None:
    fields: dict[Any, Any] = {
        "record": record().to_json(),
        "version": "7",
        "accessed": "1.8e9",
        "writer": "0123456789abcdef",
    }
    await client.hset(KEY, mapping=fields)
    found = await store.load("s", lease=Lease("a", 30))
    assert found is not None
    assert (found.version, dict(found.journals)) == (7, {})
    await store.touch("s", ttl=60, accessed_at=START)
    assert await store.copy("s", "t", ttl=60) == 7
    change = Change(7, START, record(), ("j",), {"j": Append(0, texts(0), MANY)})
    assert await store.save("s", change, ttl=60, release="a") == 8
    assert await window(store, 10) == (0, 1)


@pytest.mark.parametrize("taken_over", [False, True])
async def test_17_50_entries_of_a_lease_that_was_lost_are_not_appended(
    store: RedisStore, client: Redis, taken_over: bool
) -> None:
    """Its end alone is no harm, as long as nobody wrote."""
    await begin(store, 1)
    await store.load("s", lease=Lease("a", 30))
    await client.delete(f"{KEY}:lease")
    assert (
        await store.save("s", Change(1, START, None, (), {"j": Append(1, texts(1), 9)}), ttl=60, release="a")
        == 2
    )
    if taken_over:
        await store.load("s", lease=Lease("b", 30))
    change = Change(1, START, None, (), {"j": Append(2, texts(9), 9)})
    with pytest.raises(VersionConflict, match="lease"):
        await store.save("s", change, ttl=60, release="a")
    assert await window(store, 10) == (0, 2)
