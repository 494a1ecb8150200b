"""What the API server refuses, with and without kubectl's own validation; and what it fills in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastersession.csrf import OriginCheck
from tests.cluster.kubectl import Kubectl, Result, chatstream

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
REF = {"name": "a", "key": "b"}
ORIGINS = ["https://www.example.com", "http://localhost:3000", "http://10.0.0.1", "chrome-extension://abc"]
NO_ORIGINS = [
    "*",
    "null",
    "https://a.example.com/",
    "https://A.example.com",
    "a.example.com",
    "http://[::1]:80",
]


def admit(kubectl: Kubectl, obj: dict[str, Any], validate: str = "true") -> Result:
    argv = ("apply", "--dry-run=server", f"--validate={validate}", "-f", "-")
    return kubectl.run(*argv, stdin=json.dumps(obj))


# What breaks a rule: the spec, the field that is named, and the remedy that is told.
BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "tgi without a model": ({"engine": {"type": "TGI"}}, "spec.model", "name a model"),
    "a prompt that fills all": (
        {"engine": {"type": "Demo", "maxInputTokens": 9000}},
        "spec.engine.maxInputTokens",
        "raise spec.engine.maxTotalTokens",
    ),
    "a reply that fills all": (
        {"engine": {"type": "Demo", "maxTotalTokens": 1024, "maxInputTokens": 512}},
        "spec.chat.maxNewTokens",
        "lower spec.chat.maxNewTokens",
    ),
    "memory for many pods": (
        {"replicas": 2, "sessions": {"store": "Memory"}},
        "spec.replicas",
        "spec.sessions.store to Redis",
    ),
    "redis for sessions in memory": (
        {"sessions": {"store": "Memory", "redis": {}}},
        "spec.sessions.redis",
        "set spec.sessions.store to Redis",
    ),
    "two kinds of redis": (
        {"sessions": {"redis": {"urlSecretRef": REF, "storageSize": "1Gi"}}},
        "spec.sessions.redis",
        "remove storageSize",
    ),
    "no duration": ({"concurrency": {"queueTimeout": "30x"}}, "spec.concurrency.queueTimeout", "such as 30s"),
    "a duration too long": ({"drain": {"timeout": "2h"}}, "spec.drain.timeout", "from 1s to 1h"),
    "a duration too short": ({"sessions": {"idleTimeout": "5s"}}, "spec.sessions.idleTimeout", "from 1m"),
    "a duration that overflows": (
        {"concurrency": {"queueTimeout": "999999h999h"}},
        "spec.concurrency.queueTimeout",
        "from 1s to 1h",
    ),
    "no quantity": (
        {"sessions": {"redis": {"storageSize": "lots"}}},
        "spec.sessions.redis.storageSize",
        "such as 1Gi",
    ),
    "nothing of a volume": (
        {"model": {"id": "x", "cache": {"size": "0"}}},
        "spec.model.cache.size",
        "above zero",
    ),
    "two turns at once": (
        {"concurrency": {"maxPerSession": 2}},
        "spec.concurrency.maxPerSession",
        "less than or equal to 1",
    ),
    "a cookie that browsers drop": (
        {"sessions": {"cookie": {"secure": False, "sameSite": "None"}}},
        "spec.sessions.cookie.sameSite",
        "set spec.sessions.cookie.secure to true",
    ),
    "a partitioned cookie that browsers drop": (
        {"sessions": {"cookie": {"secure": False, "partitioned": True}}},
        "spec.sessions.cookie.partitioned",
        "set spec.sessions.cookie.secure to true",
    ),
    "an authority of no redis": (
        {"sessions": {"redis": {"caSecretRef": REF}}},
        "spec.sessions.redis.caSecretRef",
        "add spec.sessions.redis.urlSecretRef",
    ),
    **{
        f"no origin: {origin}": (
            {"sessions": {"allowedOrigins": ["https://fine.example.com", origin]}},
            "spec.sessions.allowedOrigins[1]",
            "such as https://www.example.com",
        )
        for origin in NO_ORIGINS
    },
    "an origin twice": (
        {"sessions": {"allowedOrigins": ["https://a.example.com", "https://a.example.com"]}},
        "spec.sessions.allowedOrigins[1]",
        "Duplicate value",
    ),
    "too many gpus": (
        {"engine": {"type": "Demo", "gpu": {"count": 17}}},
        "spec.engine.gpu.count",
        "equal to 16",
    ),
    "no resource": (
        {"engine": {"type": "Demo", "gpu": {"resourceName": "gpu"}}},
        "spec.engine.gpu.resourceName",
        "such as nvidia.com/gpu",
    ),
    "an unknown engine": (
        {"engine": {"type": "Demoo"}},
        "spec.engine.type",
        'supported values: "TGI", "Demo"',
    ),
    "no number": ({"replicas": "two"}, "spec.replicas", "integer"),
    "two values for one name": (
        {"engine": {"type": "Demo", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}},
        "spec.engine.env[1]",
        "Duplicate value",
    ),
}


@pytest.mark.parametrize("validate", ["true", "false"])
@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_refused_with_the_field_and_the_remedy(
    kubectl: Kubectl, name: str, validate: str
) -> None:
    spec, field, remedy = BAD[name]
    result = admit(kubectl, chatstream("bad", "default", **spec), validate)
    assert result.status != 0
    assert field in result.err
    assert remedy in result.err


@pytest.mark.parametrize("validate", ["true", "false"])
@pytest.mark.parametrize(
    ("name", "remedy"),
    [("n" * 41, "choose a shorter name"), ("a.b", "use lower-case letters"), ("1a", "begin with a letter")],
)
def test_a_name_that_its_parts_cannot_bear_is_refused(
    kubectl: Kubectl, name: str, remedy: str, validate: str
) -> None:
    result = admit(kubectl, chatstream(name, "default"), validate)
    assert result.status != 0
    assert "metadata.name" in result.err
    assert remedy in result.err


def test_a_name_of_forty_characters_is_fine(kubectl: Kubectl) -> None:
    assert admit(kubectl, chatstream("n" * 40, "default")).status == 0


def test_an_unknown_field_is_named(kubectl: Kubectl) -> None:
    result = admit(kubectl, chatstream("bad", "default", replica=2))
    assert result.status != 0
    assert 'unknown field "spec.replica"' in result.err


def test_the_spec_may_not_be_missing(kubectl: Kubectl) -> None:
    bare = chatstream("bad", "default")
    del bare["spec"]
    result = admit(kubectl, bare)
    assert result.status != 0
    assert "spec: Required value" in result.err


def test_origins_that_servers_take_are_admitted(kubectl: Kubectl) -> None:
    OriginCheck(ORIGINS)
    assert admit(kubectl, chatstream("fine", "default", sessions={"allowedOrigins": ORIGINS})).err == ""


@pytest.mark.parametrize("path", ["chatstream-demo.yaml", "chatstream-tgi.yaml", "chatstream-own-redis.yaml"])
def test_the_examples_are_admitted(kubectl: Kubectl, path: str) -> None:
    assert admit(kubectl, yaml.safe_load((EXAMPLES / path).read_text())).status == 0


def test_the_least_resource_is_filled_in(kubectl: Kubectl) -> None:
    argv = ("create", "--dry-run=server", "-o", "json", "-f", "-")
    made = json.loads(kubectl.must(*argv, stdin=json.dumps(chatstream("least", "default"))))
    assert made["spec"] == {
        "replicas": 1,
        "engine": {
            "type": "Demo",
            "gpu": {"resourceName": "nvidia.com/gpu"},
            "maxInputTokens": 4096,
            "maxTotalTokens": 8192,
        },
        "concurrency": {"maxConcurrent": 16, "maxQueued": 64, "queueTimeout": "30s", "maxPerSession": 1},
        "sessions": {
            "store": "Redis",
            "idleTimeout": "24h",
            "encrypt": False,
            "cookie": {"secure": True, "sameSite": "Lax", "partitioned": False},
            "retain": False,
        },
        "chat": {"maxTurns": 50, "maxNewTokens": 1024},
        "drain": {"timeout": "300s"},
    }


# What may not change: before, after, and what is told. None: it may.
MANAGED = {"storageSize": "1Gi", "storageClassName": "a"}
CACHE = {"size": "2Gi", "storageClassName": "a"}
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any], str | None]] = {
    "a volume's size": ({}, {"sessions": {"redis": {"storageSize": "2Gi"}}}, "keep the old value"),
    "a volume's class": (
        {"sessions": {"redis": MANAGED}},
        {"sessions": {"redis": {**MANAGED, "storageClassName": "b"}}},
        "keep the old value",
    ),
    "a volume's class taken away": (
        {"sessions": {"redis": MANAGED}},
        {"sessions": {"redis": {"storageSize": "1Gi"}}},
        "keep the old value",
    ),
    "the default size, written out": ({}, {"sessions": {"redis": {"storageSize": "1Gi"}}}, None),
    "encryption, later": ({}, {"sessions": {"encrypt": True}}, "make a new ChatStream"),
    "encryption, no longer": ({"sessions": {"encrypt": True}}, {}, "make a new ChatStream"),
    "encryption, as it is": (
        {"sessions": {"encrypt": True}},
        {"sessions": {"encrypt": True, "idleTimeout": "2h"}},
        None,
    ),
    "to a redis of one's own": ({}, {"sessions": {"redis": {"urlSecretRef": REF}}}, None),
    "to memory": ({"sessions": {"redis": MANAGED}}, {"sessions": {"store": "Memory"}}, None),
    "a cache's class": (
        {"model": {"id": "x", "cache": CACHE}},
        {"model": {"id": "x", "cache": {**CACHE, "storageClassName": "b"}}},
        "remove spec.model.cache",
    ),
    "a cache's mode": (
        {"model": {"id": "x", "cache": CACHE}},
        {"model": {"id": "x", "cache": {**CACHE, "accessMode": "ReadWriteMany"}}},
        "remove spec.model.cache",
    ),
    "a smaller cache": (
        {"model": {"id": "x", "cache": CACHE}},
        {"model": {"id": "x", "cache": {**CACHE, "size": "1Gi"}}},
        "cannot shrink",
    ),
    "a larger cache": (
        {"model": {"id": "x", "cache": CACHE}},
        {"model": {"id": "x", "cache": {**CACHE, "size": "3Gi"}}},
        None,
    ),
    "no cache any more": ({"model": {"id": "x", "cache": CACHE}}, {"model": {"id": "x"}}, None),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_cannot_change_is_refused(kubectl: Kubectl, namespace: str, name: str) -> None:
    before, after, words = CHANGES[name]
    kubectl.apply(chatstream("one", namespace, **before))
    result = kubectl.run("apply", "-f", "-", stdin=json.dumps(chatstream("one", namespace, **after)))
    assert (result.status == 0) == (words is None), result.err
    assert (words or "") in result.err
