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


def wait_ready(layout: Layout, image: str, seconds: float = READY_SECONDS) -> str:
    """Until the ChatStream is Ready, by pods of that server image; else DevclusterError in its own words."""
    kube = Kube.load(layout.kubeconfig)
    deadline = time.monotonic() + seconds
    said = ""
    while time.monotonic() < deadline:
        try:
            ready, said = readiness(
                kube.find(f"/apis/chatstream.dev/v1alpha1/namespaces/{NAMESPACE}/chatstreams/{NAME}") or {},
                kube.find(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{NAME}") or {},
                image,
            )
        except KubeError as error:
            ready, said = False, str(error)
        if ready:
            return "Ready"
        time.sleep(0.5)
    raise DevclusterError(f"{NAME} is not Ready after {seconds:.0f} s: {said}\n{explain(layout)}")


def readiness(chatstream: Json, deployment: Json, image: str) -> tuple[bool, str]:
    """Whether it is Ready with all its pods on the image, and what it says of itself."""
    status = chatstream.get("status", {})
    conditions = {item["type"]: item for item in status.get("conditions", [])}
    ready = conditions.get("Ready", {})
    generation = chatstream.get("metadata", {}).get("generation")
    current = ready.get("observedGeneration", status.get("observedGeneration")) == generation
    words = f"{ready.get('reason', 'no condition yet')}: {ready.get('message', '')}"
    if not rolled_out(deployment, image):
        return False, f"{words} (the Deployment is not yet rolled out with {image})"
    return ready.get("status") == "True" and current, words


def rolled_out(deployment: Json, image: str) -> bool:
    """Whether every replica is available, of the present template, and that has the image."""
    status = deployment.get("status", {})
    containers = deployment.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    seen = status.get("observedGeneration") == deployment.get("metadata", {}).get("generation")
    wanted = deployment.get("spec", {}).get("replicas")
    counts = {status.get(key) for key in ("replicas", "updatedReplicas", "availableReplicas")}
    return seen and counts == {wanted} and image in {container["image"] for container in containers}


def explain(layout: Layout) -> str:
    """The pods and the last events, for the user to see why."""
    kubectl = release.kubectl(layout, NAMESPACE)
    pods = run([*kubectl, "get", "chatstreams,pods", "-o", "wide"], check=False).stdout
    events = run([*kubectl, "get", "events", "--sort-by=.lastTimestamp"], check=False).stdout.splitlines()
    return "\n".join([pods, *events[-10:]])
