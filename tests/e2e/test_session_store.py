"""Sessions in the managed Redis: what was acknowledged is kept, and who may reach it (26, 28)."""

import json
import os
import signal
import time
from collections.abc import Sequence

import pytest
import pytest_asyncio

from harness.browser import Stream
from harness.cluster import Chat, Cluster, Pod
from harness.fixtures import Browsers
from harness.manifests import build_chatstream
from harness.redis import dump, on_the_volume, redis_processes
from harness.talk import Talker, talking
from harness.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

FRIEND = "https://friend.example.org"
# Seconds, by docs/operator.md: what is written while the disk is being flushed waits for so long.
FLUSH = 2.0
# The lease of a turn that could not be saved is still in Redis when that is back, for some seconds.
TOLD = ("kept", "history_not_saved", "session_store_unavailable", "turn_in_progress")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chat(cluster: Cluster, namespace: str) -> Chat:
    sessions = {"allowedOrigins": [FRIEND]}
    [chat] = await cluster.create(build_chatstream(namespace, "stored", sessions=sessions))
    return await chat.ready()


async def enough(talkers: Sequence[Talker], turns: int = 3) -> None:
    """Each has so many more turns that were acknowledged."""
    wanted = [len(talker.kept) + turns for talker in talkers]

    async def missing() -> list[int]:
        return [want - len(talker.kept) for want, talker in zip(wanted, talkers, strict=True)]

    await eventually(missing, lambda left: max(left) <= 0, what="all of them go on", within=60)


async def redis_pod(chat: Chat) -> Pod:
    [pod] = await chat.pods("redis")
    return pod


async def end_the_pod(chat: Chat) -> None:
    """SIGTERM, and a new pod on the same volume."""
    await chat.cluster.kube("delete", "pod", (await redis_pod(chat)).name, "-n", chat.namespace)


async def kill_the_process(chat: Chat) -> None:
    """SIGKILL, and a new container in the same pod."""
    before = await redis_pod(chat)
    for process in redis_processes(before):
        os.kill(process, signal.SIGKILL)

    async def restarts() -> int:
        return (await redis_pod(chat)).restarts

    what = "the kubelet starts Redis again"
    await eventually(restarts, lambda count: count == before.restarts + 1, what=what, within=30)


async def test_28_every_acknowledged_turn_is_kept_when_redis_ends_and_when_it_is_killed(
    chat: Chat, browsers: Browsers
) -> None:
    url = await chat.url()
    talkers = [Talker(browsers(url), name) for name in ("Ada", "Bea", "Cleo", "Dora")]
    async with talking(talkers):
        await enough(talkers)
        await end_the_pod(chat)
        await enough(talkers)
        killed_at = time.monotonic()
        await kill_the_process(chat)
        await enough(talkers)
    for talker in talkers:
        heard, kept = set(await talker.heard()), set(talker.kept)
        at_risk = {t.said for t in talker.turns if killed_at - FLUSH <= t.ended_at <= killed_at + FLUSH}
        assert kept - heard <= at_risk
        assert len(kept & heard) >= 6
        assert [other for turn in talker.turns if (other := what_was_told(turn.stream)) not in TOLD] == []


def what_was_told(stream: Stream) -> str:
    """ "kept", or why a turn was not: no session may ever be taken for lost."""
    warnings = [str(warning.data["code"]) for warning in stream.named("warning")]
    if stream.whole:
        return " ".join(warnings) or "kept"
    return str(stream.refusal.get("error", stream.summary()))


async def test_27_without_encryption_redis_holds_what_was_said(chat: Chat, browsers: Browsers) -> None:
    """What the tests of encryption look for in vain is found where there is none."""
    browser = browsers(await chat.url())
    assert await browser.reply("my-heart-is-a-pecan [[tokens=1]]") == "tok1 "
    assert "my-heart-is-a-pecan" in "".join((await dump(chat)).values())
    assert await on_the_volume(chat, "my-heart-is-a-pecan") > 0


async def test_26_pages_of_other_origins_are_refused_unless_they_are_allowed(
    chat: Chat, browsers: Browsers
) -> None:
    browser = browsers(await chat.url())
    await browser.reply("[[tokens=2]]")
    for origin, site, status in (
        ("https://foe.example.org", "cross-site", 403),
        (f"{FRIEND}:8443", "cross-site", 403),
        ("null", "cross-site", 403),
        (FRIEND, "cross-site", 204),
    ):
        answer = await browser.ask("DELETE", "/session", {"Origin": origin, "Sec-Fetch-Site": site})
        assert answer.status == status, origin
        assert answer.json.get("error") == ("cross_origin_request" if status == 403 else None)


async def test_26_only_its_own_servers_may_reach_redis(chat: Chat) -> None:
    """The rules as the API server has them: the network of the local cluster does not enforce any."""
    policy = await chat.cluster.kube.get("networkpolicy", f"{chat.name}-redis", chat.namespace)

    def labels(component: str) -> dict[str, str]:
        name = {"app.kubernetes.io/name": "chatstream", "app.kubernetes.io/instance": chat.name}
        return {**name, "app.kubernetes.io/component": component}

    servers = [{"podSelector": {"matchLabels": labels("server")}}]
    assert policy["spec"] == {
        "podSelector": {"matchLabels": labels("redis")},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": servers, "ports": [{"port": 6379, "protocol": "TCP"}]}],
    }
    for component in ("server", "redis"):
        assert await selected(chat, labels(component)) == [pod.name for pod in await chat.pods(component)]


async def selected(chat: Chat, labels: dict[str, str]) -> list[str]:
    """The pods that a selector of these labels finds."""
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    return sorted(
        pod["metadata"]["name"] for pod in await chat.cluster.kube.list("pods", chat.namespace, selector)
    )


async def test_26_the_managed_redis_is_admitted_where_pod_security_is_restricted(chat: Chat) -> None:
    """The same pod in another namespace of that level too, without a warning."""
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    space = json.loads(await chat.cluster.kube("get", "namespace", chat.namespace, "-o", "json"))
    assert level.items() <= space["metadata"]["labels"].items()
    assert (await redis_pod(chat)).ready


async def test_26_with_sessions_in_memory_redis_and_its_policy_go(chat: Chat, browsers: Browsers) -> None:
    """The last one of this ChatStream, which goes on without a Redis."""
    patch = json.dumps({"spec": {"sessions": {"store": "Memory"}}})
    where = ["-n", chat.namespace, "--type=merge"]
    await chat.cluster.kube("patch", "chatstream", chat.name, *where, "-p", patch)

    async def left() -> list[str]:
        kinds = "networkpolicies,statefulsets,services,secrets,serviceaccounts"
        found = await chat.cluster.kube.list(kinds, chat.namespace, f"chatstream.dev/name={chat.name}")
        return [item["kind"] for item in found if item["metadata"]["name"] == f"{chat.name}-redis"]

    await eventually(left, lambda kinds: kinds == [], what="nothing is left of Redis", within=60)
    await chat.becomes("SessionsReady", "True", "InMemory", within=90)
    await chat.settled(within=60)

    async def answers() -> bool:
        return (await browsers(await chat.url()).turn("[[tokens=2]]")).whole

    # For a moment the old pod is still sent requests.
    await eventually(answers, bool, what="turns are served", within=10)
