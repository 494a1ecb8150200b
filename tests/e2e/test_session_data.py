"""A user's own data at the demo's https address: taken away whole, and deleted to the last key (27)."""

import os
import ssl
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from devcluster.paths import CA_CERTIFICATE
from harness.browser import Browser
from harness.cluster import Chat, Cluster
from harness.redis import dump

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

LONG = "[[tokens=300]] [[delay=100]]"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def demo(cluster: Cluster) -> Chat:
    return await Chat(cluster, "default", "demo").ready()


@pytest_asyncio.fixture(loop_scope="session")
async def browser(demo: Chat) -> AsyncIterator[Browser]:
    """At https://localhost:PORT, behind the forwarder of `make up`."""
    trust = ssl.create_default_context(cafile=str(CA_CERTIFICATE))
    async with Browser(f"https://localhost:{os.environ.get('PORT', '8443')}", trust=trust) as browser:
        yield browser
        await browser.ask("DELETE", "/session")


async def stored(demo: Chat, id_: str) -> list[str]:
    return sorted(await dump(demo, f"*{id_}*"))


async def test_27_the_conversation_can_be_taken_away_and_deleted(demo: Chat, browser: Browser) -> None:
    assert await browser.reply("My name is Ada [[tokens=3]]") == "tok1 tok2 tok3 "
    assert await browser.reply("I live in Turin [[tokens=1]]") == "tok1 "
    answer = await browser.ask("GET", "/session")
    assert answer.headers["content-disposition"] == 'attachment; filename="conversation.json"'
    assert answer.headers["cache-control"] == "no-store"
    assert await browser.export() == [
        ("user", "My name is Ada [[tokens=3]]"),
        ("assistant", "tok1 tok2 tok3 "),
        ("user", "I live in Turin [[tokens=1]]"),
        ("assistant", "tok1 "),
    ]
    id_ = browser.session_id()
    assert len(await stored(demo, id_)) == 1
    gone = await browser.ask("DELETE", "/session")
    assert (gone.status, gone.json) == (204, {})
    [cookie] = gone.cookies
    assert cookie.startswith("__Host-session=;")
    assert "Max-Age=0" in cookie
    assert browser.cookies() == {}
    assert await stored(demo, id_) == []
    assert (await browser.ask("GET", "/session")).json["error"] == "no_session"


async def test_27_what_was_deleted_does_not_come_back(demo: Chat, browser: Browser) -> None:
    """Not by the next turn either, which begins anew and is told nothing of what was."""
    await browser.reply("My name is Grace [[tokens=1]]")
    before = browser.session_id()
    assert (await browser.ask("DELETE", "/session")).status == 204
    stream = await browser.turn("What is my name? [[echo]]")
    assert stream.kept, stream.summary()
    assert "Grace" not in stream.text
    assert browser.session_id() != before


async def test_27_while_a_turn_runs_nothing_is_deleted(demo: Chat, browser: Browser) -> None:
    await browser.reply("My name is Emmy [[tokens=1]]")
    stream = await browser.say(LONG).deltas(2)
    refused = await browser.ask("DELETE", "/session")
    assert (refused.status, refused.json["error"]) == (409, "turn_in_progress")
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.cookies == []
    assert len(await stored(demo, browser.session_id())) == 2  # with the turn's lease
    await stream.leave()
    await demo.idle(await demo.pod())
    assert ("user", "My name is Emmy [[tokens=1]]") in await browser.export()
