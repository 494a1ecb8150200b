"""Pods as the kubelet and the scheduler describe them."""

from __future__ import annotations

from typing import Any

from chatstream_operator.manifests.names import labels
from chatstream_operator.status.pods import PodView, read_pod
from tests.operator.samples import chatstream

Raw = dict[str, Any]
WORDS = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. preemption: 0/1 nodes are available."


def container(
    name: str = "engine",
    *,
    ready: bool = False,
    started: bool = False,
    restarts: int = 0,
    **states: Any,  # noqa: ANN401
) -> Raw:
    """states: state and lastState, as the API server writes them."""
    return {"name": name, "ready": ready, "started": started, "restartCount": restarts, **states}


def running(name: str = "engine") -> Raw:
    return container(name, ready=True, started=True, state={"running": {}})


def loading(name: str = "engine") -> Raw:
    return container(name, state={"running": {}})


def waiting(name: str, reason: str, message: str = "", restarts: int = 0, **states: Any) -> Raw:  # noqa: ANN401
    state = {"waiting": {"reason": reason, "message": message}}
    return container(name, restarts=restarts, state=state, **states)


def ended(reason: str, code: int) -> Raw:
    return {"terminated": {"reason": reason, "exitCode": code}}


def raw_pod(*containers: Raw, name: str = "demo-1", component: str = "server", **status: Any) -> Raw:  # noqa: ANN401
    """A pod on a node, its first container a sidecar."""
    of: Any = component
    meta = {"name": name, "namespace": "team", "uid": f"uid-{name}", "labels": labels(chatstream(), of)}
    ready = all(one["ready"] for one in containers)
    conditions = [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Ready", "status": "True" if ready else "False"},
    ]
    first = {"initContainerStatuses": list(containers[:1]), "containerStatuses": list(containers[1:])}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"nodeName": "node-1"},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": conditions, **first, **status},
    }


def pending_pod(message: str = WORDS, name: str = "demo-1") -> Raw:
    """A pod that no node takes."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    pod = raw_pod(name=name, conditions=[condition], phase="Pending", podIP="")
    return {**pod, "spec": {}}


def pod(*containers: Raw, **status: Any) -> PodView:  # noqa: ANN401
    return read_pod(raw_pod(*containers, **status))


def good_pod(name: str = "demo-1") -> PodView:
    return read_pod(raw_pod(running("engine"), running("server"), name=name))
