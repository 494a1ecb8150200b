"""What a kubelet and a scheduler write, written by the test: nothing runs pods on this control plane."""

from __future__ import annotations

import json

from tests.cluster.kubectl import Kubectl, Object, eventually

NOW = "2026-01-01T00:00:00Z"


def wait_for_pods(kubectl: Kubectl, namespace: str, component: str, count: int = 1) -> list[str]:
    """Names of the pods that the controllers have made."""
    selector = f"app.kubernetes.io/component={component}"

    def look() -> list[str] | None:
        items = kubectl.get("pods", "-n", namespace, "-l", selector)["items"]
        alive = [one["metadata"]["name"] for one in items if "deletionTimestamp" not in one["metadata"]]
        return alive if len(alive) == count else None

    return eventually(look, f"{count} pods of {component}")


def set_status(kubectl: Kubectl, namespace: str, pod: str, status: Object) -> None:
    kubectl.patch("pod", pod, namespace, {"status": status}, "--subresource=status")


def run_pod(kubectl: Kubectl, namespace: str, pod: str, **more: object) -> None:
    """As if all its containers ran and answered. more: of the status."""
    spec = kubectl.get("pod", pod, "-n", namespace)["spec"]
    status = {
        "phase": "Running",
        "conditions": [condition("PodScheduled"), condition("ContainersReady"), condition("Ready")],
        "initContainerStatuses": [running(one) for one in spec.get("initContainers", ())],
        "containerStatuses": [running(one) for one in spec["containers"]],
        **more,
    }
    set_status(kubectl, namespace, pod, status)


def bind_pod(kubectl: Kubectl, namespace: str, pod: str, node: str) -> None:
    """As the scheduler does; the node need not be there."""
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    meta = {"name": pod, "namespace": namespace}
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": target}
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/binding"
    kubectl.must("create", "--raw", path, "-f", "-", stdin=json.dumps(binding))


def run_all(kubectl: Kubectl, namespace: str, replicas: int = 1, *, redis: bool = True) -> None:
    """Runs Redis, where there is one, and the servers of the one ChatStream in a namespace."""
    for pod in wait_for_pods(kubectl, namespace, "redis") if redis else ():
        run_pod(kubectl, namespace, pod)
    for pod in wait_for_pods(kubectl, namespace, "server", replicas):
        run_pod(kubectl, namespace, pod)


def condition(kind: str, status: str = "True", reason: str = "", message: str = "") -> Object:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": NOW,
    }


def running(container: Object) -> Object:
    state = {"running": {"startedAt": NOW}}
    return {**described(container), "ready": True, "started": True, "restartCount": 0, "state": state}


def waiting(container: Object, reason: str, message: str) -> Object:
    state = {"waiting": {"reason": reason, "message": message}}
    return {**described(container), "ready": False, "started": False, "restartCount": 0, "state": state}


def described(container: Object) -> Object:
    return {"name": container["name"], "image": container["image"], "imageID": ""}
