"""Three turns, the cookie, another session and a user who stops, each in a real chromium over TLS."""

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page

from harness.cluster import Chat, EngineStats, Pod
from harness.waiting import eventually
from tests.browser.chatting import CLIENT, reply

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

COUNT = "() => turn.events.filter((event) => event.name === 'message').length"


async def test_three_turns_with_the_secure_cookie_that_no_script_sees(page: Page) -> None:
    assert await reply(page, "My name is Ada [[tokens=3]]") == "tok1 tok2 tok3 "
    assert await reply(page, "I live in Turin [[tokens=2]]") == "tok1 tok2 "
    prompt = await reply(page, "What do you know of me? [[echo]]")
    places = [prompt.find(text) for text in ("Ada", "tok1 tok2 tok3", "Turin", "What do you know")]
    assert -1 not in places, prompt
    assert places == sorted(places)
    assert await page.evaluate("document.cookie") == ""
    [cookie] = await page.context.cookies()
    seen = {key: cookie.get(key) for key in ("name", "httpOnly", "secure", "sameSite", "path", "expires")}
    assert seen == {
        "name": "__Host-session",
        "httpOnly": True,
        "secure": True,
        "sameSite": "Lax",
        "path": "/",
        "expires": -1,
    }


async def test_19a_another_browser_session_sees_nothing_of_it(
    page: Page, chromium: Chromium, demo_url: str
) -> None:
    await reply(page, "My name is Grace [[tokens=3]]")
    other = await chromium.new_context(ignore_https_errors=True)
    stranger = await other.new_page()
    await stranger.goto(f"{demo_url}/healthz")
    prompt = await reply(stranger, "What is my name? [[echo]]")
    await other.close()
    assert "What is my name?" in prompt
    assert "Grace" not in prompt
    assert "Grace" in await reply(page, "What is my name? [[echo]]")


async def test_the_reply_is_there_token_by_token(page: Page) -> None:
    """Through the forwarder too: the first token is shown while the engine still writes the others."""
    await page.evaluate(CLIENT)
    await page.evaluate("startTurn('[[tokens=30]] [[delay=100]]')")
    await page.wait_for_function(f"({COUNT})() >= 3")
    assert await page.evaluate("turn.ended") is False
    assert "tok1 tok2 tok3" in await page.inner_text("pre:last-of-type")
    await page.wait_for_function("turn.ended")
    times = await page.evaluate("turn.events.map((event) => event.at)")
    assert len({round(at / 50) for at in times}) >= 15, times


async def engine_idle(demo: Chat) -> tuple[Pod, EngineStats]:
    pod = await demo.pod()
    return pod, await demo.idle(pod)


@pytest.mark.parametrize("how", ["turn.abort.abort()", "window.location.assign('/get_load')"])
async def test_16a_a_user_who_stops_or_goes_frees_the_engine(page: Page, demo: Chat, how: str) -> None:
    pod, before = await engine_idle(demo)
    await page.evaluate(CLIENT)
    await page.evaluate("startTurn('[[tokens=900]] [[delay=100]]')")
    await page.wait_for_function(f"({COUNT})() >= 3")
    assert (await demo.engine(pod)).running == 1
    await page.evaluate(how)

    async def stats() -> EngineStats:
        return await demo.engine(pod)

    after = await eventually(stats, lambda s: s.running == 0, what="the engine is free", within=2, every=0.05)
    assert after.dropped == before.dropped + 1
