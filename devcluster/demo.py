"""The first ChatStream: applied and waited for."""

from __future__ import annotations

import time

from devcluster import paths, release
from devcluster.commands import run
from devcluster.errors import DevclusterError
from devcluster.kube import Json, Kube, KubeError
from devcluster.paths import Layout

MANIFEST = paths.REPOSITORY / "examples" / "chatstream-demo.yaml"
NAME, NAMESPACE = "demo", "default"
READY_SECONDS = 180.0


def ensure_applied(layout: Layout) -> str:
    """`kubectl apply` of the example."""
    done = run([*release.kubectl(layout, NAMESPACE), "apply", "-f", MANIFEST], timeout=60)
    return done.stdout.strip().rpartition(" ")[2]


def wait_ready(layout: Layout, seconds: float = READY_SECONDS) -> str:
    """Until the ChatStream says Ready for its present generation; else DevclusterError with its own words."""
    kube = Kube.load(layout.kubeconfig)
    at = f"/apis/chatstream.dev/v1alpha1/namespaces/{NAMESPACE}/chatstreams/{NAME}"
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            found = kube.get(at)
        except KubeError as error:
            found = {"status": {"conditions": [{"type": "Ready", "message": str(error)}]}}
        ready, said = readiness(found)
        if ready:
            return "Ready"
        time.sleep(0.5)
    raise DevclusterError(
        f"The ChatStream {NAME} is not Ready after {seconds:.0f} s: {said}\n{explain(layout)}"
    )


def readiness(chatstream: Json) -> tuple[bool, str]:
    """Whether it is Ready, and what it says of itself."""
    status = chatstream.get("status", {})
    conditions = {item["type"]: item for item in status.get("conditions", [])}
    ready = conditions.get("Ready", {})
    generation = chatstream.get("metadata", {}).get("generation")
    current = ready.get("observedGeneration", status.get("observedGeneration", generation)) == generation
    words = f"{ready.get('reason', 'no condition yet')}: {ready.get('message', '')}"
    return ready.get("status") == "True" and current, words


def explain(layout: Layout) -> str:
    """The pods and the last events, for the user to see why."""
    kubectl = release.kubectl(layout, NAMESPACE)
    pods = run([*kubectl, "get", "chatstreams,pods", "-o", "wide"], check=False).stdout
    events = run([*kubectl, "get", "events", "--sort-by=.lastTimestamp"], check=False).stdout.splitlines()
    return "\n".join([pods, *events[-10:]])
