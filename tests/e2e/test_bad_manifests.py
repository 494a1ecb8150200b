"""Bad manifests are refused with a message that names the field and the remedy."""

import json

import pytest

from harness.cluster import Cluster
from harness.kube import Manifest
from harness.manifests import Spec, build_chatstream, merged
from harness.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

# What is wrong, then what the message must name: the field, and what to do.
BAD: dict[str, tuple[Spec, list[str]]] = {
    "wrong-type": ({"replicas": "two"}, ["spec.replicas", "must be of type integer"]),
    "unknown-value": ({"engine": {"type": "vLLM"}}, ["spec.engine.type", '"TGI", "Demo"']),
    "out-of-bounds": (
        {"concurrency": {"maxConcurrent": 0}},
        ["spec.concurrency.maxConcurrent", "should be greater than or equal to 1"],
    ),
    "missing-field": ({"model": {"id": None}}, ["spec.model.id", "Required value"]),
    "no-duration": ({"drain": {"timeout": "soon"}}, ["spec.drain.timeout", "from 1s to 1h, such as 300s"]),
    "no-model-for-tgi": (
        {"model": None, "engine": {"type": "TGI"}},
        ["spec.model", "name a model", "set spec.engine.type to Demo"],
    ),
    "fields-at-odds": (
        {"replicas": 2, "sessions": {"store": "Memory"}},
        ["spec.replicas", "set spec.replicas to 1, or spec.sessions.store to Redis"],
    ),
    "cookie-that-browsers-drop": (
        {"sessions": {"cookie": {"sameSite": "None", "secure": False}}},
        [
            "spec.sessions.cookie",
            "set spec.sessions.cookie.secure to true, or spec.sessions.cookie.sameSite to Lax",
        ],
    ),
}


def build_bad(namespace: str, changes: Spec) -> Manifest:
    good = build_chatstream(namespace, "bad")
    return {**good, "spec": without_nulls(merged(good["spec"], changes))}


def without_nulls(spec: Spec) -> Spec:
    """Null in a change means that the field is left out."""
    kept = {key: value for key, value in spec.items() if value is not None}
    return {key: without_nulls(value) if isinstance(value, dict) else value for key, value in kept.items()}


@pytest.mark.parametrize("validation", ["true", "false"])
@pytest.mark.parametrize("kind", sorted(BAD))
async def test_a_bad_manifest_is_refused_with_field_and_remedy(
    cluster: Cluster, namespace: str, kind: str, validation: str
) -> None:
    changes, words = BAD[kind]
    manifest = json.dumps(build_bad(namespace, changes))
    outcome = await cluster.kube.run("apply", f"--validate={validation}", "-f", "-", stdin=manifest)
    assert outcome.code != 0, outcome.stdout
    assert [word for word in words if word not in outcome.stderr] == [], outcome.stderr
    assert await cluster.kube.list("chatstreams", namespace) == []


async def test_a_misspelt_field_is_refused_by_name(cluster: Cluster, namespace: str) -> None:
    manifest = json.dumps(build_bad(namespace, {"concurrency": {"maxConcurent": 3}}))
    outcome = await cluster.kube.run("apply", "-f", "-", stdin=manifest)
    assert outcome.code != 0
    assert 'unknown field "spec.concurrency.maxConcurent"' in outcome.stderr


async def test_what_only_the_operator_can_know_is_said_in_the_status(
    cluster: Cluster, namespace: str
) -> None:
    env = [{"name": "QUANTISE", "value": "awq"}]
    engine = {"env": env}
    [chat] = await cluster.create(build_chatstream(namespace, "unknown-env", engine=engine))

    async def condition() -> dict[str, str]:
        return await chat.condition("Ready")

    seen = await eventually(condition, lambda c: c.get("status") == "False", what="not Ready", within=30)
    assert seen["reason"] == "InvalidSpec"
    assert "QUANTISE" in seen["message"]
    assert "spec.engine.env" in seen["message"]
    assert await chat.pods() == []
    await chat.drop()
