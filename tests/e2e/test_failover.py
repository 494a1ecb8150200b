"""The pod that served a turn goes; the next turn has the history, from Redis."""

import pytest
import pytest_asyncio

from harness.cluster import Chat, Cluster, Pod
from harness.fixtures import Browsers
from harness.manifests import build_chatstream
from harness.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chat(cluster: Cluster, namespace: str) -> Chat:
    [chat] = await cluster.create(build_chatstream(namespace, "pair", replicas=2))
    return await chat.ready()


async def served(chat: Chat) -> dict[str, float]:
    """Turns that ended well, by pod."""
    counts = {}
    for pod in await chat.pods():
        if pod.ready and not pod.leaving:
            counts[pod.name] = (await chat.metrics(pod)).value("chatstream_turns_total", outcome="success")
    return counts


async def the_pod_that_served(chat: Chat, before: dict[str, float]) -> Pod:
    after = await served(chat)
    [name] = [name for name, count in after.items() if count == before.get(name, 0.0) + 1]
    return next(pod for pod in await chat.pods() if pod.name == name)


@pytest.mark.parametrize("how", [[], ["--grace-period=0", "--force"]], ids=["drained", "killed"])
async def test_turn_2_goes_on_when_the_pod_of_turn_1_is_deleted(
    chat: Chat, browsers: Browsers, how: list[str]
) -> None:
    async def serving() -> list[str]:
        return await chat.serving()

    await eventually(serving, lambda ends: len(ends) == 2, what="two pods serve", within=90)
    browser, before = browsers(await chat.url()), await served(chat)
    assert await browser.reply("The word is marzipan [[tokens=4]]") == "tok1 tok2 tok3 tok4 "
    first = await the_pod_that_served(chat, before)
    await chat.cluster.kube("delete", "pod", first.name, "-n", chat.namespace, *how)
    prompt = await browser.reply("Which word? [[echo]]")
    assert "The word is marzipan" in prompt
    assert "tok1 tok2 tok3 tok4" in prompt
    assert first.name not in await served(chat)
