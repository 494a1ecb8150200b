"""limit + queue + 1 clients at once: one is refused, all others finish, nobody exceeds the limit."""

import asyncio
import time

import pytest
import pytest_asyncio

from harness.browser import Stream
from harness.cluster import Chat, Cluster
from harness.fixtures import Browsers
from harness.manifests import build_chatstream
from harness.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

LIMIT, QUEUE = 2, 3
TURN = "[[tokens=30]] [[delay=50]]"
WHOLE = "".join(f"tok{n} " for n in range(1, 31))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chat(cluster: Cluster, namespace: str) -> Chat:
    limits = {"maxConcurrent": LIMIT, "maxQueued": QUEUE}
    [chat] = await cluster.create(build_chatstream(namespace, "narrow", concurrency=limits))
    return await chat.ready()


def assert_refused(stream: Stream) -> None:
    assert stream.status == 429, stream.summary()
    assert stream.refusal["error"] == "too_many_requests"
    assert stream.refusal["detail"]
    assert int(stream.headers["retry-after"]) >= 1


async def test_13a_of_n_plus_q_plus_one_at_once_exactly_one_is_refused(
    chat: Chat, browsers: Browsers
) -> None:
    url = await chat.url()
    streams = [browsers(url).say(TURN) for _ in range(LIMIT + QUEUE + 1)]
    await asyncio.gather(*(stream.end() for stream in streams))
    [refused] = [stream for stream in streams if stream.status != 200]
    assert_refused(refused)
    others = [stream for stream in streams if stream is not refused]
    assert [(stream.whole, stream.text) for stream in others] == [(True, WHOLE)] * (LIMIT + QUEUE)
    assert (await chat.engine(await chat.pod())).running_max == LIMIT


async def test_13b_the_last_is_refused_at_once_while_the_places_are_taken(
    chat: Chat, browsers: Browsers
) -> None:
    url, pod = await chat.url(), await chat.pod()

    async def taken() -> tuple[int, int]:
        load = await chat.load(pod)
        return load["processing"], load["waiting"]

    streams = [browsers(url).say(TURN) for _ in range(LIMIT + QUEUE)]
    await eventually(taken, lambda now: now == (LIMIT, QUEUE), what="all places taken", within=5, every=0.05)
    began = time.monotonic()
    assert_refused(await browsers(url).turn(TURN))
    assert time.monotonic() - began < 1.0
    await asyncio.gather(*(stream.end() for stream in streams))
    assert [stream.text for stream in streams] == [WHOLE] * (LIMIT + QUEUE)
    assert (await chat.engine(pod)).running_max == LIMIT
    assert await taken() == (0, 0)


async def test_13c_what_was_refused_is_counted_and_takes_no_session(chat: Chat, browsers: Browsers) -> None:
    url, pod = await chat.url(), await chat.pod()
    before = (await chat.metrics(pod)).value("chatstream_rejected_total")
    streams = [browsers(url).say(TURN) for _ in range(LIMIT + QUEUE)]
    await asyncio.gather(*(stream.until(lambda s: s.status is not None, "an answer") for stream in streams))
    refused = await browsers(url).turn(TURN)
    assert_refused(refused)
    assert refused.cookies == []
    await asyncio.gather(*(stream.end() for stream in streams))
    assert (await chat.metrics(pod)).value("chatstream_rejected_total") - before == 1
