"""The short way to Redis: it answers as redis-py's own does, and gives no answer to the wrong caller."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from fastersession.redis.quick import QuickPool, QuickRedis
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.spy import eventually

SLOW = "local t = redis.call('TIME')[1] * 1 while redis.call('TIME')[1] * 1 < t + 2 do end return 'late'"


@pytest.fixture
async def client(own_redis: RedisServer) -> AsyncIterator[QuickRedis]:
    """With two connections at most."""
    pool = QuickPool(
        host="127.0.0.1",
        port=own_redis.port,
        password=own_redis.password,
        protocol=2,
        socket_timeout=5.0,
        retry=Retry(NoBackoff(), 0),
        max_connections=2,
    )
    async with QuickRedis(pool, answer_timeout=0.3) as quick:
        yield quick
    assert not [connection for connection in pool._available_connections if connection.is_connected]


async def connections(server: RedisServer) -> int:
    """How many there are besides the one that asks."""
    async with Redis(port=server.port, password=server.password) as other:
        return len(await other.client_list()) - 1


async def noticed(client: QuickRedis) -> bool:
    """Whether the end of the only connection has come here."""
    [connection] = client.connection_pool._available_connections
    return await connection.can_read()


async def test_answers_are_those_of_redis_py(own_redis: RedisServer, client: QuickRedis) -> None:
    async with Redis(port=own_redis.port, password=own_redis.password, protocol=2) as usual:
        for quick_or_usual in (client, usual):
            assert await quick_or_usual.ping() is True
            assert await quick_or_usual.set("k", 1.5, px=60_000) is True
            assert await quick_or_usual.get("k") == b"1.5"
            assert await quick_or_usual.get("none") is None
            assert await quick_or_usual.eval("return {KEYS[1], ARGV[1], 3}", 1, "k", "é") == [
                b"k",
                "é".encode(),
                3,
            ]
            assert (await quick_or_usual.info("server"))["tcp_port"] == own_redis.port


async def test_one_connection_serves_one_caller_after_the_other(
    own_redis: RedisServer, client: QuickRedis
) -> None:
    for number in range(20):
        assert await client.eval("return ARGV[1]", 0, number) == str(number).encode()
    assert await connections(own_redis) == 1


async def test_callers_at_the_same_time_get_their_own_answers(
    own_redis: RedisServer, client: QuickRedis
) -> None:
    async def echo(number: int) -> bool:
        answer: bytes = await client.eval("return ARGV[1]", 0, number)
        return answer == str(number).encode()

    for _ in range(20):
        assert all(await asyncio.gather(echo(1), echo(2)))
    assert await connections(own_redis) == 2
    with pytest.raises(MaxConnectionsError):
        await asyncio.gather(echo(1), echo(2), echo(3))


async def test_an_error_answer_leaves_the_connection_open(own_redis: RedisServer, client: QuickRedis) -> None:
    for _ in range(3):
        with pytest.raises(ResponseError, match="unknown command"):
            await client.execute_command("NO-SUCH")
    assert await client.ping() is True
    assert await connections(own_redis) == 1


async def test_an_answer_that_comes_too_late_reaches_nobody(client: QuickRedis) -> None:
    with pytest.raises(RedisTimeoutError, match=r"no answer within 0\.3 s"):
        await client.eval(SLOW, 0)
    while True:
        try:
            assert await client.eval("return 'mine'", 0) == b"mine"
            return
        except RedisTimeoutError:
            continue  # the slow script is still at work


async def test_an_answer_to_a_caller_who_has_gone_reaches_nobody(
    own_redis: RedisServer, client: QuickRedis
) -> None:
    await client.ping()
    for _ in range(20):
        own_redis.pause()
        gone = asyncio.ensure_future(client.eval("return 'theirs'", 0))
        await asyncio.sleep(0.005)
        gone.cancel()
        await asyncio.wait({gone})
        own_redis.resume()
        assert await client.eval("return 'mine'", 0) == b"mine"


async def test_a_connection_that_redis_closed_is_replaced(own_redis: RedisServer, client: QuickRedis) -> None:
    await client.ping()
    own_redis.kill()
    with pytest.raises(RedisConnectionError):
        await client.ping()
    own_redis.start()
    assert await client.ping() is True
    own_redis.kill()
    own_redis.start()
    await eventually(lambda: noticed(client))
    assert await client.ping() is True


async def test_a_connection_that_fails_to_open_takes_no_place(
    own_redis: RedisServer, client: QuickRedis
) -> None:
    await client.ping()
    own_redis.kill()
    for _ in range(5):
        with pytest.raises(RedisConnectionError, match=r"refused|Connect call failed|closed by server"):
            await client.ping()
    own_redis.start()
    assert await client.ping() is True


async def test_a_connection_that_shall_go_goes_when_it_is_given_back(
    own_redis: RedisServer, client: QuickRedis
) -> None:
    pool = client.connection_pool
    connection = await pool.get_connection()  # type: ignore[no-untyped-call]
    connection.mark_for_reconnect()
    await pool.release(connection)
    assert not connection.is_connected
    assert await client.ping() is True
    assert await connections(own_redis) == 1
