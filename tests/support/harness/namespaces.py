"""Namespaces of the tests' own: labelled, restricted, deleted afterwards and at the next start."""

import json
import secrets
from dataclasses import dataclass, field

from harness.kube import Kube, Manifest
from harness.waiting import eventually

PREFIX = "e2e-"
OURS = "app.kubernetes.io/part-of=chatstream-tests"


def build_namespace(name: str) -> Manifest:
    key, value = OURS.split("=")
    labels = {key: value, "pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


@dataclass(slots=True)
class Namespaces:
    """Makes namespaces and knows which of them are still to be deleted."""

    kube: Kube
    made: set[str] = field(default_factory=set)

    async def make(self, topic: str) -> str:
        name = f"{PREFIX}{topic}-{secrets.token_hex(3)}"
        await self.kube("create", "-f", "-", stdin=json.dumps(build_namespace(name)))
        self.made.add(name)
        return name

    async def drop(self, name: str) -> None:
        """Ask for the deletion; `gone` waits for it."""
        self.made.discard(name)
        await self.kube("delete", "namespace", name, "--wait=false", "--ignore-not-found")

    async def left(self) -> list[str]:
        found = await self.kube.list("namespaces", "", OURS)
        return sorted(n for n in (item["metadata"]["name"] for item in found) if n.startswith(PREFIX))

    async def clear(self, within: float = 120.0) -> None:
        """Delete what is there of ours, whoever made it, and wait until it is gone."""
        for name in await self.left():
            await self.drop(name)
        await eventually(
            self.left, lambda names: not names, what="the tests' namespaces are gone", within=within
        )
