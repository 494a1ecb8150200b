"""The managed Redis hangs, is killed, is deleted: 503 in 2 s, the pod stays, the history is whole (7)."""

import asyncio
import os
import signal
import time

import pytest
import pytest_asyncio

from harness.browser import Browser
from harness.cluster import Chat, Cluster
from harness.fixtures import Browsers
from harness.manifests import build_chatstream
from harness.redis import redis_processes
from harness.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

BOUND = 2.0  # seconds from the request to its 503


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chat(cluster: Cluster, namespace: str) -> Chat:
    [chat] = await cluster.create(build_chatstream(namespace, "kept"))
    return await chat.ready()


async def redis_process(chat: Chat) -> int:
    [pod] = await chat.pods("redis")
    [process] = redis_processes(pod)
    return process


async def begin(browser: Browser) -> None:
    assert await browser.reply("The word is nougat [[tokens=4]]") == "tok1 tok2 tok3 tok4 "


async def goes_on(browser: Browser) -> None:
    """A turn succeeds as soon as Redis is back, and has the whole history, of that first try."""
    deadline = time.monotonic() + 60
    stream = await browser.turn("Which word? [[echo]]")
    while stream.status == 503 and time.monotonic() < deadline:
        assert_says_why(stream.refusal)
        await asyncio.sleep(0.3)
        stream = await browser.turn("Which word? [[echo]]")
    assert stream.whole, stream.summary()
    assert "The word is nougat" in stream.text
    assert "tok1 tok2 tok3 tok4" in stream.text
    assert stream.text.count("Which word?") == 1


def assert_says_why(refusal: dict[str, str]) -> None:
    assert refusal["error"] == "session_store_unavailable"
    assert "session" in refusal["detail"].lower()


async def is_refused_in_time(chat: Chat, browser: Browser) -> None:
    """Old sessions and new ones: 503 that says why, within the bound, and the pod stays in the Service."""
    pod = await chat.pod()
    for client in (browser, Browser(await chat.url())):
        stream = await client.turn("Which word? [[echo]]")
        assert stream.status == 503, stream.summary()
        assert stream.seconds < BOUND
        assert_says_why(stream.refusal)
        assert int(stream.headers["retry-after"]) >= 1
        assert stream.cookies == []
        if client is not browser:
            await client.close()
    assert await chat.serving() == [pod.ip]
    assert (await chat.pod()).ready
    assert (await chat.load(pod))["processing"] == 0


async def test_28a_a_redis_that_hangs_is_503_in_time_and_the_history_is_whole_after_it(
    chat: Chat, browsers: Browsers
) -> None:
    browser = browsers(await chat.url())
    await begin(browser)
    process = await redis_process(chat)
    os.kill(process, signal.SIGSTOP)
    try:
        for _ in range(3):
            await is_refused_in_time(chat, browser)
    finally:
        os.kill(process, signal.SIGCONT)
    await goes_on(browser)


async def test_28b_a_reply_whose_save_fails_reaches_the_client_with_a_warning(
    chat: Chat, browsers: Browsers
) -> None:
    browser = browsers(await chat.url())
    await begin(browser)
    stream = await browser.say("Go on [[tokens=20]] [[delay=50]]").deltas(3)
    process = await redis_process(chat)
    os.kill(process, signal.SIGSTOP)
    try:
        await stream.end(within=10)
    finally:
        os.kill(process, signal.SIGCONT)
    assert stream.whole, stream.summary()
    assert stream.text == "".join(f"tok{n} " for n in range(1, 21))
    assert [event.data["code"] for event in stream.named("warning")] == ["history_not_saved"]


async def test_28c_a_redis_that_is_killed_is_503_in_time_and_the_history_is_whole_after_it(
    chat: Chat, browsers: Browsers
) -> None:
    """Killed at each start until the kubelet backs off, so that it is truly away for a while."""
    browser, [pod] = browsers(await chat.url()), await chat.pods("redis")
    await begin(browser)

    async def backs_off() -> bool:
        for process in redis_processes(pod):
            os.kill(process, signal.SIGKILL)
        [now] = await chat.cluster.kube.list("pods", chat.namespace, "app.kubernetes.io/component=redis")
        [container] = now["status"]["containerStatuses"]
        return "waiting" in container["state"]

    await eventually(backs_off, bool, what="the kubelet backs off", within=60)
    await is_refused_in_time(chat, browser)
    await says_so_in_the_status(chat)
    await goes_on(browser)
    await chat.ready()


async def says_so_in_the_status(chat: Chat) -> None:
    async def condition() -> dict[str, str]:
        return await chat.condition("SessionsReady")

    seen = await eventually(condition, lambda c: c["status"] == "False", what="SessionsReady", within=20)
    assert seen["reason"] == "RedisCrashed"
    assert "ended with 137" in seen["message"]


async def test_28d_the_history_is_whole_after_the_pod_of_redis_was_deleted(
    chat: Chat, browsers: Browsers
) -> None:
    browser, [pod] = browsers(await chat.url()), await chat.pods("redis")
    await begin(browser)
    await chat.cluster.kube("delete", "pod", pod.name, "-n", chat.namespace, "--grace-period=1")
    await goes_on(browser)
    [now] = await chat.pods("redis")
    assert now.uid != pod.uid
