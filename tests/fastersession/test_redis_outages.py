"""What users see when Redis fails: a 503 that says when to come back, never an empty or another's session."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from fastersession import FasterSessionMiddleware, RedisStore
from fastersession.asgi import ASGIApp, Receive, Scope, Send
from tests.fastersession.apps import the_session
from tests.fastersession.browser import KEY, Browser, Reply, by_path, reply_with
from tests.fastersession.faults import IO_TIMEOUT, SLACK, opened, recovers
from tests.fastersession.redis_sentinels import SentinelGroup
from tests.fastersession.redis_server import RedisServer

SECRET = "what the user said"


async def turn(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes the lease, counts, saves, and tells what it found."""
    session = the_session(scope)
    await session.load(lease_seconds=30)
    attributes = session.get_session()
    attributes["n"] = attributes.get("n", 0) + 1
    attributes["text"] = SECRET
    await session.save()
    await reply_with(send, json.dumps([attributes["n"], session.previous_ended]).encode())


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """Needs no session."""
    await reply_with(send, b"page")


def application(store: RedisStore) -> ASGIApp:
    return FasterSessionMiddleware(
        by_path(turn=turn, page=page),
        secret_key=KEY,
        store=store,
        secure=True,
        autoload=False,
        io_timeout=IO_TIMEOUT + 0.1,
    )


@pytest.fixture
async def store(own_redis: RedisServer) -> AsyncIterator[RedisStore]:
    async with opened(own_redis.url) as ready:
        yield ready


@pytest.fixture
async def browser(store: RedisStore) -> Browser:
    """Has had two turns."""
    ready = Browser(application(store))
    assert [await found(ready) for _ in range(2)] == [(1, False), (2, False)]
    return ready


async def found(browser: Browser) -> tuple[int, bool]:
    """What a turn that succeeds tells: the count, and whether the session before has ended."""
    reply = await browser.ask("/turn")
    assert reply.status == 200, reply.body
    number, previous_ended = json.loads(reply.body)
    return number, previous_ended


async def refused(browser: Browser) -> Reply:
    """A turn while the store is away: in time, in words, and the cookie stays."""
    cookies = dict(browser.cookies)
    async with asyncio.timeout(IO_TIMEOUT + SLACK):
        reply = await browser.ask("/turn")
    assert reply.status == 503
    assert reply.headers("retry-after") == ["2"]
    assert json.loads(reply.body)["error"] == "session_store_unavailable"
    assert reply.headers("set-cookie") == []
    assert browser.cookies == cookies
    return reply


Fault = Callable[[RedisServer], Awaitable[object]]


async def kill(server: RedisServer) -> None:
    server.kill()


async def pause(server: RedisServer) -> None:
    server.pause()


FAULTS: dict[str, Fault] = {
    "killed": kill,
    "paused": pause,
    "full": lambda server: server.ask("CONFIG", "SET", "maxmemory", "1"),
    "read-only": lambda server: server.ask("REPLICAOF", "127.0.0.1", "1"),
    "denied": lambda server: server.ask("ACL", "SETUSER", "default", "-evalsha"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_28_90_each_fault_is_a_503_and_what_needs_no_session_works_on(
    own_redis: RedisServer, browser: Browser, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    await FAULTS[name](own_redis)
    for _ in range(7):  # with the circuit closed and, for some, open
        reply = await refused(browser)
        assert own_redis.address.encode() not in reply.body
        assert (await browser.ask("/page")).body == b"page"
    assert SECRET not in caplog.text
    assert own_redis.address in caplog.text
    assert next(iter(browser.cookies.values())).partition(".")[0] not in caplog.text


async def test_28_91_after_a_pause_the_conversation_goes_on(
    own_redis: RedisServer, store: RedisStore, browser: Browser
) -> None:
    own_redis.pause()
    await asyncio.gather(*(refused(browser) for _ in range(6)))
    assert store.circuit_open
    own_redis.resume()
    await recovers(store, seconds=6)
    assert await found(browser) == (3, False)


async def test_28_92_a_redis_that_lost_its_data_is_never_a_silent_empty_history(
    own_redis: RedisServer, store: RedisStore, browser: Browser
) -> None:
    own_redis.kill()
    await refused(browser)
    own_redis.start()  # empty
    await recovers(store)
    cookies = dict(browser.cookies)
    assert await found(browser) == (1, True)
    assert browser.cookies != cookies
    assert await found(browser) == (2, False)


async def test_28_93_after_a_failover_the_conversation_goes_on(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with SentinelGroup(tmp_path_factory.mktemp("group")) as group, opened(group.url) as store:
        browsers = [Browser(application(store)) for _ in range(5)]
        for number, browser in enumerate(browsers, start=1):
            for _ in range(number):
                await browser.ask("/turn")
        await group.replicated(group.pair[0])
        group.pair[0].kill()
        await refused(browsers[0])
        await recovers(store)
        assert [await found(browser) for browser in browsers] == [(n + 1, False) for n in range(1, 6)]
