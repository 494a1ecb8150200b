"""Namespaces of the tests' own: labelled, restricted, deleted afterwards and at the next start."""

import asyncio
import json
import secrets
from dataclasses import dataclass

from harness.kube import Kube, Manifest
from harness.waiting import eventually

PREFIX = "e2e-"
OURS = "app.kubernetes.io/part-of=chatstream-tests"


def build_namespace(name: str) -> Manifest:
    key, value = OURS.split("=")
    labels = {key: value, "pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Makes namespaces and clears them away.

    A namespace that is deleted while its pods still end is looked at again only after half of their longest
    grace period, which is minutes: first the ChatStreams go, then the pods end, then the namespaces go.
    """

    kube: Kube

    async def make(self, topic: str) -> str:
        name = f"{PREFIX}{topic}-{secrets.token_hex(3)}"
        await self.kube("create", "-f", "-", stdin=json.dumps(build_namespace(name)))
        return name

    async def empty(self, name: str) -> None:
        """Ask for the end of all that runs in it, pods of the tests' own included, and do not wait."""
        where = ["-n", name, "--wait=false", "--ignore-not-found"]
        await self.kube("delete", "chatstreams", "--all", *where)
        await self.kube("delete", "pods", "-l", "!chatstream.dev/name", *where)

    async def left(self) -> list[str]:
        found = await self.kube.list("namespaces", "", OURS)
        return sorted(n for n in (item["metadata"]["name"] for item in found) if n.startswith(PREFIX))

    async def pods(self) -> list[str]:
        """What still runs in our namespaces."""
        found = [item["metadata"] for item in await self.kube.list("pods", "")]
        return [f"{m['namespace']}/{m['name']}" for m in found if m["namespace"].startswith(PREFIX)]

    async def clear(self, within: float = 180.0) -> None:
        """Delete what is there of ours, whoever made it, and wait until it is gone."""
        names = await self.left()
        await asyncio.gather(*(self.empty(name) for name in names))
        await eventually(self.pods, lambda pods: not pods, what="the tests' pods have ended", within=within)
        for name in names:
            await self.kube("delete", "namespace", name, "--wait=false", "--ignore-not-found")
        gone = "the tests' namespaces are gone"
        await eventually(self.left, lambda names: not names, what=gone, within=within)
