"""Apply, Ready, chat: the main job, over TLS and over plain HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from harness.browser import Stream
from harness.cluster import Chat, Cluster
from harness.fixtures import Browsers
from harness.forwarder import Certificate, tls_forwarder
from harness.manifests import build_chatstream
from harness.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

FIRST, SECOND = "My name is Ada [[tokens=3]]", "I live in Turin [[tokens=5]]"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chats(cluster: Cluster, namespace: str) -> list[Chat]:
    """One with secure cookies, one without; both Ready."""
    secure = build_chatstream(namespace, "secure", sessions={"cookie": {"secure": True}})
    plain = build_chatstream(namespace, "plain")
    return list(await asyncio.gather(*(chat.ready() for chat in await cluster.create(secure, plain))))


@pytest_asyncio.fixture(loop_scope="session")
async def https(chats: list[Chat], certificate: Certificate) -> AsyncIterator[str]:
    """The one with secure cookies behind a TLS forwarder."""
    async with contextlib.AsyncExitStack() as stack:
        yield await stack.enter_async_context(tls_forwarder(await chats[0].address(), 80, certificate))


async def three_turns_that_only_their_browser_sees(url: str, browsers: Browsers) -> Stream:
    """The first turn, for a look at its headers."""
    ada, other = browsers(url), browsers(url)
    first = await ada.turn(FIRST)
    assert (first.status, first.text) == (200, "tok1 tok2 tok3 "), first.summary()
    assert first.whole
    assert await ada.reply(SECOND) == "tok1 tok2 tok3 tok4 tok5 "
    prompt = await ada.reply("What do you know of me? [[echo]]")
    told = [FIRST, "tok1 tok2 tok3", SECOND, "tok1 tok2 tok3 tok4 tok5", "What do you know of me?"]
    places = [prompt.find(text) for text in told]
    assert -1 not in places, prompt
    assert places == sorted(places), prompt
    strange = await other.reply("And of me? [[echo]]")
    assert "And of me?" in strange
    assert "Ada" not in strange
    assert "Turin" not in strange
    return first


def attributes(stream: Stream) -> set[str]:
    """The one cookie's name and attributes, its value left out."""
    [cookie] = stream.cookies
    name, *rest = cookie.split(";")
    return {name.partition("=")[0], *(part.strip().lower() for part in rest)}


async def test_three_turns_of_one_session_over_tls(https: str, browsers: Browsers) -> None:
    first = await three_turns_that_only_their_browser_sees(https, browsers)
    assert attributes(first) == {"__Host-session", "path=/", "httponly", "secure", "samesite=lax"}
    assert first.named("warning") == []
    assert "x-chatstream-warning" not in first.headers


async def test_three_turns_of_one_session_over_plain_http(chats: list[Chat], browsers: Browsers) -> None:
    first = await three_turns_that_only_their_browser_sees(await chats[1].url(), browsers)
    assert attributes(first) == {"session", "path=/", "httponly", "samesite=lax"}
    assert first.named("warning") == []


async def test_the_cookie_of_one_session_is_kept_and_set_once(https: str, browsers: Browsers) -> None:
    browser = browsers(https)
    await browser.reply("[[tokens=1]]")
    before = browser.cookies()
    again = await browser.turn("[[tokens=1]]")
    assert again.whole, again.summary()
    assert again.cookies == []
    assert browser.cookies() == before != {}


async def test_secure_cookies_behind_plain_http_are_reported(
    chats: list[Chat], browsers: Browsers, cluster: Cluster
) -> None:
    secure = chats[0]
    before = await cluster.text(f"http://{(await secure.pod()).ip}:9090/status")
    stream = await browsers(await secure.url()).turn("[[tokens=2]]")
    assert stream.whole, stream.summary()
    assert stream.headers["x-chatstream-warning"] == "secure-cookie-over-plain-http"
    [warning] = stream.named("warning")
    assert warning.data["code"] == "secure_cookie_over_plain_http"
    assert "https" in warning.data["detail"]
    assert '"plain_http_with_secure_cookie":0' in before.replace(" ", "")
    after = await cluster.text(f"http://{(await secure.pod()).ip}:9090/status")
    assert '"plain_http_with_secure_cookie":1' in after.replace(" ", "")
    log = await cluster.kube("logs", f"deployment/{secure.name}", "-n", secure.namespace)
    assert "secure" in log
    await says_in_the_status_what_to_do(secure)


async def says_in_the_status_what_to_do(chat: Chat) -> None:
    async def condition() -> dict[str, str]:
        return await chat.condition("SessionsReady")

    reported = "SecureCookieOverPlainHTTP"
    seen = await eventually(condition, lambda c: c["reason"] == reported, what=reported, within=90, every=1)
    assert "spec.sessions.cookie.secure" in seen["message"]
