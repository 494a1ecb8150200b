"""The watches of the children: they fill the cache, say whom to reconcile, and miss nothing."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from chatstream_operator.errors import Gone, KubeError, Refused, Unavailable
from chatstream_operator.handlers.pulse import Pulse
from chatstream_operator.handlers.resync import Resync
from chatstream_operator.handlers.watches import ChildWatch
from chatstream_operator.kube.cache import ChildCache
from chatstream_operator.kube.kinds import CHATSTREAM, SERVICE, Kind
from chatstream_operator.kube.memory import MemoryKube
from chatstream_operator.kube.protocol import WatchEvent
from chatstream_operator.spec import Key
from tests.operator.samples import children, raw_chatstream
from tests.operator.waiting import until
from tests.server.support.virtual import now, run_virtual

OWNER = ("team", "demo")


class Scene:
    """One watch on an API server in memory."""

    def __init__(self) -> None:
        self.kube = MemoryKube()
        self.cache = ChildCache()
        self.changed: list[tuple[str, str]] = []
        self.pulse = Pulse(["services"], limit=60, clock=lambda: 0.0)
        self.watch = ChildWatch(SERVICE, self.kube, self.cache, self.pulse, self.changed.append)

    def put(self, name: str) -> dict[str, Any]:
        service = children()["Service/demo"]
        return self.kube.put({**service, "metadata": {**service["metadata"], "name": name}})

    async def until(self, condition: Callable[[], bool]) -> None:
        await until(condition, meanwhile=self.kube.nudge)

    def knows(self, name: str) -> bool:
        return self.cache.get(SERVICE, OWNER, name) is not None


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    one = Scene()
    one.put("first")
    task = asyncio.create_task(one.watch.run())
    yield one
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_is_there_is_listed_and_told(scene: Scene) -> None:
    await scene.until(lambda: scene.knows("first"))
    assert scene.changed == [OWNER]
    assert scene.pulse.is_ready()


async def test_what_comes_changes_and_goes_is_told(scene: Scene) -> None:
    await scene.until(lambda: scene.knows("first"))
    scene.put("second")
    await scene.until(lambda: scene.knows("second"))
    scene.kube.remove(SERVICE, "team", "first")
    await scene.until(lambda: not scene.knows("first"))
    assert len(scene.changed) == 3


async def test_a_child_whose_owners_label_was_changed_is_told_to_its_owner(scene: Scene) -> None:
    await scene.until(lambda: scene.knows("first"))
    changed = copy.deepcopy(scene.kube.objects[SERVICE, "team", "first"])
    changed["metadata"]["labels"]["chatstream.dev/name"] = "other"
    scene.kube.put(changed)
    await scene.until(lambda: not scene.knows("first"))
    assert scene.changed.count(OWNER) == 2


async def test_only_our_own_objects_are_asked_for(scene: Scene) -> None:
    meta = {"name": "theirs", "namespace": "team", "labels": {"chatstream.dev/name": "demo"}}
    scene.kube.put({"apiVersion": "v1", "kind": "Service", "metadata": meta})
    scene.put("second")
    await scene.until(lambda: scene.knows("second"))
    assert not scene.knows("theirs")


@pytest.mark.parametrize("error", [Gone("too old"), Unavailable("connection lost")])
async def test_a_lost_watch_lists_anew_and_tells_what_vanished_meanwhile(
    scene: Scene, error: Gone | Unavailable
) -> None:
    await scene.until(lambda: scene.knows("first"))
    scene.kube.fail("watch", SERVICE, error)
    await scene.until(lambda: scene.kube.requests.count(("list", "Service", "")) == 2)
    scene.kube.remove(SERVICE, "team", "first")
    await scene.until(lambda: not scene.knows("first"))
    assert scene.changed.count(OWNER) >= 2


class EndingKube(MemoryKube):
    """Ends every watch at once, or says that it is too old."""

    def __init__(self, error: KubeError | None) -> None:
        super().__init__()
        self._error = error

    async def watch(
        self, kind: Kind, *, resource_version: str, selector: str | None = None
    ) -> AsyncIterator[WatchEvent]:
        self.requests.append(("watch", kind.kind, ""))
        if self._error:
            raise self._error
        nothing: tuple[WatchEvent, ...] = ()
        for event in nothing:
            yield event


@pytest.mark.parametrize(
    ("error", "at_most"),
    [
        (None, 15),
        (Gone("too old"), 15),
        (Unavailable("away", status=503), 15),
        (Unavailable("slow down", status=429, retry_after=20), 4),
    ],
)
def test_an_api_server_that_ends_every_watch_at_once_is_not_flooded(
    error: KubeError | None, at_most: int
) -> None:
    kube = EndingKube(error)
    pulse = Pulse(["services"], limit=60, clock=lambda: 0.0)
    watch = ChildWatch(SERVICE, kube, ChildCache(), pulse, lambda _: None)

    async def a_minute() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(watch.run(), 60)

    run_virtual(a_minute())
    assert 3 <= kube.requests.count(("watch", "Service", "")) <= at_most


@pytest.mark.parametrize(
    ("error", "alive"),
    [(Unavailable("connection refused"), True), (Refused("who are you", status=401), False)],
)
def test_an_api_server_that_is_away_is_no_fault_of_ours(error: KubeError, alive: bool) -> None:
    kube = MemoryKube()
    kube.fail("list", SERVICE, *[error] * 1000)

    async def many_minutes() -> Pulse:
        pulse = Pulse(["services"], limit=60, clock=now)
        watch = ChildWatch(SERVICE, kube, ChildCache(), pulse, lambda _: None)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(watch.run(), 600)
        assert not pulse.is_ready()
        assert (pulse.problems() == []) is alive
        return pulse

    run_virtual(many_minutes())


async def test_a_list_that_fails_is_tried_again() -> None:
    scene = Scene()
    scene.put("first")
    scene.kube.fail("list", SERVICE, Unavailable("503"))
    task = asyncio.create_task(scene.watch.run())
    await scene.until(lambda: scene.knows("first"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_resync_tells_of_all_and_once_more_of_those_that_vanished() -> None:
    kube, told = MemoryKube(), list[Key]()
    pulse = Pulse(["chatstreams"], limit=60, clock=lambda: 0.0)
    resync = Resync(kube, pulse, told.append, every=60)
    kube.put(raw_chatstream(name="a"))
    kube.put(raw_chatstream(name="b"))
    await resync.once()
    kube.remove(CHATSTREAM, "team", "a")
    await resync.once()
    await resync.once()
    assert [key.name for key in told] == ["a", "b", "a", "b", "b"]
    assert pulse.is_ready()


async def test_a_resync_survives_an_api_server_that_is_away() -> None:
    kube, told = MemoryKube(), list[Key]()
    kube.put(raw_chatstream())
    kube.fail("list", CHATSTREAM, Unavailable("503"))
    pulse = Pulse(["chatstreams"], limit=60, clock=lambda: 0.0)
    task = asyncio.create_task(Resync(kube, pulse, told.append, every=0.01).run())
    await until(lambda: bool(told))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
