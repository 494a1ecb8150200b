"""What a turn asks of Redis: two scripts, whose work the length of a conversation does not change."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from fastersession import Append, Change, FasterSessionMiddleware, Journal, Lease, RedisStore, Window
from fastersession.asgi import Receive, Scope, Send
from tests.fastersession.apps import the_session
from tests.fastersession.browser import KEY, Browser, reply_with
from tests.fastersession.redis_proxy import RedisProxy, proxy_before
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.stores import START, record


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """An empty Redis, seen by itself."""
    async with Redis.from_url(redis_server.url, password=redis_server.password) as opened:
        await opened.flushall()
        yield opened


@pytest.fixture
async def proxy(redis_server: RedisServer, client: Redis) -> AsyncIterator[RedisProxy]:
    async with proxy_before(redis_server) as running:
        yield running


@pytest.fixture
async def store(proxy: RedisProxy) -> AsyncIterator[RedisStore]:
    opened = RedisStore.from_url(proxy.url, password=proxy.password)
    yield opened
    await opened.aclose()


async def begin(store: RedisStore, id_: str, count: int) -> None:
    appends = {"j": Append(0, ("0",) * count, count)}
    await store.save(id_, Change(0, START, record(), ("j",), appends), ttl=60)
    await store.load(id_)  # from here on both scripts are known


async def turn(store: RedisStore, id_: str, count: int) -> None:
    """Upon a journal of that many entries."""
    await store.load(id_, lease=Lease("a", 30), window=Window(2))
    change = Change(1, START, None, (), {"j": Append(count, ("0", "0"), count)})
    await store.save(id_, change, ttl=60, release="a")


async def test_28_40_a_turn_is_two_scripts_and_nothing_else(proxy: RedisProxy, store: RedisStore) -> None:
    await begin(store, "s", 100)
    proxy.commands.clear()
    await turn(store, "s", 100)
    assert proxy.commands == ["EVALSHA", "EVALSHA"]


async def test_28_42_nor_is_a_whole_request_more(proxy: RedisProxy, store: RedisStore) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        session = the_session(scope)
        await session.load(lease_seconds=30)
        session.get_session().setdefault("log", Journal()).append("said")
        await session.save()
        await reply_with(send, b"reply")

    browser = Browser(FasterSessionMiddleware(app, secret_key=KEY, store=store, autoload=False))
    await browser.ask()
    await browser.ask()
    proxy.commands.clear()
    assert (await browser.ask()).body == b"reply"
    assert proxy.commands == ["EVALSHA", "EVALSHA"]


async def words_of_a_turn(store: RedisStore, client: Redis, count: int) -> list[int]:
    """How many words each command has that Redis itself runs for a turn upon so many entries."""
    id_ = f"of {count}"
    await begin(store, id_, count)
    async with client.monitor() as monitor:
        await turn(store, id_, count)
        await client.echo("over")
        words: list[int] = []
        while (command := await monitor.next_command())["command"] != "ECHO over":
            if command["client_type"] == "lua":
                words.append(len(command["command"].split()))
    return words


async def test_28_41_a_turn_costs_the_same_upon_two_thousand(store: RedisStore, client: Redis) -> None:
    """The same commands of the same length, trimming included."""
    few, many = [await words_of_a_turn(store, client, count) for count in (2, 2_000)]
    assert few == many
    assert len(few) > 10
