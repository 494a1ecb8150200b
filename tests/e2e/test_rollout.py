"""A changed prompt rolls out under 20 open streams, each longer than the rollout; none is cut."""

import asyncio
import json
import time
from collections.abc import Sequence

import pytest

from harness.browser import Stream
from harness.cluster import Chat, Cluster
from harness.fixtures import Browsers
from harness.kube import Manifest
from harness.manifests import build_chatstream
from harness.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session")]

HALF = 10
OLD, NEW = "You speak as a pirate.", "You speak as a judge."
ROOM = {"maxConcurrent": 2 * HALF, "maxQueued": 0}


def build(namespace: str, name: str, gpus: int) -> Manifest:
    """Two replicas, either of which can hold all streams, so that nothing has to wait."""
    engine = {"gpu": {"count": gpus}}
    chat = {"systemPrompt": OLD}
    return build_chatstream(namespace, name, replicas=2, engine=engine, concurrency=ROOM, chat=chat)


def begin(url: str, browsers: Browsers, seconds: int) -> list[Stream]:
    """Half of the streams, ten tokens a second each."""
    return [browsers(url).say(f"[[tokens={seconds * 10}]] [[delay=100]]") for _ in range(HALF)]


async def all_flow(streams: Sequence[Stream]) -> None:
    """Each has begun and shows tokens."""
    await asyncio.gather(*(stream.deltas(2) for stream in streams))


async def change_the_prompt(chat: Chat) -> None:
    patch = json.dumps({"spec": {"chat": {"systemPrompt": NEW}}})
    await chat.cluster.kube(
        "patch", "chatstream", chat.name, "-n", chat.namespace, "--type=merge", "-p", patch
    )


async def rolled_out(chat: Chat, old: set[str], within: float) -> None:
    """Both replicas are new ones, serve, and the resource is Ready for the changed spec."""
    addresses = {pod.ip for pod in await chat.pods() if pod.name in old}

    async def serving() -> list[str]:
        return await chat.serving()

    def renewed(now: list[str]) -> bool:
        return len(now) == 2 and not addresses & set(now)

    await eventually(serving, renewed, what="both replicas are new", within=within, every=0.5)
    await chat.settled()


async def assert_whole(streams: Sequence[Stream], seconds: int) -> None:
    """Every text, compared whole."""
    await asyncio.gather(*(stream.end(within=3.0 * seconds) for stream in streams))
    text = "".join(f"tok{n} " for n in range(1, seconds * 10 + 1))
    cut = [stream.summary() for stream in streams if not stream.whole or stream.text != text]
    assert cut == []


async def has_the_new_prompt(chat: Chat, browsers: Browsers) -> None:
    """kube-proxy forgets the old pods a moment after the API server does; until then they still answer."""
    url = await chat.url()

    async def prompt() -> str:
        return await browsers(url).reply("[[echo]]")

    await eventually(prompt, lambda text: NEW in text and OLD not in text, what="the new prompt", within=5)


@pytest.mark.timeout(420)
async def test_a_rollout_without_gpu_goes_on_under_20_open_streams(
    cluster: Cluster, namespace: str, browsers: Browsers
) -> None:
    """New pods come first; all streams outlast the rollout, half of them begun before it."""
    seconds = 75
    [chat] = await cluster.create(build(namespace, "surge", gpus=0))
    url = await (await chat.ready()).url()
    old = {pod.name for pod in await chat.pods()}
    before = begin(url, browsers, seconds)
    await all_flow(before)
    await change_the_prompt(chat)
    began = time.monotonic()
    during = begin(url, browsers, seconds)
    await all_flow(during)
    await rolled_out(chat, old, within=seconds)
    took = time.monotonic() - began
    assert [stream.summary() for stream in (*before, *during) if stream.ended_at is not None] == []
    await has_the_new_prompt(chat, browsers)
    await assert_whole([*before, *during], seconds)
    assert min(stream.seconds for stream in (*before, *during)) > took
    await chat.drop()


async def one_old_pod_drains(chat: Chat, old: set[str], within: float) -> str:
    """The name of the old pod that leaves now: out of the Service, while the other replica serves."""

    async def probe() -> tuple[list[str], list[str]]:
        leaving = [pod.name for pod in await chat.pods() if pod.leaving and pod.name in old]
        return leaving, await chat.serving()

    def drains(seen: tuple[list[str], list[str]]) -> bool:
        leaving, serving = seen
        return len(leaving) == 1 and len(serving) == 1

    [name], _ = await eventually(probe, drains, what="one old pod drains, one pod serves", within=within)
    return name


@pytest.mark.timeout(420)
async def test_a_rollout_with_no_gpu_spare_drains_old_pods_first_and_cuts_no_stream(
    cluster: Cluster, namespace: str, browsers: Browsers
) -> None:
    """Two replicas hold both GPUs: an old pod's streams end before its successor can start."""
    seconds = 40
    [chat] = await cluster.create(build(namespace, "tight", gpus=1))
    url = await (await chat.ready()).url()
    old = {pod.name for pod in await chat.pods()}
    before = begin(url, browsers, seconds)
    await all_flow(before)
    await change_the_prompt(chat)
    first = await one_old_pod_drains(chat, old, within=30)
    await assert_whole(before, seconds)
    during = begin(url, browsers, seconds)
    await all_flow(during)
    await one_old_pod_drains(chat, old - {first}, within=seconds)
    assert [stream.summary() for stream in during if stream.ended_at is not None] == []
    await rolled_out(chat, old, within=3.0 * seconds)
    await assert_whole(during, seconds)
    await has_the_new_prompt(chat, browsers)
