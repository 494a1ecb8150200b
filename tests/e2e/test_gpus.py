"""Three ChatStreams on two GPUs: the third says why it waits, and runs when one goes."""

import asyncio

import pytest

from harness.cluster import Chat, Cluster
from harness.fixtures import Browsers
from harness.manifests import build_chatstream
from harness.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

ONE_GPU = {"type": "Demo", "gpu": {"count": 1}}
MEMORY = {"store": "Memory"}


async def waits_for_a_gpu(chat: Chat) -> None:
    """Its conditions, its columns and its events say that a GPU is missing, in the scheduler's words."""

    async def condition() -> dict[str, str]:
        return await chat.condition("GPUScheduled")

    seen = await eventually(
        condition, lambda c: c.get("status") == "False", what="GPUScheduled is False", within=60
    )
    assert seen["reason"] == "InsufficientGPU"
    assert "Insufficient nvidia.com/gpu" in seen["message"]
    ready = await chat.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "InsufficientGPU")
    line = await chat.cluster.kube("get", "chst", chat.name, "-n", chat.namespace, "--no-headers")
    assert "InsufficientGPU" in line
    events = await chat.cluster.kube("events", "--for", f"chatstream/{chat.name}", "-n", chat.namespace)
    assert "InsufficientGPU" in events


async def test_the_third_chatstream_on_two_gpus_says_why_it_waits_and_runs_when_one_goes(
    cluster: Cluster, namespace: str, browsers: Browsers
) -> None:
    manifests = [
        build_chatstream(namespace, name, engine=ONE_GPU, sessions=MEMORY) for name in ("one", "two", "three")
    ]
    running = await cluster.create(*manifests[:2])
    await asyncio.gather(*(chat.ready() for chat in running))
    [third] = await cluster.create(manifests[2])
    await waits_for_a_gpu(third)
    assert await third.serving() == []
    await running[0].drop()
    await third.ready()
    assert (await third.condition("GPUScheduled"))["status"] == "True"
    for chat in (running[1], third):
        assert await browsers(await chat.url()).reply("[[tokens=2]]") == "tok1 tok2 "
