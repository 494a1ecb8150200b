"""Reconcile: level-triggered and idempotent. What is there is made to be what is wanted, and is reported."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from chatstream_operator.errors import (
    ApplyFailed,
    Internal,
    InvalidSpec,
    KubeError,
    NameTaken,
    NotFound,
    OperatorError,
    Refused,
)
from chatstream_operator.kube import ChildCache, Kube, Object
from chatstream_operator.kube.kinds import CHATSTREAM, DEPLOYMENT, POD, STATEFULSET
from chatstream_operator.manifests import (
    Manifest,
    Plan,
    build_children,
    build_keys_secret,
    build_redis_secret,
    names,
)
from chatstream_operator.reconcile.apply import Applier, Problems
from chatstream_operator.reconcile.events import EventGate, News, build_event, news_of, ready_of
from chatstream_operator.reconcile.metrics import Metrics
from chatstream_operator.reconcile.probes import AGAIN_SECONDS, ProbeBook, Prober
from chatstream_operator.reconcile.rotator import KeyRotator, Progress
from chatstream_operator.reconcile.secrets import SecretKeeper, checksum
from chatstream_operator.settings import OperatorSettings
from chatstream_operator.spec import ChatStream, Key, parse_chatstream
from chatstream_operator.status import (
    Observation,
    build_invalid_status,
    build_status,
    build_status_patch,
    read_deployment,
    read_pod,
    read_redis_ready,
)

log = structlog.get_logger(__name__)
MISSING_SECONDS = 10.0
"""The user's Secrets are not watched: look again after this time while one is missing."""


@dataclass(frozen=True, slots=True)
class _Applied:
    """What came of applying the children. rotation: of the keys, None where it did not come to that."""

    problems: Problems
    rotation: Progress | None = None


@dataclass(frozen=True, slots=True)
class Tools:
    """All that the reconciler works with."""

    kube: Kube
    cache: ChildCache
    prober: Prober
    settings: OperatorSettings
    metrics: Metrics
    instance: str
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Reconciler:
    """reconcile() may run for many keys at once, but never twice for one: the queue sees to it."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._kube = tools.kube
        self._applier = Applier(tools.kube, tools.cache)
        self._secrets = SecretKeeper(tools.kube, tools.cache)
        self._rotator = KeyRotator(tools.kube, tools.cache, tools.prober, tools.now)
        self._probes = ProbeBook(tools.prober, every=tools.settings.resync_seconds, clock=tools.clock)
        self._gate = EventGate(tools.clock)

    async def reconcile(self, key: Key) -> float | None:
        """Seconds after which it wants to be called again, None where a change will call it.

        Raises OperatorError where it has to be tried again.
        """
        raw = await self._find(key)
        if raw is None:
            self.forget(key)
            return None
        try:
            chatstream = parse_chatstream(raw)
        except InvalidSpec as error:
            await self._report(raw, build_invalid_status(raw, str(error), now=self._time()))
            return None
        return await self._reconcile(raw, chatstream)

    def forget(self, key: Key) -> None:
        """Of a resource that is gone, nothing is remembered."""
        self._probes.forget(key)
        self._gate.forget(key)
        self._tools.metrics.forget(key)

    async def _find(self, key: Key) -> Object | None:
        try:
            raw = await self._kube.get(CHATSTREAM, key.namespace, key.name)
        except NotFound:
            return None
        # Of one that is being deleted, the garbage collector takes the children.
        return None if "deletionTimestamp" in raw["metadata"] else raw

    async def _reconcile(self, raw: Object, chatstream: ChatStream) -> float | None:
        applied = await self._apply(raw, chatstream)
        seen = await self._observe(chatstream, applied)
        status = build_status(
            chatstream,
            seen,
            before=raw.get("status") or {},
            now=self._time(),
            image=self._plan(chatstream, "", "").engine_image,
            selector=names.selector_text(chatstream),
        )
        await self._report(raw, status)
        if applied.problems:
            raise applied.problems[0]
        return self._pause(chatstream, seen, applied.rotation)

    async def _apply(self, raw: Object, chatstream: ChatStream) -> _Applied:
        try:
            rotation = await self._rotate(raw, chatstream)
            wanted, plan = await self._secrets_of(chatstream, rotation.secret)
        except NameTaken as error:
            return _Applied([error])
        except (Refused, Internal) as error:
            return _Applied([ApplyFailed(f"a Secret was refused: {error}")])
        children = build_children(plan)
        problems = await self._applier.apply_all(chatstream, children)
        # What could not be applied may still need what is no longer wanted: the old pods their Redis.
        problems = problems or await self._applier.prune(chatstream, [*wanted, *children])
        return _Applied(problems, rotation)

    async def _rotate(self, raw: Object, chatstream: ChatStream) -> Progress:
        """The Secret of the keys: made if it has to be, and a step of a rotation further."""
        keys = await self._secrets.ensure(chatstream, build_keys_secret)
        rotation = await self._rotator.advance(chatstream, keys)
        if rotation.news:
            await self._announce(raw, chatstream.key, rotation.news)
        return rotation

    async def _secrets_of(self, chatstream: ChatStream, keys: Object) -> tuple[list[Manifest], Plan]:
        """Our Secrets as they are, and the plan that follows from them."""
        # Servers follow the rings by themselves: to change those rolls no pod.
        digest = checksum(keys, without=names.RINGS)
        if chatstream.session_store != "managed":
            return [keys], self._plan(chatstream, digest, "")
        redis = await self._secrets.ensure(chatstream, build_redis_secret)
        return [keys, redis], self._plan(chatstream, digest, checksum(redis))

    def _plan(self, chatstream: ChatStream, keys: str, redis: str) -> Plan:
        return Plan(
            chatstream=chatstream, settings=self._tools.settings, keys_checksum=keys, redis_checksum=redis
        )

    async def _observe(self, chatstream: ChatStream, applied: _Applied) -> Observation:
        cache = self._tools.cache
        owner = (chatstream.namespace, chatstream.name)
        pods = cache.of(POD, owner)
        server = tuple(read_pod(raw) for raw in pods if _component(raw) == "server")
        redis_ready = read_redis_ready(cache.get(STATEFULSET, owner, names.redis_name(chatstream)))
        probes = await self._probes.ask(chatstream.key, server, redis_ready=redis_ready)
        return Observation(
            deployment=read_deployment(cache.get(DEPLOYMENT, owner, chatstream.name)),
            pods=server,
            redis_ready=redis_ready,
            redis_pods=tuple(read_pod(raw) for raw in pods if _component(raw) == "redis"),
            probes=probes,
            store_away_seconds=self._probes.bad_seconds(chatstream.key),
            missing_secrets=await self._secrets.find_missing(chatstream),
            problems=tuple((problem.reason, str(problem)) for problem in applied.problems),
            rotation=applied.rotation.waits if applied.rotation else "",
            keys_problem=applied.rotation.problem if applied.rotation else "",
        )

    async def _report(self, raw: Object, status: Mapping[str, Any]) -> None:
        """Writes the status where it changed, and tells of it."""
        key = Key(raw["metadata"]["namespace"], raw["metadata"]["name"])
        true = frozenset(one["type"] for one in status["conditions"] if one["status"] == "True")
        self._tools.metrics.observe_conditions(key, true)
        before = raw.get("status") or {}
        if before == status:
            return
        try:
            await self._kube.apply_status(build_status_patch(key, status))
        except NotFound:
            return
        await self._tell(raw, key, ready_of(before), ready_of(status))

    async def _tell(
        self, raw: Object, key: Key, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
    ) -> None:
        if after is not None and self._gate.admits(key, before, after):
            await self._announce(raw, key, news_of(before, after))

    async def _announce(self, raw: Object, key: Key, news: News) -> None:
        now = self._tools.now().isoformat(timespec="microseconds").replace("+00:00", "Z")
        try:
            await self._kube.create(build_event(raw, news, now=now, instance=self._tools.instance))
        except KubeError as error:
            # An event is a courtesy: the status says the same, and stays.
            log.warning("event_failed", name=key.name, namespace=key.namespace, error=str(error))

    def _pause(self, chatstream: ChatStream, seen: Observation, rotation: Progress | None) -> float | None:
        pauses = [
            rotation.again if rotation else None,
            MISSING_SECONDS if seen.missing_secrets else None,
            AGAIN_SECONDS if self._probes.is_bad(chatstream.key) else None,
        ]
        return min((pause for pause in pauses if pause is not None), default=None)

    def _time(self) -> str:
        return self._tools.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def _component(raw: Object) -> str:
    labels: Mapping[str, str] = raw["metadata"].get("labels") or {}
    return labels.get("app.kubernetes.io/component", "")


def reason_of(error: Exception) -> str:
    """The metric's label."""
    return error.reason if isinstance(error, OperatorError) else type(error).__name__
