"""A Redis of the user's own, over TLS, with a certificate of an authority of the user's own (26, 28)."""

from dataclasses import dataclass

import pytest
import pytest_asyncio

from harness import own_redis
from harness.cluster import Chat, Cluster
from harness.fixtures import Browsers
from harness.kube import Manifest
from harness.manifests import build_chatstream
from tests.fastersession.certificates import Authority

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]


@dataclass(frozen=True, slots=True)
class Chats:
    """One that has the authority, one whose Secret of it is not there yet, one that has another's."""

    trusting: Chat
    waiting: Chat
    deceived: Chat


def build(namespace: str, name: str) -> Manifest:
    refs = {
        "urlSecretRef": {"name": "redis-url", "key": "url"},
        "caSecretRef": {"name": f"ca-of-{name}", "key": "ca.crt"},
    }
    return build_chatstream(namespace, name, sessions={"redis": refs})


def build_ca(chat: Chat, authority: Authority) -> Manifest:
    return own_redis.build_secret(
        chat.namespace, f"ca-of-{chat.name}", {"ca.crt": authority.path.read_text()}
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def authority(cluster: Cluster, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Of the Redis that runs."""
    return await own_redis.start_redis(cluster.kube, namespace, tmp_path_factory.mktemp("tls"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chats(
    cluster: Cluster, namespace: str, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Chats:
    manifests = [build(namespace, name) for name in ("trusting", "waiting", "deceived")]
    secret = own_redis.build_secret(namespace, "redis-url", {"url": own_redis.url(namespace)})
    await cluster.kube.apply(secret)
    chats = Chats(*await cluster.create(*manifests))
    stranger = Authority(tmp_path_factory.mktemp("stranger"), "stranger")
    await cluster.kube.apply(build_ca(chats.trusting, authority), build_ca(chats.deceived, stranger))
    return chats


async def has_a_history(chat: Chat, browsers: Browsers) -> None:
    browser = browsers(await chat.url())
    assert await browser.reply("The word is fudge [[tokens=2]]") == "tok1 tok2 "
    assert "The word is fudge" in await browser.reply("Which word? [[echo]]")
    keys = await own_redis.keys(chat.cluster.kube, chat.namespace)
    assert [key for key in keys if browser.session_id() in key] != []


async def test_26_sessions_are_kept_in_a_redis_with_a_certificate_of_an_authority_of_ones_own(
    chats: Chats, browsers: Browsers
) -> None:
    await chats.trusting.ready()
    assert (await chats.trusting.condition("SessionsReady"))["reason"] == "Reachable"
    assert await chats.trusting.pods("redis") == []
    await has_a_history(chats.trusting, browsers)


async def test_28_a_redis_whose_certificate_is_not_trusted_is_never_used_and_the_status_says_so(
    chats: Chats, browsers: Browsers
) -> None:
    chat = chats.deceived
    message = await chat.becomes("SessionsReady", "False", "RedisUnreachable", within=90)
    assert "certificate" in message
    assert own_redis.PASSWORD not in message
    assert (await chat.condition("Ready"))["status"] == "False"
    stream = await browsers(f"http://{(await chat.pod()).ip}:8080").turn("The word is toffee")
    assert (stream.status, stream.refusal["error"]) == (503, "session_store_unavailable")
    assert stream.cookies == []


async def test_26_an_authority_that_is_missing_is_named_and_taken_up_when_it_comes(
    chats: Chats, authority: Authority, browsers: Browsers
) -> None:
    chat = chats.waiting
    message = await chat.becomes("SessionsReady", "False", "SecretMissing", within=30)
    assert f"ca-of-{chat.name}" in message
    assert (await chat.condition("Ready"))["reason"] == "SecretMissing"
    await chat.cluster.kube.apply(build_ca(chat, authority))
    await chat.ready()
    await has_a_history(chat, browsers)
