"""Somebody else writes into our Redis: what is no session of ours is refused, and left as it is."""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from fastersession import FasterSessionMiddleware, RedisStore, register_type
from tests.fastersession.apps import APP, session_id
from tests.fastersession.browser import KEY, Browser
from tests.fastersession.redis_server import RedisServer


class Strict:
    """Takes no stored data, and names it in its error."""

    @classmethod
    def from_json(cls, data: object) -> "Strict":
        raise LookupError(f"{data} is not what it should be")


register_type(Strict, "tests.Strict", to_json=lambda _: None, from_json=Strict.from_json)

PREFIX = "chatstream:session:"
SECRET = "somebody-elses-words"
HEAD = {"schema": 1, "created_at": 1.8e9, "last_accessed_at": 1.8e9, "max_inactive_interval": 1e9}
Plant = Callable[[Redis, str], Awaitable[object]]


def a_hash(**fields: str | bytes) -> Plant:
    """A hash of exactly these fields."""
    mapping: dict[Any, Any] = dict(fields)
    return lambda client, key: client.hset(key, mapping=mapping)


def a_record(**changes: object) -> Plant:
    """A session of ours, except for these parts of its record."""
    record = {key: value for key, value in {**HEAD, "attributes": {}, **changes}.items() if value is not ...}
    return a_hash(record=json.dumps(record), version="1", accessed="1.8e9")


def a_text(record: str) -> Plant:
    """A hash whose record is this text."""
    return a_hash(record=record, version="1", accessed="1.8e9")


DEEP = "[" * 50_000 + "]" * 50_000
GOOD = json.dumps({**HEAD, "attributes": {}})
PLANTED: dict[str, Plant] = {
    "text": lambda client, key: client.set(key, SECRET),
    "a number": lambda client, key: client.set(key, 1),
    "our own JSON as text": lambda client, key: client.set(key, GOOD),
    "a list": lambda client, key: client.rpush(key, SECRET),
    "a set": lambda client, key: client.sadd(key, SECRET),
    "a sorted set": lambda client, key: client.zadd(key, {SECRET: 1}),
    "a stream": lambda client, key: client.xadd(key, {"record": SECRET}),
    "another program's hash": a_hash(data=SECRET, expires="1"),
    "no version": a_hash(record=GOOD, accessed="1.8e9"),
    "no record": a_hash(version="1", accessed="1.8e9"),
    "no time": a_hash(record=GOOD, version="1"),
    "fields of somebody else": a_hash(record=GOOD, version="1", accessed="1.8e9", more=SECRET),
    "a version that is none": a_hash(record=GOOD, version=SECRET, accessed="1.8e9"),
    "version 0": a_hash(record=GOOD, version="0", accessed="1.8e9"),
    "a negative version": a_hash(record=GOOD, version="-1", accessed="1.8e9"),
    "a version with a fraction": a_hash(record=GOOD, version="1.5", accessed="1.8e9"),
    "a version beyond all numbers": a_hash(record=GOOD, version="9" * 400, accessed="1.8e9"),
    "a hexadecimal version": a_hash(record=GOOD, version="0x1", accessed="1.8e9"),
    "a time that is none": a_hash(record=GOOD, version="1", accessed=SECRET),
    "an endless time": a_hash(record=GOOD, version="1", accessed="inf"),
    "no JSON": a_text(SECRET),
    "half of its JSON": a_text(GOOD[:-5]),
    "no UTF-8": a_hash(record=SECRET.encode() + b"\xff\xfe{}", version="1", accessed="1.8e9"),
    "an empty record": a_text(""),
    "null": a_text("null"),
    "a pickle": a_hash(record=b"\x80\x04\x95\x0e\x00\x00\x00", version="1", accessed="1.8e9"),
    "a JSON list": a_text(f"[{GOOD}]"),
    "nesting without end": a_text(DEEP),
    "attributes without end": a_text(GOOD[:-3] + '{"a":' + DEEP + "}}"),
    "no schema": a_record(schema=...),
    "a schema of the future": a_record(schema=99),
    "a schema of somebody else": a_record(schema=SECRET * 1000),
    "no attributes": a_record(attributes=...),
    "attributes that are a list": a_record(attributes=[SECRET]),
    "a time of birth that is none": a_record(created_at=SECRET),
    "an endless interval": a_text(GOOD.replace("1000000000.0", "Infinity")),
    "an interval that is no number": a_text(GOOD.replace("1000000000.0", "NaN")),
    "an interval beyond all numbers": a_text(GOOD.replace("1000000000.0", "9" * 400)),
    "an interval as text": a_record(max_inactive_interval="1000"),
    "an interval that is a truth": a_record(max_inactive_interval=True),
    "a typed value that its type refuses": a_record(
        attributes={"a": {"$type": "tests.Strict", "$data": SECRET}}
    ),
}


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[Redis]:
    """An empty Redis, as somebody else uses it."""
    client = Redis.from_url(redis_server.url, password=redis_server.password)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def app(redis_server: RedisServer) -> AsyncIterator[FasterSessionMiddleware]:
    store = RedisStore.from_url(redis_server.url, password=redis_server.password)
    yield FasterSessionMiddleware(APP, secret_key=KEY, store=store, secure=True)
    await store.aclose()


async def is_refused(browser: Browser, path: str) -> bool:
    reply = await browser.ask(path)
    body = json.loads(reply.body)
    assert SECRET not in reply.body.decode()
    return (reply.status, body["error"], set(body), reply.headers("set-cookie")) == (
        500,
        "session_data_invalid",
        {"error", "detail"},
        [],
    )


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED.keys())
async def test_25_30_what_is_no_session_of_ours_is_refused_and_left_as_it_is(
    plant: Plant, client: Redis, app: FasterSessionMiddleware, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ada, bob = Browser(app), Browser(app)
    assert [(await who.ask("/count")).body for who in (ada, bob)] == [b"1", b"1"]
    key = f"{PREFIX}{{{session_id(ada)}}}"
    assert await client.delete(key) == 1
    await plant(client, key)
    before = await client.dump(key)
    for path in ("/peek", "/count", "/turn", "/log_in"):
        assert await is_refused(ada, path), path
    assert (await client.dump(key), await client.pttl(key)) == (before, -1)
    assert (await bob.ask("/count")).body == b"2"
    assert SECRET not in caplog.text
    assert max(len(line) for line in caplog.text.splitlines()) < 1000


@pytest.mark.parametrize("depth", [50, 150, 250, 350, 450, 550, 700, 850, 950, 2000, 20_000])
@pytest.mark.parametrize(
    ("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('{"$type":"$dict","$data":', "}")]
)
async def test_25_32_nesting_is_read_or_refused_at_every_depth(
    depth: int, opening: str, closing: str, client: Redis, app: FasterSessionMiddleware
) -> None:
    ada = Browser(app)
    await ada.ask("/count")
    nested = opening * depth + "{}" + closing * depth
    await client.hset(
        f"{PREFIX}{{{session_id(ada)}}}",
        "record",
        GOOD.replace('"attributes": {}', f'"attributes": {{"a":{nested}}}'),
    )
    for path in ("/count", "/turn", "/log_in"):
        reply = await ada.ask(path)
        assert reply.status == 200 or json.loads(reply.body)["error"] == "session_data_invalid"
        assert reply.status == 200 or depth > 100


async def test_25_31_who_has_such_a_session_can_leave_it(client: Redis, app: FasterSessionMiddleware) -> None:
    """Logging out is the user's own wish, and needs nothing of what is stored."""
    ada = Browser(app)
    await ada.ask("/count")
    key = f"{PREFIX}{{{session_id(ada)}}}"
    await client.hset(key, "record", SECRET)
    assert await is_refused(ada, "/peek")
    assert (await ada.ask("/log_out")).status == 200
    assert (ada.cookies, await client.exists(key)) == ({}, 0)
    assert (await ada.ask("/count")).body == b"1"


@pytest.mark.parametrize(
    "plant",
    [
        lambda client, key: client.rpush(key, SECRET),
        lambda client, key: client.hset(key, "owner", SECRET),
        lambda client, key: client.set(key, SECRET),  # which would never end
    ],
    ids=["a list", "a hash", "endless"],
)
async def test_17_30_what_is_no_lease_of_ours_is_refused_and_left_as_it_is(
    plant: Plant, client: Redis, app: FasterSessionMiddleware
) -> None:
    ada, bob = Browser(app), Browser(app)
    await ada.ask("/count")
    key = f"{PREFIX}{{{session_id(ada)}}}:lease"
    await plant(client, key)
    before = await client.dump(key)
    assert await is_refused(ada, "/turn")
    assert await client.dump(key) == before
    assert (await ada.ask("/count")).body == b"2"  # what needs no lease goes on
    assert (await bob.ask("/turn")).status == 200
