"""A reconciler on an API server in memory, with a clock that the test turns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from chatstream_operator.kube.cache import ChildCache
from chatstream_operator.kube.kinds import CHATSTREAM, EVENT, WATCHED, Kind
from chatstream_operator.kube.memory import MemoryKube
from chatstream_operator.reconcile import Metrics, Reconciler, Tools
from chatstream_operator.status import PodView, Probe
from tests.operator.samples import KEY, SETTINGS, raw_chatstream

Object = dict[str, Any]


class FakeProber:
    """Says of every pod what the test has set."""

    def __init__(self) -> None:
        self.reachable = True
        self.asked: list[str] = []
        self.silent: set[str] = set()
        self.keys: dict[str, tuple[str, ...]] = {}
        """Fingerprints of each ring in the Secret, as every pod has read it."""

    async def probe(self, pod: PodView) -> Probe:
        self.asked.append(pod.name)
        error = "" if self.reachable else "connection refused"
        return Probe(
            pod=pod.name,
            answered=pod.name not in self.silent,
            store_reachable=self.reachable,
            error=error,
            plain_http=0,
            session_keys=self.keys.get("session-keys", ()),
            encryption_keys=self.keys.get("encryption-keys", ()),
        )


class Bench:
    """sync() is what the watches do: it brings the cache up to date."""

    def __init__(self, kube: MemoryKube | None = None, seconds: float = 0.0) -> None:
        self.kube = kube or MemoryKube()
        self.cache = ChildCache()
        self.prober = FakeProber()
        self.seconds = seconds
        self.registry = CollectorRegistry()
        self.reconciler = Reconciler(
            Tools(
                kube=self.kube,
                cache=self.cache,
                prober=self.prober,
                settings=SETTINGS,
                metrics=Metrics(self.registry),
                instance="operator-0",
                clock=lambda: self.seconds,
                now=lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds),
            )
        )

    def put(self, spec: Object | None = None) -> Object:
        """Creates the ChatStream, or changes its spec."""
        known = self.kube.objects.get((CHATSTREAM, KEY.namespace, KEY.name))
        raw = raw_chatstream(spec)
        return self.kube.put({**(known or raw), "spec": raw["spec"]})

    def annotate(self, **annotations: str) -> Object:
        """As `kubectl annotate`; a name in Python's writing stands for chatstream.dev/name."""
        raw = self.kube.objects[CHATSTREAM, KEY.namespace, KEY.name]
        told = {f"chatstream.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
        return self.kube.put({**raw, "metadata": {**raw["metadata"], "annotations": told}})

    def sync(self) -> None:
        for kind in WATCHED:
            found = [obj for place, obj in self.kube.objects.items() if place[0] == kind]
            self.cache.replace(kind, [obj for obj in found if obj["metadata"].get("labels")])

    async def reconcile(self) -> float | None:
        """As the queue does after the watches have heard everything."""
        self.sync()
        self.kube.requests.clear()
        return await self.reconciler.reconcile(KEY)

    async def settle(self) -> float | None:
        """Until nothing more is written. What the last one wants to wait for."""
        for _ in range(6):
            again = await self.reconcile()
            if not self.kube.writes():
                return again
        raise AssertionError(f"never settles: {self.kube.writes()}")

    def get(self, kind: Kind, name: str) -> Object:
        return self.kube.objects[kind, KEY.namespace, name]

    def names(self, kind: Kind) -> list[str]:
        return sorted(place[2] for place in self.kube.objects if place[0] == kind)

    def status(self) -> Object:
        status: Object = self.get(CHATSTREAM, KEY.name)["status"]
        return status

    def condition(self, name: str) -> Object:
        return next(one for one in self.status()["conditions"] if one["type"] == name)

    def events(self) -> list[tuple[str, str]]:
        found = [obj for place, obj in self.kube.objects.items() if place[0] == EVENT]
        return [(one["type"], one["reason"]) for one in sorted(found, key=lambda one: one["eventTime"])]
