"""A Redis cluster: sessions lie on all nodes; one that fails takes only its own with it, and comes back."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fastersession import (
    Lease,
    LeaseHeld,
    RedisStore,
    StoreCertificateInvalid,
    StoreDenied,
    StoreFailed,
    StoreTimeout,
    StoreUnreachable,
)
from tests.fastersession.certificates import Authority
from tests.fastersession.faults import CALLS, A, fails, opened, read, write
from tests.fastersession.redis_cluster import Cluster, id_on, slot_of
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.spy import eventually

IDS = [id_on(master) for master in range(3)]


@contextmanager
def running(cluster: Cluster) -> Iterator[Cluster]:
    try:
        asyncio.run(cluster.start())
        yield cluster
    finally:
        cluster.kill()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(Cluster(tmp_path_factory.mktemp("cluster"))) as cluster:
        yield cluster


@pytest.fixture
async def cluster(shared: Cluster) -> Cluster:
    """Whole and empty, whatever the test before has done to it."""
    await shared.whole()
    await shared.empty()
    return shared


@pytest.fixture
def replicated(tmp_path: Path) -> Iterator[Cluster]:
    with running(Cluster(tmp_path, with_replica=True)) as cluster:
        yield cluster


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[Cluster]:
    tls = Authority(tmp_path).issue("127.0.0.1")
    with running(Cluster(tmp_path, tls=tls)) as cluster:
        yield cluster


@pytest.fixture
async def store(cluster: Cluster) -> AsyncIterator[RedisStore]:
    """Holds a session on each node, 7 at version 1."""
    async with opened(cluster.url) as ready:
        for id_ in IDS:
            await write(ready, 7, id_=id_)
        yield ready


async def test_28_80_sessions_lie_on_all_nodes_with_their_leases(cluster: Cluster, store: RedisStore) -> None:
    for id_ in IDS:
        await store.load(id_, lease=A)
        with pytest.raises(LeaseHeld):
            await store.load(id_, lease=Lease("owner-b", 30))
        assert await write(store, 8, version=1, id_=id_, release=A.owner) == 2
        assert await read(store, id_) == 8
    assert [await node.ask("DBSIZE") for node in cluster.masters] == [1, 1, 1]
    for call in CALLS.values():
        await call(store)


async def test_28_81_a_node_that_is_away_takes_only_its_own_sessions_with_it(
    cluster: Cluster, store: RedisStore
) -> None:
    cluster.masters[2].kill()
    for _ in range(6):  # until the others notice, connections are refused, then the cluster says so
        await fails(store, lambda s: s.load(IDS[2]), StoreUnreachable)
        assert [await read(store, id_) for id_ in IDS[:2]] == [7, 7]
    cluster.masters[2].start()  # empty
    await returns(store, IDS[2], None)
    assert await write(store, 1, id_=IDS[2]) == 1
    assert [await read(store, id_) for id_ in IDS] == [7, 7, 1]


async def test_28_82_a_frozen_node_holds_nobody_up_for_long(cluster: Cluster, store: RedisStore) -> None:
    cluster.masters[0].pause()
    for _ in range(3):
        await fails(store, lambda s: s.load(IDS[0]))
        await returns(
            store, IDS[1], 7
        )  # the next call may be what asks for the map, of the frozen node first
    cluster.masters[0].resume()
    await returns(store, IDS[0], 7)


async def test_28_83_slots_that_move_are_followed(cluster: Cluster, store: RedisStore) -> None:
    id_, slot = "moves", slot_of("moves")
    owner = await cluster.name_of(cluster.masters[0])
    for node in cluster.masters:
        await node.ask("CLUSTER", "SETSLOT", slot, "NODE", owner)
    assert await write(store, 7, id_=id_) == 1
    assert await cluster.masters[0].ask("DBSIZE") == 2
    assert await read(store, id_) == 7


async def test_28_84_a_replica_that_takes_over_is_followed(replicated: Cluster) -> None:
    async with opened(replicated.url) as store:
        await write(store, 7, id_=IDS[0])

        async def has_session() -> bool:
            assert replicated.replica is not None
            return bool(await replicated.replica.ask("DBSIZE"))

        await eventually(has_session)
        replicated.masters[0].kill()
        await returns(store, IDS[0], 7)
        assert await write(store, 8, version=1, id_=IDS[0]) == 2
        assert await read(store, IDS[0]) == 8


async def returns(store: RedisStore, id_: str, value: int | None) -> None:
    """Wait until a session can be read again, and holds this then."""

    async def is_back() -> bool:
        try:
            assert await read(store, id_) == value
        except (StoreUnreachable, StoreTimeout):
            return False
        return True

    await eventually(is_back, seconds=15)


async def test_28_85_one_host_of_the_url_is_enough_and_none_is_named(cluster: Cluster) -> None:
    one, two, three = cluster.masters
    away = cluster.url.replace(two.address, "127.0.0.1:1").replace(three.address, "127.0.0.1:2")
    async with opened(away) as store:
        assert await write(store, 7, id_=IDS[2]) == 1
    async with opened(away.replace(one.address, "127.0.0.1:3")) as store:
        assert "127.0.0.1:" in await fails(store, CALLS["load"], StoreUnreachable)


async def test_28_86_a_wrong_password_is_named(cluster: Cluster) -> None:
    async with opened(cluster.url.replace("only-for-tests", "wrong"), password=None) as store:
        assert "password was refused" in await fails(store, CALLS["load"], StoreDenied)


async def test_28_87_a_redis_that_is_no_cluster_is_named(own_redis: RedisServer) -> None:
    async with opened(own_redis.url.replace("redis:", "redis+cluster:")) as store:
        assert "Cluster mode is not enabled" in await fails(store, CALLS["load"], StoreFailed)


async def test_28_88_many_callers_share_its_connections(cluster: Cluster) -> None:
    async with opened(cluster.url, max_connections=5) as store:
        ids = [f"user-{n}" for n in range(100)]
        await asyncio.gather(*(write(store, n, id_=id_) for n, id_ in enumerate(ids)))
        assert await asyncio.gather(*(read(store, id_) for id_ in ids)) == list(range(100))

        async def has_few() -> bool:  # those of the test before may need a moment to go
            lists = [await node.ask("CLIENT", "LIST", "TYPE", "NORMAL") for node in cluster.masters]
            return all(len(clients.splitlines()) <= 5 + 2 for clients in lists)  # first contact, who asks

        await eventually(has_few)


async def test_28_79_calls_that_are_cancelled_give_nobody_anothers_answer(cluster: Cluster) -> None:
    chance = random.Random(7)
    async with opened(cluster.url, max_connections=4) as store:
        ids = [f"user-{n}" for n in range(30)]
        await asyncio.gather(*(write(store, n, id_=id_) for n, id_ in enumerate(ids)))
        for _ in range(10):
            loads = [asyncio.create_task(read(store, id_)) for id_ in ids]
            for load in chance.sample(loads, 10):
                await asyncio.sleep(chance.choice([0, 0, 0.001]))
                load.cancel()
            found = await asyncio.gather(*loads, return_exceptions=True)
            for n, value in enumerate(found):
                assert value == n or isinstance(value, asyncio.CancelledError)


async def test_28_89_a_cluster_speaks_tls_too(encrypted: Cluster, tmp_path: Path) -> None:
    async with opened(encrypted.url, ca_file=tmp_path / "ca.pem") as store:
        for id_ in IDS:
            assert await write(store, 7, id_=id_) == 1
    async with opened(encrypted.url, ca_file=Authority(tmp_path, "another").path) as store:
        await fails(store, CALLS["load"], StoreCertificateInvalid)
