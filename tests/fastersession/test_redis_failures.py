"""Redis that is killed, paused, restarted, or refuses: calls end in time and say why; then all is well."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import pytest
from redis.asyncio import Redis

from fastersession import InvalidSessionData, Lease, LeaseHeld, RedisStore, StoreUnavailable
from fastersession.leases import LeaseReturner
from fastersession.session import Session, SessionContext
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.spy import eventually
from tests.fastersession.stores import record

IO_TIMEOUT = 0.6
SLACK = 0.5  # of a busy machine
A = Lease("owner-a", 30)

T = TypeVar("T")
Call = Callable[[RedisStore], Awaitable[object]]
CALLS: dict[str, Call] = {
    "load": lambda store: store.load("s"),
    "lease": lambda store: store.load("s", lease=A),
    "save": lambda store: store.save("s", record(), ttl=60, expected_version=0),
    "touch": lambda store: store.touch("s", ttl=60, accessed_at=1.0),
    "delete": lambda store: store.delete("s"),
    "release": lambda store: store.release("s", "owner"),
    "ping": lambda store: store.ping(),
}


def connect(server: RedisServer, *, password: str | None = None) -> RedisStore:
    return RedisStore.from_url(
        server.url,
        password=password or server.password,
        socket_timeout=0.25,
        connect_timeout=0.25,
        io_timeout=IO_TIMEOUT,
    )


@pytest.fixture
async def store(own_redis: RedisServer) -> AsyncIterator[RedisStore]:
    """Connected already, as after some traffic."""
    opened = connect(own_redis)
    await opened.ping()
    yield opened
    await opened.aclose()


async def fails(store: RedisStore, call: Call) -> str:
    """The error's text; the call must end in time."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as error:
        await call(store)
    assert time.monotonic() - began < IO_TIMEOUT + SLACK
    return str(error.value)


@pytest.mark.parametrize("name", CALLS)
async def test_28l_a_killed_redis_is_named(own_redis: RedisServer, store: RedisStore, name: str) -> None:
    own_redis.kill()
    text = await fails(store, CALLS[name])
    assert own_redis.address in text
    assert "refused" in text or "Connect call failed" in text


@pytest.mark.parametrize("name", CALLS)
async def test_28m_a_paused_redis_holds_nobody_up(
    own_redis: RedisServer, store: RedisStore, name: str
) -> None:
    own_redis.pause()
    text = await fails(store, CALLS[name])
    assert own_redis.address in text
    assert "Timeout" in text or "no answer within" in text
    own_redis.resume()
    await store.ping()


async def test_28_4_a_lease_that_a_paused_redis_takes_too_late_shuts_nobody_out(
    own_redis: RedisServer, store: RedisStore
) -> None:
    """The request for it lay in an open connection, and is carried out when nobody waits for it any more."""
    await store.load("s")  # the connection is there, and Redis' time is known
    own_redis.pause()
    await fails(store, CALLS["lease"])
    own_redis.resume()
    assert await store.load("s", lease=Lease("owner-b", 30)) is None


async def test_28_6_no_lease_is_taken_in_the_moment_in_which_its_caller_gives_up(store: RedisStore) -> None:
    """Redis carries it out in time, and the answer comes too late."""
    await store.load("s")
    with pytest.raises(TimeoutError):
        await store._timely(store._keys("s"), ["owner-a", 30_000], time.monotonic() + 0.03)
    assert await store.load("s", lease=Lease("owner-b", 30)) is None


async def test_28_5_a_redis_whose_clock_was_set_gives_leases_all_the_same(store: RedisStore) -> None:
    await store.load("s")
    for wrong in (0, 2**52):
        store._clock.learn(wrong)
        assert await store.load("s", lease=A) is None


async def test_28n_many_callers_of_a_paused_redis_all_end_in_time(own_redis: RedisServer) -> None:
    store = RedisStore.from_url(
        own_redis.url, password=own_redis.password, max_connections=3, io_timeout=IO_TIMEOUT
    )
    own_redis.pause()
    began = time.monotonic()
    results = await asyncio.gather(*(store.load(f"s{n}") for n in range(50)), return_exceptions=True)
    assert time.monotonic() - began < IO_TIMEOUT + SLACK
    assert all(isinstance(result, StoreUnavailable) for result in results)
    own_redis.resume()

    async def answers() -> bool:
        try:
            return await store.load("s1") is None
        except StoreUnavailable:
            return False

    await eventually(answers, seconds=6)
    await store.aclose()


async def test_28o_a_wrong_password_is_named_and_not_shown(own_redis: RedisServer) -> None:
    store = connect(own_redis, password="wrong-password-of-mine")
    text = await fails(store, CALLS["load"])
    await store.aclose()
    assert "password was refused" in text
    assert "wrong-password-of-mine" not in text


async def test_28p_no_password_is_named_too(own_redis: RedisServer) -> None:
    store = RedisStore.from_url(own_redis.url, io_timeout=IO_TIMEOUT)
    assert "Authentication required" in await fails(store, CALLS["load"])
    await store.aclose()


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda client: client.config_set("maxmemory", 1), "maxmemory"),
        (lambda client: client.replicaof("127.0.0.1", "1"), "read only replica"),
    ],
    ids=["full", "read-only"],
)
async def test_28zb_a_redis_that_takes_no_writes_fails_a_ping(
    own_redis: RedisServer, store: RedisStore, change: Callable[[Redis], Awaitable[object]], cause: str
) -> None:
    async with Redis.from_url(own_redis.url, password=own_redis.password) as client:
        await change(client)
    for name in ("lease", "ping"):
        assert cause in await fails(store, CALLS[name])


async def test_28q_after_a_restart_it_works_again(own_redis: RedisServer, store: RedisStore) -> None:
    await store.save("s", record(), ttl=60, expected_version=0)
    await asyncio.gather(*(store.load("s") for _ in range(20)))  # connections that will all be dead
    own_redis.kill()
    await fails(store, CALLS["load"])
    own_redis.start()  # empty, and without our scripts
    assert await store.load("s") is None
    assert await store.save("s", record(), ttl=60, expected_version=0) == 1


async def test_28r_a_restart_that_nobody_noticed_fails_no_call(
    own_redis: RedisServer, store: RedisStore
) -> None:
    await asyncio.gather(*(store.load("s") for _ in range(20)))
    own_redis.kill()
    own_redis.start()
    results = await asyncio.gather(*(store.load("s") for _ in range(20)))
    assert results == [None] * 20


async def test_28t_a_cancelled_call_leaves_the_pool_clean(own_redis: RedisServer, store: RedisStore) -> None:
    await store.save("s", record(), ttl=60, expected_version=0)
    for _ in range(30):
        loading = asyncio.create_task(store.load("s"))
        await asyncio.sleep(0)
        loading.cancel()
    for _ in range(60):
        loaded = await store.load("s")
        assert loaded is not None
        assert loaded.version == 1


async def test_28u_a_refusal_of_redis_is_an_error_of_ours(own_redis: RedisServer, store: RedisStore) -> None:
    client = Redis.from_url(own_redis.url, password=own_redis.password)
    await client.config_set("maxmemory", "1")
    text = await fails(store, CALLS["save"])
    assert "maxmemory" in text
    await client.aclose()


async def test_28v_a_record_of_somebody_else_is_an_error_of_ours(
    own_redis: RedisServer, store: RedisStore
) -> None:
    client = Redis.from_url(own_redis.url, password=own_redis.password)
    await client.hset("chatstream:session:{s}", mapping={"record": "{", "version": 1, "accessed": 1})
    with pytest.raises(InvalidSessionData):
        await store.load("s")
    await client.aclose()


async def test_28w_a_closed_store_says_so(own_redis: RedisServer) -> None:
    store = connect(own_redis)
    await store.ping()
    await store.aclose()
    assert "closed" in await fails(store, CALLS["ping"])


@pytest.mark.parametrize(
    "url", ["rediss://:secret@redis.example:6380/1", "unix:///run/redis.sock?password=secret"]
)
def test_28_3_urls_of_all_kinds_are_taken(url: str) -> None:
    RedisStore.from_url(url)


def test_28x_a_url_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="scheme"):
        RedisStore.from_url("http://localhost")


async def sent_twice(server: RedisServer, call: Awaitable[T]) -> T:
    """The result of a call whose first answer is lost; both of its attempts are carried out."""
    server.pause()
    running = asyncio.ensure_future(call)
    await asyncio.sleep(0.3)  # socket_timeout is over: the second attempt is under way
    server.resume()
    return await running


async def test_25y_a_save_sent_twice_is_one_write(own_redis: RedisServer, store: RedisStore) -> None:
    """What came back to the second attempt would else look like somebody else's write."""
    await store.save("s", record(), ttl=60, expected_version=0)  # Redis knows the script from here on
    await store.load("s", lease=A)
    save = store.save("s", record(), ttl=60, expected_version=1, release=A.owner)
    assert await sent_twice(own_redis, save) == 2
    loaded = await store.load("s", lease=Lease("owner-b", 30))
    assert loaded is not None
    assert loaded.version == 2


async def test_25z_a_delete_sent_twice_is_no_conflict(own_redis: RedisServer, store: RedisStore) -> None:
    await store.delete("s")
    await store.save("s", record(), ttl=60, expected_version=0)
    await sent_twice(own_redis, store.delete("s", expected_version=1))
    assert await store.load("s") is None


async def test_17x_a_lease_taken_without_an_answer_is_given_back(
    own_redis: RedisServer, store: RedisStore
) -> None:
    returner = LeaseReturner(store, IO_TIMEOUT)
    session = Session(SessionContext(store, returner, time.time, IO_TIMEOUT, 100.0, 100.0), None)
    own_redis.pause()
    with pytest.raises(StoreUnavailable):
        await session.load(lease_seconds=300)
    own_redis.resume()  # now the load that nobody waits for is carried out

    async def is_free() -> bool:
        try:
            await store.load(session.id, lease=Lease("another", 0.001))
        except LeaseHeld:
            return False
        return True

    await eventually(is_free, seconds=10)
