"""Operator and servers together: a rotation among real servers on one Redis, and a user who chats on."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from chatstream_operator.manifests.names import RINGS
from chatstream_operator.reconcile import HttpProber
from chatstream_operator.reconcile.secrets import new_secret
from chatstream_operator.rotation import DWELL, Keys, Report, State, advance, fingerprint, write_ring
from chatstream_operator.status import Probe
from tests.operator.managed_redis import PASSWORD, ManagedRedis
from tests.operator.pods import good_pod
from tests.operator.samples import config_of, demo
from tests.server.support.live import Browser, until
from tests.server.support.processes import free_port, listening, running


class Pod:
    """A server with key files of its own, as the kubelet brings them. It asks a demo engine within itself."""

    def __init__(self, name: str, folder: Path, redis: ManagedRedis, keys: Keys) -> None:
        self.name = name
        self.base = ""
        self._folder = folder
        self._port = free_port()
        folder.mkdir()
        self.give(keys)
        config = config_of(demo(sessions={"encrypt": True, "cookie": {"secure": False}}))
        config |= {"host": "127.0.0.1", "port": 0, "metrics_port": self._port, "engine": {"type": "demo"}}
        config["sessions"] |= {
            "redis_url": f"redis://127.0.0.1:{redis.port}/0",
            "secret_keys_file": str(folder / "session-keys"),
            "encryption_keys_file": str(folder / "encryption-keys"),
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config))

    async def run(self, stack: AsyncExitStack) -> None:
        environment = {
            "CHATSTREAM_CONFIG": str(self._folder / "config.yaml"),
            "CHATSTREAM_SESSIONS__REDIS_PASSWORD": PASSWORD,
        }
        process = await stack.enter_async_context(running("serve", environment=environment))
        self.base, _ = await listening(process)

    def give(self, keys: Keys) -> None:
        for name, ring in keys.rings.items():
            (self._folder / name).write_text(write_ring(ring))

    async def probe(self) -> Probe:
        async with aclosing(HttpProber(self._port)) as prober:
            return await prober.probe(replace(good_pod(), ip="127.0.0.1"))

    async def report(self) -> Report:
        probe = await self.probe()
        assert probe.answered, probe
        return Report(self.name, dict(zip(RINGS, (probe.session_keys, probe.encryption_keys), strict=True)))

    async def has_read(self, keys: Keys) -> None:
        wanted = {name: tuple(map(fingerprint, ring)) for name, ring in keys.rings.items()}

        async def look() -> bool:
            return (await self.report()).fingerprints == wanted

        await until(look, "the keys are read")


class User:
    """One browser, which finds now this pod and now that one."""

    def __init__(self, pods: list[Pod]) -> None:
        first = Browser(pods[0].base)
        self._browsers = [first, *(Browser(pod.base, first.jar) for pod in pods[1:])]
        self.turns = 0

    async def chats(self) -> None:
        """A turn with each pod, which knows all the turns before it."""
        for browser in self._browsers:
            chat = await browser.turn(f"[[tokens=2]] turn {self.turns}.")
            assert chat.names == ["done"], chat.names
            self.turns += 1
            _, conversation = await browser.get("/session")
            told = json.dumps(conversation)
            assert all(f" turn {number}." in told for number in range(self.turns)), told

    async def aclose(self) -> None:
        for browser in self._browsers:
            await browser.__aexit__()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[ManagedRedis]:
    one = ManagedRedis(tmp_path)
    one.start()
    yield one
    one.end(signal.SIGKILL)
    one.client.close()


@pytest.fixture
async def pods(tmp_path: Path, redis: ManagedRedis) -> AsyncIterator[list[Pod]]:
    async with AsyncExitStack() as stack:
        keys = Keys({name: (new_secret(),) for name in RINGS}, State())
        found = [Pod(f"pod-{number}", tmp_path / f"pod-{number}", redis, keys) for number in (1, 2)]
        for pod in found:
            await pod.run(stack)
        yield found


def read_rings(folder: Path) -> Keys:
    return Keys({name: tuple(json.loads((folder / name).read_text())) for name in RINGS}, State())


async def test_26_nobody_is_logged_out_by_a_rotation_and_no_conversation_is_lost(
    pods: list[Pod], redis: ManagedRedis, tmp_path: Path
) -> None:
    keys, now = read_rings(tmp_path / "pod-1"), datetime(2026, 1, 1, tzinfo=UTC)
    first = keys.rings
    async with aclosing(User(pods)) as user:
        await user.chats()
        for _ in range(3):
            reports = [await pod.report() for pod in pods]
            step = advance(keys, request="a", now=now, reports=reports, new_key=new_secret)
            assert step is not None
            keys, now = step.keys, now + DWELL
            for pod in pods:
                # One has read what the other has not: the user is with both.
                pod.give(keys)
                await pod.has_read(keys)
                await user.chats()
    assert keys.state.phase == "settled"
    assert {name: ring[1:] for name, ring in keys.rings.items()} == first
    # Each session is one hash; the servers' own probe of Redis is none.
    assert [redis.client.type(key) for key in redis.client.scan_iter()].count("hash") == 1
    assert user.turns >= 14
