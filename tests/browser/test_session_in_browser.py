"""A user's session in a real chromium: other sites never get at it, its owner may take it (26, 27)."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page

from harness.cluster import Chat
from harness.forwarder import Certificate
from harness.redis import dump, redis_cli
from tests.browser.chatting import CLIENT, reply
from tests.browser.foreign_site import foreign_site
from tests.browser.wire import Wire

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

SAID = [("user", "My name is Ada [[tokens=3]]"), ("assistant", "tok1 tok2 tok3 ")]
DELETE = "fetch('/session', {method: 'DELETE'}).then((response) => response.status)"
EXPORT = "fetch('/session').then((response) => response.json())"


async def messages(page: Page) -> list[tuple[str, str]]:
    export: dict[str, Any] = await page.evaluate(EXPORT)
    return [(message["role"], message["text"]) for message in export.get("messages", [])]


@pytest_asyncio.fixture(loop_scope="session", params=["same-site", "cross-site"])
async def foreign(
    request: pytest.FixtureRequest, page: Page, demo_url: str, certificate: Certificate
) -> AsyncIterator[Page]:
    """A page of another origin in the victim's browser; of the same site, it has SameSite cookies sent."""
    near = request.param == "same-site"
    async with foreign_site(certificate.server() if near else None) as port:
        origin = f"https://localhost:{port}" if near else f"http://127.0.0.1:{port}"
        other = await page.context.new_page()
        await other.goto(f"{origin}/?victim={demo_url}")
        yield other
        await other.close()


async def test_26_a_page_of_another_origin_changes_nothing(
    page: Page, foreign: Page, request: pytest.FixtureRequest
) -> None:
    """It is the origin that decides: the victim's cookie is there where the browser sends it."""
    site = request.node.callspec.params["foreign"]
    assert await reply(page, SAID[0][1]) == SAID[1][1]
    wire = await Wire.tap(foreign)
    async with foreign.expect_response("**/chat_stream") as by_script:
        assert await foreign.evaluate("attack()") == "opaque"
    async with foreign.expect_response("**/chat_stream") as by_form:
        await foreign.click("button")
    assert [(await answer.value).status for answer in (by_script, by_form)] == [403, 403]
    await foreign.wait_for_load_state()
    assert json.loads(await foreign.inner_text("body"))["error"] == "cross_origin_request"
    for sent in await wire.requests("/chat_stream", 2):
        assert sent["sec-fetch-site"] == site
        assert sent["content-type"] == "text/plain"
        assert ("__Host-session=" in sent.get("cookie", "")) == (site == "same-site")
    assert await messages(page) == SAID


async def test_27_the_owner_downloads_the_conversation_and_deletes_it(page: Page, demo: Chat) -> None:
    assert await reply(page, SAID[0][1]) == SAID[1][1]
    [cookie] = await page.context.cookies()
    id_ = cookie["value"].partition(".")[0]
    link = "document.body.innerHTML += '<p><a href=/session>Take my conversation away</a></p>'"
    await page.evaluate(link)
    async with page.expect_download() as begun:
        await page.click("a")
    download = await begun.value
    assert download.suggested_filename == "conversation.json"
    text = await asyncio.to_thread(Path(await download.path()).read_text)
    assert [(message["role"], message["text"]) for message in json.loads(text)["messages"]] == SAID
    assert len(await dump(demo, f"*{id_}*")) == 1
    assert await page.evaluate(DELETE) == 204
    assert await page.context.cookies() == []
    assert await dump(demo, f"*{id_}*") == {}
    assert (await page.evaluate(EXPORT))["error"] == "no_session"
    assert "Ada" not in await reply(page, "What is my name? [[echo]]")


async def test_28_a_conversation_that_was_lost_is_told_in_the_page(page: Page, demo: Chat) -> None:
    assert await reply(page, SAID[0][1]) == SAID[1][1]
    [cookie] = await page.context.cookies()
    lost = await dump(demo, f"*{cookie['value'].partition('.')[0]}*")
    assert await redis_cli(demo, "del", *lost) == "1\n"
    await page.evaluate(CLIENT)
    answer = await page.evaluate("replyTo('What is my name? [[tokens=4]]')")
    assert [event["name"] for event in answer["events"]] == ["warning", *["message"] * 4, "done"]
    assert answer["events"][0]["data"]["code"] == "session_ended"
    assert "has ended or was lost" in await page.inner_text("pre:last-of-type")
    assert await reply(page, "And now? [[tokens=1]]") == "tok1 "
