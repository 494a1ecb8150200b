"""Deleting a ChatStream leaves nothing behind, of any kind."""

import pytest

from harness.cluster import Cluster
from harness.fixtures import Browsers
from harness.kube import Kube
from harness.manifests import build_chatstream
from harness.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

# Events tell what was, and end by themselves.
HISTORY = {"events", "events.events.k8s.io"}


async def kinds(kube: Kube) -> str:
    """Every kind of object that a namespace can hold."""
    names = await kube("api-resources", "--namespaced", "--verbs=list", "-o", "name")
    return ",".join(name for name in names.split() if name not in HISTORY)


async def everything(kube: Kube, every_kind: str, namespace: str) -> set[str]:
    """Kind and name of all that is in the namespace, and the volumes that it claims."""
    inside = await kube("get", every_kind, "-n", namespace, "-o", "name", "--ignore-not-found")
    volumes = await kube.list("persistentvolumes", "")
    claims = [volume["spec"].get("claimRef", {}) for volume in volumes]
    claimed = {f"volume of {claim['name']}" for claim in claims if claim.get("namespace") == namespace}
    return set(inside.split()) | claimed


async def test_deleting_a_chatstream_leaves_nothing_behind(
    cluster: Cluster, namespace: str, browsers: Browsers
) -> None:
    every_kind = await kinds(cluster.kube)

    async def now() -> set[str]:
        return await everything(cluster.kube, every_kind, namespace)

    # The account and the authority that every namespace gets are made a moment after it.
    given = {"serviceaccount/default", "configmap/kube-root-ca.crt"}
    await eventually(now, lambda seen: seen == given, what="a fresh namespace", within=20)
    [chat] = await cluster.create(build_chatstream(namespace, "shortlived", replicas=2))
    await chat.ready()
    assert await browsers(await chat.url()).reply("[[tokens=2]]") == "tok1 tok2 "
    made = {name.partition("/")[0] for name in await now() - given}
    needed = {"deployment.apps", "statefulset.apps", "service", "secret", "persistentvolumeclaim", "pod"}
    assert needed | {"networkpolicy.networking.k8s.io"} <= made, made
    assert any(name.startswith("volume of ") for name in made)
    await chat.drop()
    await eventually(now, lambda seen: seen == given, what="nothing is left", within=120, every=1)
