"""The real operator at rest: resyncs that write nothing at all, whatever the resource says."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.cluster.kubectl import Kubectl, chatstream, eventually
from tests.cluster.kubelet import run_all
from tests.cluster.operator_process import OperatorProcess

RESYNCS = 2
WRITES = {"APPLY", "PATCH", "POST"}
"""PUT and DELETE are the controllers': they may still clean up after other tests."""
OURS = {
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("", "services"),
    ("", "configmaps"),
    ("", "secrets"),
    ("", "serviceaccounts"),
    ("", "persistentvolumeclaims"),
    ("policy", "poddisruptionbudgets"),
    ("networking.k8s.io", "networkpolicies"),
    ("chatstream.dev", "chatstreams"),
    ("events.k8s.io", "events"),
}
MANY: dict[str, Any] = {
    "engine": {
        "type": "TGI",
        "gpu": {"count": 2},
        "env": [{"name": "QUANTIZE", "value": ""}, {"name": "DTYPE", "value": "float16"}],
    },
    "model": {
        "id": "acme/llama-3",
        "revision": "main",
        "cache": {"size": "1.5Gi", "storageClassName": "fast", "accessMode": "ReadWriteMany"},
    },
    "replicas": 2,
    "concurrency": {"maxConcurrent": 3, "maxQueued": 0, "queueTimeout": "1m30s"},
    "sessions": {
        "redis": {"storageSize": "1024Mi", "storageClassName": "fast"},
        "cookie": {"sameSite": "None", "partitioned": True},
        "allowedOrigins": ["https://www.example.com", "http://10.0.0.1:3000"],
        "encrypt": True,
        "retain": True,
    },
    "chat": {"systemPrompt": 'Say: "ä€😀"\n\tthen #stop', "temperature": 0, "stop": ["\n\n", "</s>"]},
    "drain": {"timeout": "1h"},
}


def count_writes(kubectl: Kubectl) -> dict[tuple[str, str, str], float]:
    """How many the API server has taken, by verb, group and resource: from whomever."""
    counts: dict[tuple[str, str, str], float] = {}
    for line in kubectl.must("get", "--raw", "/metrics").splitlines():
        if line.startswith("apiserver_request_total{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            key = (labels["verb"], labels["group"], labels["resource"])
            if key[0] in WRITES and key[1:] in OURS:
                counts[key] = counts.get(key, 0.0) + float(line.rsplit(" ", 1)[1])
    return counts


def count_looks(operator: OperatorProcess) -> float:
    """Reconciliations so far."""
    found = re.search(
        r"^chatstream_operator_reconcile_seconds_count (\S+)$", operator.metrics(), re.MULTILINE
    )
    assert found is not None
    return float(found[1])


def wait_for_looks(operator: OperatorProcess, number: int) -> None:
    start = count_looks(operator)
    eventually(lambda: count_looks(operator) >= start + number, f"{number} reconciliations", within=40)


def writes_in_a_while(kubectl: Kubectl, operator: OperatorProcess) -> dict[tuple[str, str, str], float]:
    """By kind, over some resyncs; empty where there were none."""
    before = count_writes(kubectl)
    wait_for_looks(operator, RESYNCS)
    after = count_writes(kubectl)
    return {
        key: count - before.get(key, 0.0) for key, count in after.items() if count != before.get(key, 0.0)
    }


def is_ready(kubectl: Kubectl, namespace: str) -> bool:
    status = kubectl.get("chst", "demo", "-n", namespace).get("status", {})
    return any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", ()))


@pytest.mark.parametrize(
    "spec", [{}, MANY, {"sessions": {"store": "Memory"}}], ids=["least", "most", "memory"]
)
def test_at_rest_nothing_is_written(
    kubectl: Kubectl, namespace: str, operator: OperatorProcess, spec: dict[str, Any]
) -> None:
    kubectl.apply(chatstream("demo", namespace, **spec))
    run_all(kubectl, namespace, spec.get("replicas", 1), redis="Memory" not in str(spec))
    eventually(lambda: is_ready(kubectl, namespace), "Ready")
    # The controllers may still write for what other tests have left; whoever writes in vain never ends.
    seen = [writes_in_a_while(kubectl, operator)]
    while seen[-1] and len(seen) < 3:
        seen.append(writes_in_a_while(kubectl, operator))
    assert not seen[-1], seen
