"""Answers that are lost on their way: what Redis has done is not done twice, whoever wrote between."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from fastersession import Append, Change, Lease, LeaseHeld, RedisStore, VersionConflict, Window
from tests.fastersession.redis_proxy import RedisProxy, proxy_before
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.stores import START, record

ALL = Window(1_000_000, 1_000_000_000)
OTHERS = 300
"""Writes between, many more than the marks that a session keeps."""


@pytest.fixture
async def proxy(redis_server: RedisServer) -> AsyncIterator[RedisProxy]:
    async with Redis.from_url(redis_server.url, password=redis_server.password) as client:
        await client.flushall()
    async with proxy_before(redis_server) as running:
        yield running


@pytest.fixture
async def store(proxy: RedisProxy) -> AsyncIterator[RedisStore]:
    """The one whose answers are lost."""
    opened = RedisStore.from_url(proxy.url, password=proxy.password)
    yield opened
    await opened.aclose()


@pytest.fixture
async def other(redis_server: RedisServer) -> AsyncIterator[RedisStore]:
    """Another process's store."""
    opened = RedisStore.from_url(redis_server.url, password=redis_server.password)
    yield opened
    await opened.aclose()


def append(after: int, *entries: str, limit: int = 10_000) -> dict[str, Append]:
    return {"j": Append(after, entries, limit)}


async def begin(store: RedisStore, *entries: str) -> None:
    await store.save("s", Change(0, START, record(), ("j",), append(0, *entries)), ttl=60)


async def entries(store: RedisStore) -> tuple[str, ...]:
    return (await store.read("s", "j", start=0, limit=100_000)).entries


async def attributes(store: RedisStore) -> tuple[int, str]:
    found = await store.load("s", window=ALL)
    assert found is not None
    return found.version, found.attributes


async def test_25_40_a_session_is_created_once(proxy: RedisProxy, store: RedisStore) -> None:
    proxy.lose_answers(0)
    assert await store.save("s", Change(0, START, record(), ("j",), append(0, "1", "2")), ttl=60) == 1
    assert (proxy.scripts > 1, await entries(store)) == (True, ("1", "2"))


async def test_25_41_entries_are_appended_once(
    proxy: RedisProxy, store: RedisStore, other: RedisStore
) -> None:
    await begin(store, "1")

    async def many_write() -> None:
        for n in range(OTHERS):
            await other.save("s", Change(1, START, None, (), append(1, f'"other {n}"', "2")), ttl=60)

    proxy.lose_answers(0, meanwhile=many_write)
    version = await store.save("s", Change(1, START, None, (), append(1, "2", "2")), ttl=60)
    assert version == 2 + OTHERS
    theirs = [entry for n in range(OTHERS) for entry in (f'"other {n}"', "2")]
    assert await entries(store) == ("1", "2", "2", *theirs)


async def test_25_42_attributes_are_written_once_and_others_come_after(
    proxy: RedisProxy, store: RedisStore, other: RedisStore
) -> None:
    await begin(store)

    async def a_few_write() -> None:
        for n in range(2, 12):
            await other.save("s", Change(n, START, record(f'{{"other":{n}}}'), ("j",)), ttl=60)

    proxy.lose_answers(0, meanwhile=a_few_write)
    mine = record('{"mine":1}')
    assert await store.save("s", Change(1, START, mine, ("j",)), ttl=60) == 2
    assert await attributes(store) == (12, '{"other":11}')


async def test_25_43_attributes_with_entries_are_known_whoever_wrote_between(
    proxy: RedisProxy, store: RedisStore, other: RedisStore
) -> None:
    await begin(store)

    async def many_write() -> None:
        for n in range(2, 2 + OTHERS):
            change = Change(n, START, record(f'{{"other":{n}}}'), ("j",), append(n - 1, "0"))
            await other.save("s", change, ttl=60)

    proxy.lose_answers(0, meanwhile=many_write)
    change = Change(1, START, record('{"mine":1}'), ("j",), append(0, "1"))
    assert await store.save("s", change, ttl=60) == 2
    assert await entries(store) == ("1", *("0" for _ in range(OTHERS)))
    assert await attributes(store) == (2 + OTHERS, f'{{"other":{1 + OTHERS}}}')


async def test_25_44_what_cannot_be_known_any_more_is_a_conflict_and_overwrites_nothing(
    proxy: RedisProxy, store: RedisStore, other: RedisStore
) -> None:
    await begin(store)

    async def many_write() -> None:
        for n in range(2, 2 + OTHERS):
            await other.save("s", Change(n, START, record(f'{{"other":{n}}}'), ("j",)), ttl=60)

    proxy.lose_answers(0, meanwhile=many_write)
    with pytest.raises(VersionConflict):
        await store.save("s", Change(1, START, record('{"mine":1}'), ("j",)), ttl=60)
    assert await attributes(store) == (2 + OTHERS, f'{{"other":{1 + OTHERS}}}')


async def test_25_45_a_program_that_saves_the_same_change_again_writes_once(
    store: RedisStore, other: RedisStore
) -> None:
    await begin(store, "1")
    change = Change(1, START, None, (), append(1, "2"))
    await store.save("s", change, ttl=60)
    await other.save("s", Change(2, START, record('{"b":1}'), ("j",), append(2, "3")), ttl=60)
    assert await store.save("s", change, ttl=60) == 3
    assert await entries(store) == ("1", "2", "3")
    assert await attributes(store) == (3, '{"b":1}')


async def test_25_46_equal_writes_are_two(store: RedisStore, other: RedisStore) -> None:
    await begin(store)
    for each in (store, other):
        await each.save("s", Change(1, START, None, (), append(0, '"same"')), ttl=60)
    assert await entries(store) == ('"same"', '"same"')


async def test_17_40_a_lease_is_given_back_once(
    proxy: RedisProxy, store: RedisStore, other: RedisStore
) -> None:
    """The second attempt leaves the lease alone that somebody else has taken meanwhile."""
    await begin(store)
    await store.load("s", lease=Lease("a", 30))

    async def next_one() -> None:
        await other.load("s", lease=Lease("b", 30))

    proxy.lose_answers(0, meanwhile=next_one)
    await store.save("s", Change(1, START, None, (), append(0, "1")), ttl=60, release="a")
    with pytest.raises(LeaseHeld):
        await other.load("s", lease=Lease("c", 30))
    assert await entries(store) == ("1",)


async def test_17_41_a_lease_is_taken_once(proxy: RedisProxy, store: RedisStore, other: RedisStore) -> None:
    await begin(store, "1")
    proxy.lose_answers(0)
    found = await store.load("s", lease=Lease("a", 30))
    assert found is not None
    with pytest.raises(LeaseHeld):
        await other.load("s", lease=Lease("b", 30))


@pytest.mark.parametrize("lost", [[0], [1], [0, 2]])
async def test_25_47_a_copy_is_made_once(proxy: RedisProxy, store: RedisStore, lost: list[int]) -> None:
    """Its two scripts read and write."""
    await begin(store, "1", "2")
    proxy.lose_answers(*lost)
    assert await store.copy("s", "t", ttl=60) == 1
    assert (await store.read("t", "j", start=0, limit=10)).entries == ("1", "2")


async def test_25_48_a_session_is_deleted_once(proxy: RedisProxy, store: RedisStore) -> None:
    await begin(store)
    proxy.lose_answers(0)
    await store.delete("s", expected_version=1)
    assert await store.load("s") is None
