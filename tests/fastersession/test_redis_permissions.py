"""The permissions that the documentation names are enough for all that a store does, and all needed."""

import re
from pathlib import Path

import pytest

from fastersession import Append, Change, Lease, RedisStore, StoreUnavailable
from tests.fastersession.redis_cluster import Cluster, id_on
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.stores import START, record

DOCS = Path(__file__).parents[2] / "docs" / "sessions.md"


def documented(pattern: str) -> list[str]:
    """The words of a rule in the documentation."""
    found = re.search(pattern, DOCS.read_text(), re.MULTILINE)
    assert found is not None
    return found[1].replace("password", "only-for-tests").split()


GRANTED = documented(r"^ACL SETUSER sessions (.*)$")
IN_A_CLUSTER = documented(r"In a cluster also `(.*?)`")
COMMANDS = [word for word in GRANTED if word.startswith("+")]


def as_user(scheme: str, *servers: RedisServer) -> str:
    """The URL of the user that has these permissions."""
    return f"{scheme}://sessions:only-for-tests@{','.join(server.address for server in servers)}"


async def everything(url: str, id_: str = "s", new_id: str = "t") -> None:
    """Whatever a store can do."""
    store = RedisStore.from_url(url, retries=0)
    try:
        await store.ping()
        entries = Append(0, ("1", "2", "3"), 2)
        await store.save(id_, Change(0, START, record(), ("j",), {"j": Append(0, ("1",), 1)}), ttl=60)
        await store.save(id_, Change(1, START, None, (), {"j": Append(1, ("2",), 1)}), ttl=60)
        await store.load(id_, lease=Lease("a", 100))
        for owner in ("a", "b"):
            await store.load(new_id, lease=Lease(owner, 100))
            await store.release(new_id, owner)
        await store.save(id_, Change(2, START, record(), ("k",), {"k": entries}), ttl=60, release="a")
        await store.touch(id_, ttl=60, accessed_at=START)
        assert (await store.read(id_, "k", start=0, limit=9)).entries == ("2", "3")
        assert await store.copy(id_, new_id, ttl=60) == 3
        await store.delete(new_id, expected_version=3)
        await store.delete(id_)
    finally:
        await store.aclose()


async def test_28_50_the_documented_permissions_are_enough(own_redis: RedisServer) -> None:
    await own_redis.ask("ACL", "SETUSER", "sessions", *GRANTED)
    await everything(as_user("redis", own_redis))
    assert not await own_redis.ask("ACL", "LOG")


@pytest.mark.parametrize("command", COMMANDS)
async def test_28_51_none_of_them_is_there_for_nothing(own_redis: RedisServer, command: str) -> None:
    await own_redis.ask("ACL", "SETUSER", "sessions", *(word for word in GRANTED if word != command))
    with pytest.raises(StoreUnavailable):
        await everything(as_user("redis", own_redis))


async def test_28_52_nor_is_more_needed_in_a_cluster(tmp_path: Path) -> None:
    """And a copy goes from one node to another."""
    cluster = Cluster(tmp_path)
    try:
        await cluster.start()
        for node in cluster.masters:
            await node.ask("ACL", "SETUSER", "sessions", *GRANTED, *IN_A_CLUSTER)
        for here, there in ((0, 1), (1, 2), (2, 0)):
            await everything(as_user("redis+cluster", *cluster.masters), id_on(here), id_on(there))
        assert not any([await node.ask("ACL", "LOG") for node in cluster.masters])
    finally:
        cluster.kill()
