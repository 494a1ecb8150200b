"""Whole sessions over an encrypted store: conversations, rotation of ids, replaced keys."""

import json

import pytest

from fastersession import EncryptedStore, FasterSessionMiddleware, Journal, KeyRing, MemoryStore, Window
from fastersession.asgi import Receive, Scope, Send
from tests.fastersession.apps import log_in, the_session
from tests.fastersession.browser import KEY, Browser, by_path, reply_with

OLD, NEW = "old-key-0123456789", "new-key-0123456789"
MARKER = "the-words-of-a-user"


async def say(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes the lease, as a turn does, and adds one entry."""
    session = the_session(scope)
    await session.load(lease_seconds=30)
    attributes = session.get_session()
    attributes["n"] = attributes.get("n", 0) + 1
    attributes.setdefault("said", Journal(limit=20)).append({"text": f"{MARKER} {attributes['n'] - 1}"})
    await reply_with(send, str(attributes["n"]).encode())
    await session.save()


async def whole(scope: Scope, receive: Receive, send: Send) -> None:
    session = the_session(scope)
    said = session.get_session()["said"]
    found = [entry["text"] async for entry in session.entries(said)]
    await reply_with(send, json.dumps([len(said), found]).encode())


APP = by_path(say=say, whole=whole, log_in=log_in)


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing(OLD)


@pytest.fixture
def store(ring: KeyRing) -> EncryptedStore:
    return EncryptedStore(MemoryStore(), ring)


@pytest.fixture
def browser(store: EncryptedStore) -> Browser:
    return Browser(FasterSessionMiddleware(APP, secret_key=KEY, store=store, window=Window(entries=5)))


def texts(first: int, end: int) -> list[str]:
    return [f"{MARKER} {n}" for n in range(first, end)]


async def raw(store: EncryptedStore, browser: Browser) -> str:
    """Everything that the inner store has of a browser's session."""
    id_ = browser.cookies["session"].partition(".")[0]
    record = await store.inner.load(id_, window=Window(entries=1000))
    return repr((record, record and record.attributes, record and list(record.journals.items())))


async def test_a_conversation_is_kept_and_cannot_be_read_in_the_store(
    store: EncryptedStore, browser: Browser
) -> None:
    for n in range(12):
        assert (await browser.ask("/say")).body == str(n + 1).encode()
    assert json.loads((await browser.ask("/whole")).body) == [5, texts(0, 12)]
    assert "sealed" in await raw(store, browser)
    assert MARKER not in await raw(store, browser)


async def test_logging_in_takes_everything_along(store: EncryptedStore, browser: Browser) -> None:
    for _ in range(26):
        await browser.ask("/say")
    before = dict(browser.cookies)
    await browser.ask("/log_in")
    assert browser.cookies != before
    assert json.loads((await browser.ask("/whole")).body) == [5, texts(6, 26)]  # the journal keeps 20
    await browser.ask("/say")
    assert json.loads((await browser.ask("/whole")).body) == [5, texts(7, 27)]
    assert await store.load(before["session"].partition(".")[0]) is None


async def test_replaced_keys_end_no_conversation_until_they_are_dropped(
    ring: KeyRing, store: EncryptedStore, browser: Browser
) -> None:
    for keys in ([OLD], [OLD, NEW], [NEW, OLD]):
        ring.replace(keys)
        assert (await browser.ask("/say")).status == 200
    assert json.loads((await browser.ask("/whole")).body) == [3, texts(0, 3)]
    before = await raw(store, browser)
    ring.replace([NEW])
    reply = await browser.ask("/whole")
    assert (reply.status, json.loads(reply.body)["error"]) == (500, "session_data_invalid")
    assert MARKER not in str(reply.messages)
    ring.replace([NEW, OLD])
    assert before == await raw(store, browser)  # what could not be read was not overwritten
    await browser.ask("/log_in")  # the copy is sealed with the new key
    ring.replace([NEW])
    assert json.loads((await browser.ask("/whole")).body) == [3, texts(0, 3)]


async def test_without_its_keys_an_encrypted_session_is_no_empty_one(
    store: EncryptedStore, browser: Browser
) -> None:
    """Taken for one, it would be written over: what it says is refused, and stays."""
    await browser.ask("/say")
    before = await raw(store, browser)
    plain = Browser(FasterSessionMiddleware(APP, secret_key=KEY, store=store.inner))
    plain.cookies = dict(browser.cookies)
    reply = await plain.ask("/say")
    assert (reply.status, json.loads(reply.body)["error"]) == (500, "session_data_invalid")
    assert await raw(store, browser) == before
    assert (await browser.ask("/say")).body == b"2"
