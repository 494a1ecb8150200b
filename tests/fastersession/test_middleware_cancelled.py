"""Requests that are cancelled at each of their steps: every lease goes back, every cookie has its record."""

import asyncio

import pytest

from fastersession import Lease, LeaseHeld
from fastersession.asgi import Message, Receive, Scope, Send
from tests.fastersession.apps import count, log_in, middleware, peek, session_id, the_session, turn
from tests.fastersession.browser import Browser, by_path
from tests.fastersession.spy import SpyStore, eventually

STEPS = 60


async def idle_turn(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes the lease, and begins a response, and writes nothing."""
    await the_session(scope).load(lease_seconds=300)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})


class Slow(SpyStore):
    """Each call gives way, before and after: there a request may be cancelled."""

    async def _called(self, name: str) -> None:
        await asyncio.sleep(0)
        await super()._called(name)
        await asyncio.sleep(0)


APP = by_path(count=count, turn=turn, log_in=log_in, peek=peek, idle_turn=idle_turn)


async def cancelled_after(steps: int, browser: Browser, path: str) -> bool:
    """Ask, and cancel after so many steps of the loop. Whether it was cut short."""
    sent: list[Message] = []

    async def keep(message: Message) -> None:
        sent.append(message)
        if message["type"] == "http.response.start":
            for name, value in message["headers"]:
                if name == b"set-cookie":
                    browser.cookies["__Host-session"] = value.decode().split("; ")[0].partition("=")[2]

    asked = asyncio.create_task(browser.ask(path, send=keep))
    for _ in range(steps):
        await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait({asked})
    return asked.cancelled()


async def settled() -> None:
    """What goes on after a cancelled request has had its steps too."""
    for _ in range(2 * STEPS):
        await asyncio.sleep(0)


def known_to(browser: Browser, store: SpyStore) -> Browser:
    """Another one with the same cookies, which loads at once."""
    twin = Browser(middleware(store, APP))
    twin.cookies.update(browser.cookies)
    return twin


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("path", ["/turn", "/idle_turn", "/count"])
async def test_17_32_whenever_a_request_is_cancelled_its_session_is_whole_and_free(
    path: str, is_known: bool
) -> None:
    cut = 0
    for steps in range(STEPS):
        store = Slow()
        browser = Browser(middleware(store, APP, autoload=path == "/count"))
        if is_known:
            first = known_to(browser, store)
            await first.ask("/count")
            browser.cookies.update(first.cookies)
        cut += await cancelled_after(steps, browser, path)
        await settled()
        if not browser.cookies:
            assert not is_known
            continue
        id_ = session_id(browser)

        async def is_whole_and_free(store: SpyStore = store, id_: str = id_) -> bool:
            try:
                return await store.memory.load(id_, lease=Lease("next", 1)) is not None
            except LeaseHeld:
                return False

        await eventually(is_whole_and_free)
        seen = (await known_to(browser, store).ask("/peek")).body
        assert (b'"n"' in seen) is (is_known or path == "/count"), (steps, seen)
    assert 5 < cut < STEPS


async def test_27_69_whenever_a_log_in_is_cancelled_there_is_one_session() -> None:
    """Under the old id or under the new one: never under both, never under none."""
    cut, former = 0, 0
    for steps in range(STEPS):
        store = Slow()
        browser = Browser(middleware(store, APP))
        await browser.ask("/count")
        before = dict(browser.cookies)
        cut += await cancelled_after(steps, browser, "/log_in")
        await settled()
        assert len(store.memory) == 1, steps
        seen = (await known_to(browser, store).ask("/peek")).body
        if browser.cookies != before:
            assert seen == b'{"n": 1, "user": "ada"}'
        former += seen == b'{"n": 1}'
    assert 0 < former <= cut < STEPS
