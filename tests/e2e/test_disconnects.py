"""A client leaves in each phase: the engine is free at once, counts are exact, the next is served (3)."""

import asyncio
import time

import pytest
import pytest_asyncio

from harness.cluster import Chat, Cluster, EngineStats, Pod
from harness.exposition import Samples, risen
from harness.fixtures import Browsers
from harness.manifests import build_chatstream
from harness.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

AT_ONCE = 1.0  # seconds; the generation that is left would run for longer than a minute
LONG = "[[tokens=900]] [[delay=100]]"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chat(cluster: Cluster, namespace: str) -> Chat:
    limits = {"maxConcurrent": 1, "maxQueued": 3}
    memory = {"store": "Memory"}
    [chat] = await cluster.create(build_chatstream(namespace, "single", concurrency=limits, sessions=memory))
    return await chat.ready()


class Watch:
    """What the engine and the server counted since it was made."""

    def __init__(self, chat: Chat, pod: Pod, engine: EngineStats, server: Samples) -> None:
        self.chat, self.pod, self._engine, self._server = chat, pod, engine, server

    @classmethod
    async def start(cls, chat: Chat) -> "Watch":
        pod = await chat.pod()
        return cls(chat, pod, await chat.idle(pod), await chat.metrics(pod))

    async def engine(self) -> EngineStats:
        return await self.chat.engine(self.pod)

    async def running(self, count: int, within: float = 10.0) -> None:
        """Wait until the engine runs so many generations."""
        what = f"the engine runs {count}"
        await eventually(self.engine, lambda s: s.running == count, what=what, within=within, every=0.02)

    async def waiting(self, count: int) -> None:
        """Wait until so many clients wait for a slot."""

        async def queued() -> int:
            return (await self.chat.load(self.pod))["waiting"]

        await eventually(queued, lambda n: n == count, what=f"{count} wait", within=10, every=0.05)

    async def dropped(self) -> tuple[int, int]:
        """Generations that the engine began, and those of them that were dropped."""
        now = await self.engine()
        return now.requests - self._engine.requests, now.dropped - self._engine.dropped

    async def counted(self) -> tuple[dict[str, float], dict[str, float]]:
        """By how much the outcomes and the phases of disconnects went up."""
        now = await self.chat.metrics(self.pod)
        pairs = [("chatstream_turns_total", "outcome"), ("chatstream_disconnects_total", "phase")]
        outcomes, phases = (risen(self._server.by(*pair), now.by(*pair)) for pair in pairs)
        return outcomes, phases

    async def expect(self, outcomes: dict[str, float], phases: dict[str, float]) -> None:
        """The counters reach exactly this; they are written after the client has its last byte."""
        wanted = (outcomes, phases)
        await eventually(self.counted, lambda seen: seen == wanted, what=f"{wanted}", within=5)


async def test_leaving_while_streaming_frees_the_engine_for_the_next(chat: Chat, browsers: Browsers) -> None:
    watch, url = await Watch.start(chat), await chat.url()
    leaver = await browsers(url).say(LONG).deltas(3)
    heir = browsers(url).say("[[tokens=900]] [[delay=1]]")
    await heir.until(lambda s: s.named("queued") != [], "its place in the queue")
    await leaver.leave()
    left = time.monotonic()
    await heir.deltas(1)
    assert heir.named("message")[0].at - left < AT_ONCE
    assert (await heir.end()).whole, heir.summary()
    await watch.running(0, within=AT_ONCE)
    assert await watch.dropped() == (2, 1)
    await watch.expect({"client_disconnected_while_streaming": 1, "success": 1}, {"streaming": 1})


async def test_leaving_during_prefill_frees_the_engine_for_the_next(chat: Chat, browsers: Browsers) -> None:
    watch, url = await Watch.start(chat), await chat.url()
    leaver = browsers(url).say("[[prefill=60000]] [[tokens=5]]")
    await watch.running(1)
    heir = browsers(url).say("[[tokens=5]]")
    await watch.waiting(1)
    assert leaver.events == []
    await leaver.leave()
    left = time.monotonic()
    await heir.deltas(1)
    assert heir.named("message")[0].at - left < AT_ONCE
    assert (await heir.end()).text == "tok1 tok2 tok3 tok4 tok5 "
    assert await watch.dropped() == (2, 1)
    await watch.expect({"client_disconnected_before_streaming": 1, "success": 1}, {"prefill": 1})


async def test_leaving_the_queue_frees_the_place_and_the_engine_never_hears_of_it(
    chat: Chat, browsers: Browsers
) -> None:
    watch, url = await Watch.start(chat), await chat.url()
    holder = browsers(url).say("[[tokens=60]] [[delay=100]]")
    await holder.deltas(1)
    leaver = await browsers(url).say(LONG).until(lambda s: s.named("queued") != [], "its place")
    behind = await browsers(url).say("[[tokens=2]]").until(lambda s: s.named("queued") != [], "its place")
    assert [e.data["position"] for e in behind.named("queued")] == [2]
    await leaver.leave()
    await behind.until(lambda s: s.named("queued")[-1].data["position"] == 1, "place 1", within=AT_ONCE)
    await asyncio.gather(holder.end(), behind.end())
    assert holder.whole, holder.summary()
    assert behind.text == "tok1 tok2 "
    assert await watch.dropped() == (2, 0)
    await watch.expect({"client_disconnected_before_streaming": 1, "success": 2}, {"queued": 1})


async def test_after_many_mixed_departures_nothing_is_taken(chat: Chat, browsers: Browsers) -> None:
    watch, url = await Watch.start(chat), await chat.url()
    for _ in range(5):
        first, second = browsers(url).say(LONG), browsers(url).say(LONG)
        await asyncio.wait({asyncio.ensure_future(s.deltas(1)) for s in (first, second)}, timeout=0.4)
        await asyncio.gather(first.leave(), second.leave())
    await watch.running(0, within=5)
    await watch.waiting(0)
    load = await chat.load(watch.pod)
    assert (load["processing"], load["limit"], load["queue_limit"]) == (0, 1, 3)
    assert await browsers(url).reply("[[tokens=2]]") == "tok1 tok2 "
