"""The real operator's words: conditions, columns, events and metrics, as pods come and fail."""

from __future__ import annotations

import pytest

from tests.cluster.kubectl import Kubectl, Object, chatstream, eventually
from tests.cluster.kubelet import condition, run_all, run_pod, set_status, wait_for_pods, waiting
from tests.cluster.operator_process import OperatorProcess

WORDS = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."

pytestmark = pytest.mark.usefixtures("operator")


def ready(kubectl: Kubectl, namespace: str) -> Object:
    status = kubectl.get("chst", "demo", "-n", namespace).get("status", {})
    found = [one for one in status.get("conditions", ()) if one["type"] == "Ready"]
    return found[0] if found else {"status": "", "reason": "", "message": ""}


def wait_for_reason(kubectl: Kubectl, namespace: str, reason: str) -> str:
    """Gives the message."""
    eventually(lambda: ready(kubectl, namespace)["reason"] == reason, reason)
    message: str = ready(kubectl, namespace)["message"]
    return message


def reasons_of_events(kubectl: Kubectl, namespace: str) -> list[tuple[str, str]]:
    events = kubectl.get("events.events.k8s.io", "-n", namespace)["items"]
    ours = [one for one in events if one.get("reportingController") == "chatstream.dev/operator"]
    return [(one["type"], one["reason"]) for one in sorted(ours, key=lambda one: str(one["eventTime"]))]


def test_a_resource_becomes_ready_and_says_where(kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply(chatstream("demo", namespace, replicas=2))
    run_all(kubectl, namespace, replicas=2)
    wait_for_reason(kubectl, namespace, "Available")
    kubectl.must("wait", "chst/demo", "-n", namespace, "--for=condition=Ready", "--timeout=10s")
    status = kubectl.get("chst", "demo", "-n", namespace)["status"]
    assert (status["replicas"], status["readyReplicas"]) == (2, 2)
    assert status["url"] == f"http://demo.{namespace}.svc"
    assert len(kubectl.get("pods", "-n", namespace, "-l", status["selector"])["items"]) == 2


def test_events_tell_of_each_change_once(kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply(chatstream("demo", namespace))
    run_all(kubectl, namespace)
    wait_for_reason(kubectl, namespace, "Available")
    eventually(lambda: ("Normal", "Available") in reasons_of_events(kubectl, namespace), "the event")
    told = reasons_of_events(kubectl, namespace)
    assert len(told) == len(set(told))
    assert {kind for kind, _ in told} == {"Normal"}
    described = kubectl.must("describe", "chst", "demo", "-n", namespace)
    assert "Available" in described.partition("Events:")[2]


def test_no_gpu_is_told_in_the_schedulers_words(kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply(chatstream("demo", namespace, engine={"type": "TGI"}, model={"id": "acme/x"}))
    (redis,) = wait_for_pods(kubectl, namespace, "redis")
    run_pod(kubectl, namespace, redis)
    (pod,) = wait_for_pods(kubectl, namespace, "server")
    waits = condition("PodScheduled", "False", "Unschedulable", WORDS)
    set_status(kubectl, namespace, pod, {"phase": "Pending", "conditions": [waits]})
    assert WORDS in wait_for_reason(kubectl, namespace, "InsufficientGPU")
    eventually(lambda: ("Warning", "InsufficientGPU") in reasons_of_events(kubectl, namespace), "the event")
    row = kubectl.must("get", "chst", "demo", "-n", namespace).splitlines()[1].split()
    assert row[:4] == ["demo", "False", "InsufficientGPU", "acme/x"]
    run_pod(kubectl, namespace, pod)
    wait_for_reason(kubectl, namespace, "Available")


def test_an_image_that_cannot_be_pulled_is_told(kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply(chatstream("demo", namespace))
    (pod,) = wait_for_pods(kubectl, namespace, "server")
    engine = kubectl.get("pod", pod, "-n", namespace)["spec"]["initContainers"][0]
    state = waiting(engine, "ImagePullBackOff", "no such image: server:1")
    set_status(
        kubectl, namespace, pod, {"conditions": [condition("PodScheduled")], "initContainerStatuses": [state]}
    )
    assert "no such image: server:1" in wait_for_reason(kubectl, namespace, "ImagePullFailed")


def test_a_missing_secret_is_told_with_its_remedy_and_heals(kubectl: Kubectl, namespace: str) -> None:
    ref = {"name": "hf", "key": "token"}
    model = {"id": "acme/x", "tokenSecretRef": ref}
    kubectl.apply(chatstream("demo", namespace, engine={"type": "TGI"}, model=model))
    message = wait_for_reason(kubectl, namespace, "SecretMissing")
    assert "spec.model.tokenSecretRef: there is no Secret hf: create it, with the key token" in message
    kubectl.must("create", "secret", "generic", "hf", "--from-literal=token=x", "-n", namespace)
    eventually(lambda: ready(kubectl, namespace)["reason"] != "SecretMissing", "the Secret is seen")


def test_a_spec_that_changed_is_never_ready_with_the_old_status(kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply(chatstream("demo", namespace))
    run_all(kubectl, namespace)
    wait_for_reason(kubectl, namespace, "Available")
    kubectl.must("scale", "chst", "demo", "-n", namespace, "--replicas=2")
    # kubectl compares the generations, so it does not take the old condition for the new one.
    result = kubectl.run("wait", "chst/demo", "-n", namespace, "--for=condition=Ready", "--timeout=2s")
    assert result.status != 0
    run_all(kubectl, namespace, replicas=2)
    wait_for_reason(kubectl, namespace, "Available")


def test_health_and_metrics_answer(kubectl: Kubectl, namespace: str, operator: OperatorProcess) -> None:
    kubectl.apply(chatstream("demo", namespace))
    wait_for_reason(kubectl, namespace, "RedisNotReady")
    assert operator.page("/healthz") == operator.page("/readyz") == 200
    metrics = operator.metrics()
    assert "chatstream_operator_reconcile_seconds_count" in metrics
    reconciled = [line for line in metrics.splitlines() if 'condition="Reconciled"' in line]
    assert float(reconciled[0].split()[-1]) >= 1
