"""A ChatStream on the real cluster, as its user and as its engine see it."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from harness.exposition import Samples
from harness.kube import Kube, Manifest
from harness.waiting import eventually

READY_WITHIN = 150.0  # seconds for a ChatStream with its Redis, on two busy cores
PROBE_LIMIT = aiohttp.ClientTimeout(total=5)


@dataclass(frozen=True, slots=True)
class EngineStats:
    """The engine's own count of its generations."""

    running: int
    running_max: int
    waiting: int
    dropped: int
    requests: int


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod as its status tells it."""

    name: str
    uid: str
    ip: str
    ready: bool
    leaving: bool
    restarts: int

    @classmethod
    def parse(cls, manifest: Manifest) -> "Pod":
        meta, status = manifest["metadata"], manifest.get("status", {})
        conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
        ready, leaving = conditions.get("Ready") == "True", "deletionTimestamp" in meta
        kinds = ("initContainerStatuses", "containerStatuses")
        restarts = sum(one["restartCount"] for kind in kinds for one in status.get(kind, []))
        return cls(meta["name"], meta["uid"], status.get("podIP", ""), ready, leaving, restarts)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster and a plain HTTP session to look into its pods."""

    kube: Kube
    http: aiohttp.ClientSession
    engine_keys: dict[tuple[str, str], str] = field(default_factory=dict)

    async def create(self, *manifests: Manifest) -> list["Chat"]:
        """Apply ChatStreams together; they start side by side."""
        await self.kube.apply(*manifests)
        return [Chat(self, m["metadata"]["namespace"], m["metadata"]["name"]) for m in manifests]

    async def text(self, url: str, headers: dict[str, str] | None = None) -> str:
        async with self.http.get(url, headers=headers, timeout=PROBE_LIMIT) as response:
            response.raise_for_status()
            return await response.text()


@dataclass(frozen=True, slots=True)
class Chat:
    """One ChatStream."""

    cluster: Cluster
    namespace: str
    name: str

    async def resource(self) -> Manifest:
        return await self.cluster.kube.get("chatstream", self.name, self.namespace)

    async def condition(self, kind: str) -> dict[str, Any]:
        """The condition of this type; {} while there is none."""
        conditions = (await self.resource()).get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == kind), {})

    async def ready(self, within: float = READY_WITHIN) -> "Chat":
        """Wait as a user does; on failure the conditions say why."""
        kube = self.cluster.kube
        wait = ["wait", "--for=condition=Ready", f"chatstream/{self.name}", "-n", self.namespace]
        outcome = await kube.run(*wait, f"--timeout={within:g}s", limit=within + 10)
        status = json.dumps((await self.resource()).get("status"), indent=1) if outcome.code else ""
        assert outcome.code == 0, f"{self.name} is not Ready: {outcome.stderr}{status}"
        await self._reachable()
        return self

    async def _reachable(self) -> None:
        """kube-proxy writes its rules a moment after the pods are ready, at most once a second."""
        url = await self.url()

        async def answers() -> bool:
            try:
                await self.cluster.text(f"{url}/healthz")
            except OSError:
                return False
            return True

        await eventually(answers, bool, what=f"{url} answers", within=10)

    async def pods(self, component: str = "server") -> list[Pod]:
        """Its pods in the order of their names, those that leave included."""
        selector = f"chatstream.dev/name={self.name},app.kubernetes.io/component={component}"
        found = await self.cluster.kube.list("pods", self.namespace, selector)
        return sorted((Pod.parse(item) for item in found), key=lambda pod: pod.name)

    async def pod(self) -> Pod:
        """The pod of a ChatStream that has one."""
        [pod] = await self.pods()
        return pod

    async def address(self) -> str:
        """The Service's address, which this machine reaches."""
        service = await self.cluster.kube.get("service", self.name, self.namespace)
        return str(service["spec"]["clusterIP"])

    async def url(self) -> str:
        return f"http://{await self.address()}"

    async def settled(self, within: float = 30.0) -> None:
        """Wait until it is Ready for its spec of now."""

        def done(resource: Manifest) -> bool:
            status = resource["status"]
            [ready] = [c for c in status["conditions"] if c["type"] == "Ready"]
            seen = status["observedGeneration"] == resource["metadata"]["generation"]
            return bool(seen and ready["status"] == "True")

        await eventually(self.resource, done, what="Ready for the changed spec", within=within)

    async def becomes(self, kind: str, status: str, reason: str, within: float) -> str:
        """Wait until the condition of this type has this status and reason; its message."""

        async def probe() -> dict[str, Any]:
            return await self.condition(kind)

        def holds(seen: dict[str, Any]) -> bool:
            return (seen.get("status"), seen.get("reason")) == (status, reason)

        seen = await eventually(probe, holds, what=f"{kind} is {status}, {reason}", within=within, every=0.5)
        return str(seen["message"])

    async def secret(self, name: str) -> dict[str, str]:
        """A Secret's values in plain."""
        found = await self.cluster.kube.get("secret", f"{self.name}-{name}", self.namespace)
        return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}

    async def engine(self, pod: Pod) -> EngineStats:
        headers = {"Authorization": f"Bearer {await self._engine_key()}"}
        stats = json.loads(await self.cluster.text(f"http://{pod.ip}:3000/_demo/stats", headers))
        return EngineStats(**{name: int(stats[name]) for name in EngineStats.__slots__})

    async def _engine_key(self) -> str:
        known = self.cluster.engine_keys
        if (self.namespace, self.name) not in known:
            known[self.namespace, self.name] = (await self.secret("keys"))["engine-api-key"]
        return known[self.namespace, self.name]

    async def metrics(self, pod: Pod) -> Samples:
        return Samples.parse(await self.cluster.text(f"http://{pod.ip}:9090/metrics"))

    async def load(self, pod: Pod) -> dict[str, int]:
        """The one worker of GET /get_load."""
        [worker] = json.loads(await self.cluster.text(f"http://{pod.ip}:8080/get_load"))["workers"]
        return dict(worker)

    async def serving(self) -> list[str]:
        """The addresses that the Service sends new requests to, from its EndpointSlices."""
        selector = f"kubernetes.io/service-name={self.name}"
        slices = await self.cluster.kube.list("endpointslices", self.namespace, selector)
        ends = [end for one in slices for end in one.get("endpoints") or []]
        return sorted(a for end in ends if end["conditions"].get("ready") for a in end["addresses"])

    async def drop(self) -> None:
        await self.cluster.kube.delete("chatstream", self.name, self.namespace)

    async def idle(self, pod: Pod, within: float = 10.0) -> EngineStats:
        """Wait until the engine runs nothing."""

        async def probe() -> EngineStats:
            return await self.engine(pod)

        return await eventually(
            probe, lambda s: s.running == 0, what="the engine is idle", within=within, every=0.05
        )
