"""Sessions that are encrypted, and a rotation of all keys while their users go on talking (26, 27)."""

import json
from collections.abc import Sequence

import pytest
import pytest_asyncio

from fastersession.cookies import IdSigner
from fastersession.keys import fingerprint
from harness.browser import Browser
from harness.cluster import Chat, Cluster
from harness.fixtures import Browsers
from harness.manifests import build_chatstream
from harness.redis import dump, on_the_volume
from harness.talk import Talker, talking
from harness.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

MARKER = "my-heart-is-a-walnut"
RINGS = ("session-keys", "encryption-keys")
# Two phases: the kubelet's round of 10 to 15 s, the servers' of 5, the operator's of 4, on two busy cores.
ROTATED_WITHIN = 150.0


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chat(cluster: Cluster, namespace: str) -> Chat:
    sessions = {"encrypt": True}
    [chat] = await cluster.create(build_chatstream(namespace, "sealed", replicas=2, sessions=sessions))
    return await chat.ready()


async def rings(chat: Chat) -> dict[str, list[str]]:
    secret = await chat.secret("keys")
    return {name: json.loads(secret[name]) for name in RINGS}


async def test_27_encrypted_sessions_are_no_plain_text_in_redis_nor_on_its_volume(
    chat: Chat, browsers: Browsers
) -> None:
    browser = browsers(await chat.url())
    prompt = await browser.reply(f"{MARKER} [[echo]]")
    assert MARKER in prompt
    stored = await dump(chat)
    [session] = [value for key, value in stored.items() if key.endswith(f"{{{browser.session_id()}}}")]
    assert "$sealed" in session
    assert MARKER not in "".join([*stored, *stored.values()])
    # The id is no secret from Redis: that it is found shows that the file is the one that is written.
    assert await on_the_volume(chat, browser.session_id()) > 0
    assert await on_the_volume(chat, MARKER) == 0
    assert [role for role, text in await browser.export() if MARKER in text] == ["user", "assistant"]


async def test_26_keys_are_rotated_while_users_talk_and_none_of_them_notices(
    chat: Chat, browsers: Browsers
) -> None:
    """A sleeper says nothing meanwhile, and comes back with a cookie of the old key."""
    url = await chat.url()
    talkers = [Talker(browsers(url), name) for name in ("Ada", "Bea", "Cleo")]
    everybody = [*talkers, Talker(browsers(url), "Sleeper")]
    await all_go_on(everybody)
    old, pods, ids = await rings(chat), await lives(chat), [one.browser.session_id() for one in everybody]
    async with talking(talkers):
        await rotate(chat)
    await all_go_on(everybody)
    assert [one.failures for one in everybody] == [[]] * 4
    assert [one.browser.session_id() for one in everybody] == ids
    assert await lives(chat) == pods
    await everybody_uses_the_new_keys(chat, old)
    new, *_ = (await rings(chat))["session-keys"]
    assert [signed_by(new, one.browser) for one in everybody] == [True] * 4
    # What the older keys have sealed is read by servers that started after it.
    await replace_pods(chat)
    await all_go_on(everybody)
    assert [one.browser.session_id() for one in everybody] == ids


async def all_go_on(talkers: Sequence[Talker]) -> None:
    """Each has one more turn, and all that it ever said is there."""
    for talker in talkers:
        stream = await talker.turn()
        assert stream.kept, stream.summary()
        assert await talker.heard() == [turn.said for turn in talker.turns]


async def lives(chat: Chat) -> list[tuple[str, int]]:
    return [(pod.uid, pod.restarts) for pod in await chat.pods()]


async def rotate(chat: Chat) -> None:
    kube = chat.cluster.kube
    await kube("annotate", "chst", chat.name, "-n", chat.namespace, "chatstream.dev/rotate-keys=once")

    async def happened() -> set[str]:
        await assert_nobody_is_surprised(chat)
        events = await kube.list("events.events.k8s.io", chat.namespace)
        return {event["reason"] for event in events if event["regarding"].get("name") == chat.name}

    wanted = {"KeyRotationStarted", "KeysRotated"}
    await eventually(
        happened, lambda seen: wanted <= seen, what="KeysRotated", within=ROTATED_WITHIN, every=1
    )


async def assert_nobody_is_surprised(chat: Chat) -> None:
    """Keys that are used are known to every pod already: what one of them signs, each accepts."""
    used = [fingerprint(ring[0]) for ring in (await rings(chat)).values()]
    for known in await fingerprints(chat):
        assert set(used) <= {*known[0], *known[1]}


async def fingerprints(chat: Chat) -> list[list[list[str]]]:
    """What each pod says of the keys that it has read, ring by ring."""
    texts = [await chat.cluster.text(f"http://{pod.ip}:9090/status") for pod in await chat.pods()]
    said = [json.loads(text)["sessions"] for text in texts]
    return [[one["keys"], one["encryption_keys"]] for one in said]


def signed_by(key: str, browser: Browser) -> bool:
    [cookie] = browser.cookies().values()
    return IdSigner(key).verify(cookie.encode()) == browser.session_id()


async def everybody_uses_the_new_keys(chat: Chat, old: dict[str, list[str]]) -> None:
    now = await rings(chat)
    assert {name: others for name, (_, *others) in now.items()} == old
    assert [new for name, (new, *_) in now.items() if new in old[name]] == []
    wanted = [[fingerprint(key) for key in now[name]] for name in RINGS]
    assert await fingerprints(chat) == [wanted, wanted]
    assert "new key" not in (await chat.condition("SessionsReady"))["message"]


async def replace_pods(chat: Chat) -> None:
    """By killing them."""
    old = [pod.name for pod in await chat.pods()]
    where = ["-n", chat.namespace, "--grace-period=0", "--force"]
    await chat.cluster.kube("delete", "pod", *old, *where)

    async def renewed() -> list[str]:
        return sorted(pod.ip for pod in await chat.pods() if pod.ready and pod.name not in old)

    addresses = await eventually(renewed, lambda found: len(found) == 2, what="two new pods", within=90)

    async def serving() -> list[str]:
        return await chat.serving()

    await eventually(serving, lambda ends: ends == addresses, what="the new pods serve", within=30)
    await chat.ready()
